// `RpcError.executed` in every case: one row each, with what the handler really did.
import { describe, expect, it } from "vitest";
import { CounterService } from "../../gen/hawser/test/v1/counter_pb.js";
import {
  type Client,
  Code,
  createClient,
  type Executed,
  type HandlerContext,
  RpcError,
} from "../../src/index.js";
import { memoryIdempotencyStore, type ServerOptions } from "../../src/server/index.js";
import { createPair, type Pair, type PairOptions } from "../../src/testing/index.js";

/** A pair whose Add counts itself, and then does what the row says. */
class World {
  ran = 0;
  readonly pair: Pair;
  readonly client: Client<typeof CounterService>;

  constructor(
    handler: (context: HandlerContext, number: bigint) => unknown = () => ({}),
    options: Omit<PairOptions, "server"> & { readonly server?: Partial<ServerOptions> } = {},
  ) {
    const count = () => {
      this.ran++;
    };
    const add = ({ number }: { number: bigint }, context: HandlerContext) => {
      count();
      return handler(context, number) as Promise<{ value: bigint }>;
    };
    this.pair = createPair({
      ...options,
      server: {
        idempotencyStore: memoryIdempotencyStore(),
        routes: (router) =>
          router.service(CounterService, {
            add,
            increment: add,
            read: (_, context) => add({ number: 0n }, context),
            async sum(requests) {
              let sum = 0n;
              for await (const { number } of requests) {
                count();
                sum += BigInt(number);
              }
              return { sum };
            },
            async *watch(_, context) {
              yield { number: 1 };
              yield (await add({ number: 0n }, context)) as { number?: number };
            },
          }),
        logger: { warn: () => undefined, error: () => undefined },
        ...options.server,
      },
    });
    this.client = createClient(CounterService, this.pair.connection);
  }

  /** Goes on until a promise has settled. */
  async settle(promise: Promise<unknown>): Promise<unknown> {
    let result: unknown;
    let over = false;
    const settled = (value: unknown) => {
      result = value;
      over = true;
    };
    promise.then(settled, settled);
    await this.pair.clock.runUntil(() => over);
    return result;
  }

  async open(): Promise<this> {
    await this.pair.clock.runUntil(() => this.pair.connection.state === "open");
    return this;
  }

  /** Until the handler runs. */
  async running(): Promise<void> {
    await this.pair.clock.runUntil(() => this.ran > 0);
  }
}

const never = () => new Promise(() => undefined);
const LARGE = { number: 2n ** 60n };

interface Row {
  readonly what: string;
  readonly code: Code;
  readonly executed: Executed;
  /** Times that the handler ran. */
  readonly ran: number;
  readonly act: () => Promise<{ world: World; error: unknown }>;
}

async function run(world: World, act: (world: World) => Promise<unknown>) {
  return { world, error: await world.settle(act(world)) };
}

const rows: Row[] = [
  {
    what: "no connection, and the call does not wait for one",
    code: Code.Unavailable,
    executed: "no",
    ran: 0,
    act: () => run(new World(), ({ client }) => client.add({}, { waitForReady: false })),
  },
  {
    what: "no connection within maxWaitMs",
    code: Code.Unavailable,
    executed: "no",
    ran: 0,
    act: async () => {
      const world = new World(undefined, { client: { maxWaitMs: 500 } });
      world.pair.reachable = false;
      return run(world, ({ client }) => client.add({}));
    },
  },
  {
    what: "too many calls wait for a connection",
    code: Code.ResourceExhausted,
    executed: "no",
    ran: 0,
    act: () => run(new World(undefined, { client: { maxWaitingCalls: 0 } }), ({ client }) => client.add({})),
  },
  {
    what: "the deadline passes while the call waits for a connection",
    code: Code.DeadlineExceeded,
    executed: "no",
    ran: 0,
    act: async () => {
      const world = new World();
      world.pair.reachable = false;
      return run(world, ({ client }) => client.add({}, { timeoutMs: 100 }));
    },
  },
  {
    what: "no time at all",
    code: Code.DeadlineExceeded,
    executed: "no",
    ran: 0,
    act: () => run(new World(), ({ client }) => client.add({}, { timeoutMs: 0 })),
  },
  {
    what: "cancelled before it was made",
    code: Code.Canceled,
    executed: "no",
    ran: 0,
    act: () => run(new World(), ({ client }) => client.add({}, { signal: AbortSignal.abort() })),
  },
  {
    what: "cancelled while it waits for a connection",
    code: Code.Canceled,
    executed: "no",
    ran: 0,
    act: async () => {
      const world = new World();
      const stop = new AbortController();
      const call = world.client.add({}, { signal: stop.signal });
      stop.abort();
      return run(world, () => call);
    },
  },
  {
    what: "the connection is closed while the call waits for it",
    code: Code.Canceled,
    executed: "no",
    ran: 0,
    act: async () => {
      const world = new World();
      const call = world.client.add({});
      void world.pair.connection.close();
      return run(world, () => call);
    },
  },
  {
    what: "the request does not fit its schema",
    code: Code.Internal,
    executed: "no",
    ran: 0,
    act: async () => run(await new World().open(), ({ client }) => client.add({ number: -1n })),
  },
  {
    what: "the request is larger than the server takes",
    code: Code.ResourceExhausted,
    executed: "no",
    ran: 0,
    act: async () => {
      const world = new World(undefined, { server: { limits: { messageBytes: 4 } } });
      return run(await world.open(), ({ client }) => client.add(LARGE));
    },
  },
  {
    what: "the request was larger than the server takes, which the client learned too late",
    code: Code.ResourceExhausted,
    executed: "no",
    ran: 0,
    act: () => {
      const world = new World(undefined, { server: { limits: { messageBytes: 4 } } });
      return run(world, ({ client }) => client.add(LARGE));
    },
  },
  {
    what: "more metadata than the server takes",
    code: Code.ResourceExhausted,
    executed: "no",
    ran: 0,
    act: async () =>
      run(await new World().open(), ({ client }) =>
        client.add({}, { headers: { much: "x".repeat(20_000) } }),
      ),
  },
  {
    what: "a method that the server does not serve",
    code: Code.Unimplemented,
    executed: "no",
    ran: 0,
    act: () => run(new World(), ({ client }) => client.set({})),
  },
  {
    what: "an idempotency key, and the server keeps none",
    code: Code.FailedPrecondition,
    executed: "no",
    ran: 0,
    act: () => {
      const world = new World(undefined, {
        server: {
          idempotencyStore: undefined,
          routes: (router) => router.service(CounterService, { add: () => ({}) }),
        },
      });
      return run(world, ({ client }) => client.add({}, { idempotencyKey: "k" }));
    },
  },
  {
    what: "an idempotency key on a stream",
    code: Code.InvalidArgument,
    executed: "no",
    ran: 0,
    act: () =>
      run(new World(), async ({ client }) => {
        for await (const _ of client.watch({}, { idempotencyKey: "k" }));
      }),
  },
  {
    what: "an idempotency key that was used for another request",
    code: Code.InvalidArgument,
    executed: "no",
    ran: 1,
    act: () =>
      run(new World(), async ({ client }) => {
        await client.add({ number: 1n }, { idempotencyKey: "k" });
        await client.add({ number: 2n }, { idempotencyKey: "k" });
      }),
  },
  {
    what: "the handler answers with an error",
    code: Code.NotFound,
    executed: "yes",
    ran: 1,
    act: () =>
      run(
        new World(() => {
          throw new RpcError("nothing here", Code.NotFound);
        }),
        ({ client }) => client.add({}),
      ),
  },
  {
    what: "the handler passes on an error that says no of another call",
    code: Code.NotFound,
    executed: "yes",
    ran: 1,
    act: () =>
      run(
        new World(() => {
          throw new RpcError("nothing here", Code.NotFound, { executed: "no" });
        }),
        ({ client }) => client.add({}),
      ),
  },
  {
    what: "the handler fails",
    code: Code.Internal,
    executed: "yes",
    ran: 1,
    act: () =>
      run(
        new World(() => {
          throw new Error("a bug");
        }),
        ({ client }) => client.add({}),
      ),
  },
  {
    what: "the response does not fit its schema",
    code: Code.Internal,
    executed: "yes",
    ran: 1,
    act: () => run(new World(() => ({ value: "many" })), ({ client }) => client.add({})),
  },
  {
    what: "the response is larger than the client takes",
    code: Code.ResourceExhausted,
    executed: "yes",
    ran: 1,
    act: () =>
      run(
        new World(() => ({ value: 2n ** 60n }), { client: { limits: { messageBytes: 4 } } }),
        ({ client }) => client.add({}),
      ),
  },
  {
    what: "the deadline passes while the handler runs",
    code: Code.DeadlineExceeded,
    executed: "unknown",
    ran: 1,
    act: async () => run(await new World(never).open(), ({ client }) => client.add({}, { timeoutMs: 100 })),
  },
  {
    what: "cancelled while the handler runs",
    code: Code.Canceled,
    executed: "unknown",
    ran: 1,
    act: async () => {
      const world = new World(never);
      const stop = new AbortController();
      const call = world.client.add({}, { signal: stop.signal });
      call.catch(() => undefined);
      await world.running();
      stop.abort();
      return run(world, () => call);
    },
  },
  {
    what: "the connection is closed while the handler runs",
    code: Code.Canceled,
    executed: "unknown",
    ran: 1,
    act: async () => {
      const world = new World(never);
      const call = world.client.add({});
      call.catch(() => undefined);
      await world.running();
      void world.pair.connection.close();
      return run(world, () => call);
    },
  },
  {
    what: "the session is lost while the handler runs",
    code: Code.Unavailable,
    executed: "unknown",
    ran: 1,
    act: async () => {
      const world = new World(never);
      const call = world.client.add({});
      call.catch(() => undefined);
      await world.running();
      world.pair.restartServer();
      return run(world, () => call);
    },
  },
  {
    what: "the session is lost before the request arrived",
    code: Code.Unavailable,
    executed: "unknown",
    ran: 0,
    act: async () => {
      const world = await new World().open();
      const call = world.client.add({});
      call.catch(() => undefined);
      // It was written, and that is all that anybody knows.
      await world.pair.clock.advance(0);
      world.pair.restartServer();
      return run(world, () => call);
    },
  },
  {
    what: "the handler may have run in the first attempt, and the second is never sent",
    code: Code.Unavailable,
    executed: "unknown",
    ran: 1,
    act: async () => {
      const world = new World(never, { client: { maxWaitMs: 500 } });
      const call = world.client.read({});
      call.catch(() => undefined);
      await world.running();
      world.pair.restartServer();
      world.pair.connection.on("lost", () => {
        world.pair.reachable = false;
        world.pair.network.cut();
      });
      return run(world, () => call);
    },
  },
  {
    what: "a stream whose session is lost, behind a message without a token",
    code: Code.Unavailable,
    executed: "unknown",
    ran: 1,
    act: async () => {
      const world = new World(never);
      let seen = 0;
      const read = async () => {
        for await (const _ of world.client.watch({})) seen++;
      };
      const call = read();
      call.catch(() => undefined);
      await world.pair.clock.runUntil(() => seen > 0);
      world.pair.restartServer();
      return run(world, () => call);
    },
  },
  {
    what: "a request message over the limit in the middle of a stream",
    code: Code.ResourceExhausted,
    executed: "unknown",
    ran: 1,
    act: async () => {
      const world = new World(undefined, { server: { limits: { messageBytes: 4 } } });
      await world.open();
      async function* requests() {
        yield { number: 1 };
        await world.running();
        yield { number: 2 ** 31 };
      }
      return run(world, ({ client }) => client.sum(requests()));
    },
  },
  {
    what: "the deadline passes while another attempt of the key runs",
    code: Code.DeadlineExceeded,
    executed: "unknown",
    ran: 1,
    act: async () => {
      const world = new World(never);
      world.client.add({}, { idempotencyKey: "k" }).catch(() => undefined);
      await world.running();
      return run(world, ({ client }) => client.add({}, { idempotencyKey: "k", timeoutMs: 100 }));
    },
  },
];

describe("executed", () => {
  it.each(rows)("is $executed: $what", async ({ code, executed, ran, act }) => {
    const { world, error } = await act();
    expect(error).toBeInstanceOf(RpcError);
    expect({
      code: (error as RpcError).code,
      executed: (error as RpcError).executed,
      ran: world.ran,
    }).toEqual({
      code,
      executed,
      ran,
    });
    await world.pair.close();
  });

  it("has a row for each of its values, and none says no of a handler that ran for the call", () => {
    expect(new Set(rows.map(({ executed }) => executed))).toEqual(new Set(["no", "yes", "unknown"]));
    expect(rows.filter(({ executed, ran }) => executed === "yes" && ran === 0)).toEqual([]);
  });
});
