// What users' functions throw in odd places ends a call at most: nothing is left of it, and no rejection is unhandled.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_hawser.js";
import { TopicService } from "../../gen/hawser/test/v1/topics_pb.js";
import { createClient, type Interceptor, type Observer, type Routes } from "../../src/index.js";
import { memoryBroker } from "../../src/server/index.js";
import { createPair, type Pair, type PairOptions } from "../../src/testing/index.js";
import { Notes, topicRoutes } from "../support/topics.js";

const unhandled: unknown[] = [];
const note = (reason: unknown) => unhandled.push(reason);

beforeEach(() => {
  unhandled.length = 0;
  process.on("unhandledRejection", note);
});
afterEach(() => {
  process.off("unhandledRejection", note);
});

const silent = { warn: () => undefined, error: () => undefined };

function pairOf(
  routes: Routes,
  more: Partial<PairOptions["server"]> = {},
  client: PairOptions["client"] = {},
) {
  return createPair({
    server: { routes, logger: silent, ...more },
    client: { onHandlerError: () => undefined, ...client },
  });
}

/** The outcome of a call within a second; nothing of it is left. */
async function outcome(pair: Pair, call: Promise<unknown>): Promise<unknown> {
  const settled = call.then(
    (value) => value,
    (error: unknown) => String(error),
  );
  let result: unknown = "no outcome";
  void settled.then((value) => {
    result = value;
  });
  await pair.clock.advance(1_000);
  expect(pair.connection.callsInFlight).toBe(0);
  expect([...pair.sessions].map(({ callsInFlight }) => callsInFlight)).toEqual([0]);
  await pair.close();
  pair.assertFinished();
  expect(unhandled).toEqual([]);
  return result;
}

async function all<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const message of messages) found.push(message);
  return found;
}

const echoes: Routes = (router) =>
  router.service(EchoService, {
    echo: ({ id }) => ({ id }),
    async *repeat({ count }) {
      for (let number = 1; number <= count; number++) yield { number };
    },
    async *converse(requests) {
      for await (const { number } of requests) yield { number };
    },
  });

const broken = {
  id: 1n,
  get name(): string {
    throw new Error("no name");
  },
};

describe("getters of messages", () => {
  it("of an answer that was promised", async () => {
    const pair = pairOf((router) => router.service(EchoService, { echo: async () => broken }));
    expect(await outcome(pair, createClient(EchoService, pair.connection).echo({}))).toMatch(
      /^RpcError: INTERNAL/,
    );
  });

  it("of a request", async () => {
    const pair = pairOf(echoes);
    const client = createClient(EchoService, pair.connection);
    expect(await Promise.all([client.echo({ id: 1n }), pair.clock.advance(100)])).toMatchObject([
      { id: 1n },
      undefined,
    ]);
    expect(await outcome(pair, client.echo(broken))).toMatch(/cannot encode .*no name/);
  });

  it("of a request, when it is read for the second time", async () => {
    const pair = pairOf(echoes);
    const client = createClient(EchoService, pair.connection);
    await Promise.all([client.echo({ id: 1n }), pair.clock.advance(100)]);
    let reads = 0;
    const request = {
      get name(): string {
        if (++reads > 1) throw new Error("no name");
        return "name";
      },
    };
    expect(await outcome(pair, client.echo(request))).toMatch(/cannot encode .*no name/);
  });
});

describe("interceptors of a server", () => {
  const without: Interceptor = (next) => async (request) => {
    const response = await next(request);
    return { ...response, trailer: undefined } as unknown as typeof response;
  };

  it("a response without trailers", async () => {
    const unary = pairOf(echoes, { interceptors: [without] });
    expect(await outcome(unary, createClient(EchoService, unary.connection).echo({}))).toMatch(/INTERNAL/);
    const stream = pairOf(echoes, { interceptors: [without] });
    expect(
      await outcome(stream, all(createClient(EchoService, stream.connection).repeat({ count: 2 }))),
    ).toMatch(/INTERNAL/);
  });
});

describe("iterators", () => {
  /** Waits for ever, and does not like to be left. */
  const stubborn = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise<never>(() => undefined),
      return: () => {
        throw new Error("not now");
      },
    }),
  };

  it("a handler's, whose call is cancelled", async () => {
    const pair = pairOf((router) => router.service(EchoService, { repeat: () => stubborn }));
    const messages = createClient(EchoService, pair.connection).repeat({ count: 1 })[Symbol.asyncIterator]();
    messages.next().catch(() => undefined);
    await pair.clock.advance(100);
    expect(await outcome(pair, messages.return?.() ?? Promise.resolve())).toMatchObject({ done: true });
  });

  it("a caller's, whose call is over", async () => {
    const pair = pairOf((router) => router.service(EchoService, { collect: async () => ({ bytes: 7n }) }));
    const call = createClient(EchoService, pair.connection).collect(stubborn);
    expect(await outcome(pair, call)).toMatchObject({ bytes: 7n });
  });

  it("a caller's that is none", async () => {
    const pair = pairOf(echoes);
    const call = all(createClient(EchoService, pair.connection).converse([{ number: 1 }] as never));
    expect(await outcome(pair, call)).toMatch(/TypeError/);
  });
});

describe("logs", () => {
  const failing = {
    warn: () => undefined,
    error: () => {
      throw new Error("the disk is full");
    },
  };
  const fails: Routes = (router) =>
    router.service(EchoService, {
      echo: () => Promise.reject(new Error("no")),
      repeat: () => Promise.reject(new Error("no")) as never,
    });

  it("a server's", async () => {
    const pair = pairOf(fails, { logger: failing });
    expect(await outcome(pair, createClient(EchoService, pair.connection).echo({}))).toMatch(
      /internal error/,
    );
  });

  it("a server's, for a stream behind interceptors", async () => {
    const pair = pairOf(fails, { logger: failing, interceptors: [(next) => (request) => next(request)] });
    const call = all(createClient(EchoService, pair.connection).repeat({ count: 1 }));
    expect(await outcome(pair, call)).toMatch(/internal error/);
  });
});

describe("observers", () => {
  const run = (observer: Observer) => {
    const pair = pairOf(echoes, { observer });
    return outcome(pair, createClient(EchoService, pair.connection).echo({ id: 1n }));
  };

  it("run() that throws before or after, or does nothing", async () => {
    const before: NonNullable<ReturnType<NonNullable<Observer["callStarted"]>>>["run"] = () => {
      throw new Error("no context");
    };
    const after: typeof before = (task) => {
      task();
      throw new Error("no context");
    };
    const nothing = (() => undefined) as unknown as typeof before;
    for (const each of [before, after, nothing]) {
      expect(await run({ callStarted: () => ({ run: each }) })).toMatchObject({ id: 1n });
    }
  });

  it("methods that are async and reject", async () => {
    const reject = async () => {
      throw new Error("no metrics");
    };
    expect(await run({ session: reject, callStarted: () => ({ ended: reject }) })).toMatchObject({ id: 1n });
  });
});

describe("what is told of topics", () => {
  for (const name of ["onPosition", "onGap"] as const) {
    it(name, async () => {
      const pair = pairOf(topicRoutes, { broker: memoryBroker() });
      const client = createClient(TopicService, pair.connection);
      const seen: number[] = [];
      let error = "";
      const topic = {
        // A position of another run: what was published in it is gone.
        after: "another:5",
        [name]: () => {
          throw new Error("not now");
        },
      };
      const read = async () => {
        for await (const { number } of client.watch({ name: "a" }, { topic })) seen.push(number);
      };
      read().catch((thrown: unknown) => {
        error = String(thrown);
      });
      await pair.clock.advance(100);
      await pair.publish(Notes("a"), { number: 1 });
      await pair.clock.advance(100);
      await pair.publish(Notes("a"), { number: 2 });
      await pair.clock.advance(1_000);
      expect(error).toMatch(/not now/);
      expect(seen.length).toBeLessThan(2);
      expect(pair.connection.callsInFlight).toBe(0);
      expect([...pair.sessions].map(({ callsInFlight }) => callsInFlight)).toEqual([0]);
      await pair.close();
      pair.assertFinished();
      expect(unhandled).toEqual([]);
    });
  }
});
