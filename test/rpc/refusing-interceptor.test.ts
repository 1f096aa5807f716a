// Interceptors that turn calls away before the handler, and what callers get to know of it.
import { expect, it } from "vitest";
import { CounterService } from "../../gen/hawser/test/v1/counter_pb.js";
import { type Client, Code, createClient, type Interceptor, RpcError } from "../../src/index.js";
import { memoryIdempotencyStore } from "../../src/server/index.js";
import { createPair } from "../../src/testing/index.js";

/** What a call of Add, Read or Watch comes to, with these interceptors in front of handlers that count themselves. */
async function world(interceptor: Interceptor, handlerError?: RpcError) {
  const ran: string[] = [];
  const run = (name: string) => {
    ran.push(name);
    if (handlerError !== undefined) throw handlerError;
    return {};
  };
  const pair = createPair({
    server: {
      idempotencyStore: memoryIdempotencyStore(),
      interceptors: [interceptor],
      routes: (router) =>
        router.service(CounterService, {
          add: () => run("add"),
          read: () => run("read"),
          async *watch() {
            yield run("watch");
          },
        }),
    },
  });
  const client = createClient(CounterService, pair.connection);
  const call = async (make: (client: Client<typeof CounterService>) => Promise<unknown>) => {
    let outcome: unknown;
    const promise = make(client).then(
      () => "ok",
      (error: unknown) => error,
    );
    void promise.then((settled) => {
      outcome = settled;
    });
    await pair.clock.runUntil(() => outcome !== undefined);
    return outcome;
  };
  return { ran, call };
}

const refusing =
  (code: Code, times = Number.POSITIVE_INFINITY): Interceptor =>
  (next) =>
  (request) => {
    if (times-- > 0) throw new RpcError("not now", code, { executed: "no" });
    return next(request);
  };

async function readAll(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of messages);
}

it("tells the caller that the handler has not run", async () => {
  const { ran, call } = await world(refusing(Code.PermissionDenied));
  const refused = { code: Code.PermissionDenied, rawMessage: "not now", executed: "no" };
  expect(await call((client) => client.read({}))).toMatchObject(refused);
  expect(await call((client) => client.add({ number: 1n }))).toMatchObject(refused);
  expect(await call((client) => readAll(client.watch({})))).toMatchObject(refused);
  expect(ran).toEqual([]);
});

it("has calls tried again at once where another moment helps", async () => {
  const { ran, call } = await world(refusing(Code.Unavailable, 1));
  expect(await call((client) => client.add({ number: 1n }))).toBe("ok");
  expect(ran).toEqual(["add"]);
});

it("keeps no outcome under the key of a call that it turned away", async () => {
  const { ran, call } = await world(refusing(Code.PermissionDenied, 1));
  const add = (client: Client<typeof CounterService>) => client.add({ number: 1n }, { idempotencyKey: "k" });
  expect(await call(add)).toMatchObject({ executed: "no" });
  expect(await call(add)).toBe("ok");
  expect(ran).toEqual(["add"]);
});

it("is not believed once the handler has run", async () => {
  const after: Interceptor = (next) => async (request) => {
    await next(request);
    throw new RpcError("too late", Code.PermissionDenied, { executed: "no" });
  };
  const late = await world(after);
  expect(await late.call((client) => client.read({}))).toMatchObject({ executed: "yes" });
  expect(late.ran).toEqual(["read"]);
  const passing = await world(
    (next) => next,
    new RpcError("of another server", Code.NotFound, { executed: "no" }),
  );
  expect(await passing.call((client) => client.read({}))).toMatchObject({ executed: "yes" });
  expect(await passing.call((client) => readAll(client.watch({})))).toMatchObject({ executed: "yes" });
});

it("is taken for an answer when it does not say so", async () => {
  const { call } = await world(() => () => {
    throw new RpcError("quota", Code.PermissionDenied);
  });
  expect(await call((client) => client.read({}))).toMatchObject({ executed: "yes" });
});
