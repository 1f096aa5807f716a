import type { MessageInitShape } from "@bufbuild/protobuf";
import { OrderService, type PlaceRequestSchema } from "../../gen/hawser/orders/v1/orders_pb.js";
import { type Connection, type ConnectOptions, connect } from "../../src/client/index.js";
import { type Client, createClient, type ServiceImpl } from "../../src/index.js";
import { createServer, type ServerOptions } from "../../src/server/index.js";

/** A request of Place that breaks no rule. */
export const goodOrder: MessageInitShape<typeof PlaceRequestSchema> = {
  email: "ada@example.com",
  items: [{ sku: "rope", quantity: 1 }],
  address: { street: "Quay 1" },
  payment: { case: "card", value: "4000" },
};

/** A server and a client of OrderService over a real connection. Handlers note what they have got to see. */
export interface Orders extends AsyncDisposable {
  readonly client: Client<typeof OrderService>;
  readonly connection: Connection;
  /** One entry per message that has come to a handler, and one per handler that has begun without one. */
  readonly seen: readonly string[];
  /** What was logged as an error. */
  readonly logged: readonly unknown[];
}

/** Answers well, but for what the requests ask for. */
function handlers(seen: string[]): ServiceImpl<typeof OrderService> {
  return {
    place: ({ coupon }) => {
      seen.push("place");
      return { number: coupon === "free" ? 0 : 7 };
    },
    async *watch({ answers }) {
      seen.push("watch");
      for (const step of answers) yield { step };
    },
    async load(requests) {
      seen.push("load");
      let items = 0;
      for await (const { item } of requests) {
        seen.push(`item ${item?.sku}`);
        items++;
      }
      return { items };
    },
    async *haggle(requests) {
      seen.push("haggle");
      for await (const { offer } of requests) {
        seen.push(`offer ${offer}`);
        yield { price: offer === 13 ? 0 : offer + 1 };
      }
    },
    break: () => {
      seen.push("break");
      return {};
    },
    divide: () => {
      seen.push("divide");
      return {};
    },
  };
}

export async function startOrders(
  options: {
    readonly server?: Partial<ServerOptions>;
    readonly client?: ConnectOptions;
    /** In place of handlers that answer well. */
    readonly handlers?: (seen: string[]) => Partial<ServiceImpl<typeof OrderService>>;
  } = {},
): Promise<Orders> {
  const seen: string[] = [];
  const logged: unknown[] = [];
  const server = createServer({
    routes: (router) => router.service(OrderService, { ...handlers(seen), ...options.handlers?.(seen) }),
    logger: { warn: () => undefined, error: (...details) => logged.push(details) },
    ...options.server,
  });
  const { url } = await server.listen({ port: 0 });
  const connection = connect(url, options.client ?? {});
  return {
    client: createClient(OrderService, connection),
    connection,
    seen,
    logged,
    async [Symbol.asyncDispose]() {
      await connection.close();
      await server.close();
    },
  };
}

/** What a promise rejects with. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => Promise.reject(new Error(`it did not fail, but gave ${String(value)}`)),
    (error: unknown) => error,
  );
}

/** Messages of a stream, in a list. */
export async function all<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const message of messages) list.push(message);
  return list;
}

/** A request stream of these messages. */
export async function* requests<T>(...messages: T[]): AsyncGenerator<T> {
  yield* messages;
}
