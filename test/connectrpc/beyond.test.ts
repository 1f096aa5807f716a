// What a Connect application has of Hawser that no transport of Connect's own gives it.
import { getEventListeners } from "node:events";
import {
  type CallOptions,
  type Client,
  Code,
  ConnectError,
  type ConnectRouter,
  createClient,
  createContextKey,
  createContextValues,
  type HandlerContext,
  type Interceptor,
} from "@connectrpc/connect";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { CounterService } from "../../gen/hawser/test/v1/counter_pb.js";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import {
  type ConnectRoutesOptions,
  connectRoutes,
  createHawserTransport,
  hawserCallOptions,
  hawserContext,
} from "../../src/connectrpc/index.js";
import { type RpcError, resumable } from "../../src/index.js";
import { memoryIdempotencyStore } from "../../src/server/index.js";
import { createPair, type Pair, type PairOptions } from "../../src/testing/index.js";

interface World {
  readonly pair: Pair;
  readonly client: Client<typeof CounterService>;
  readonly logged: unknown[];
  /** Runs the clock until a promise has settled. */
  settled<T>(promise: Promise<T>): Promise<T>;
}

/** A pair whose server has these Connect routes. */
function world(
  routes: (router: ConnectRouter) => void,
  options: ConnectRoutesOptions = {},
  of: { client?: PairOptions["client"]; server?: Partial<PairOptions["server"]> } = {},
): World {
  const logged: unknown[] = [];
  const pair = createPair({
    server: {
      idempotencyStore: memoryIdempotencyStore(),
      routes: connectRoutes(routes, options),
      logger: { warn: () => undefined, error: (_, error) => logged.push(error) },
      ...of.server,
    },
    ...(of.client === undefined ? {} : { client: of.client }),
  });
  onTestFinished(async () => {
    await pair.close();
    pair.assertFinished();
  });
  return {
    pair,
    logged,
    client: createClient(CounterService, createHawserTransport(pair.connection)),
    async settled(promise) {
      let done = false;
      promise.then(
        () => (done = true),
        () => (done = true),
      );
      await pair.clock.runUntil(() => done);
      return promise;
    },
  };
}

async function* nothing(): AsyncGenerator<never> {}

const withKey = (idempotencyKey: string): CallOptions => ({
  contextValues: createContextValues().set(hawserCallOptions, { idempotencyKey }),
});

const failed = (promise: Promise<unknown>): Promise<ConnectError> =>
  promise.then(
    () => expect.unreachable("the call should fail"),
    (error: unknown) => error as ConnectError,
  );

describe("what the schema says of calling twice", () => {
  it("has a lost call with no side effects made again, and one with side effects not", async () => {
    let runs = 0;
    const { pair, client, settled } = world((router) => {
      const handler = () => {
        if (++runs === 1) pair.restartServer();
        return { value: BigInt(runs) };
      };
      router.service(CounterService, { read: handler, add: handler });
    });
    expect((await settled(client.read({}))).value).toBe(2n);
    runs = 0;
    const error = await settled(failed(client.add({})));
    expect(error).toBeInstanceOf(ConnectError);
    expect(error.code).toBe(Code.Unavailable);
    expect((error.cause as RpcError).executed).toBe("unknown");
    expect(runs).toBe(1);
  });

  it("has a handler with (hawser.v1.once) run once, though its session is lost", async () => {
    const ran: bigint[] = [];
    const { pair, client, settled } = world((router) =>
      router.service(CounterService, {
        increment({ number }) {
          ran.push(number);
          pair.restartServer();
          return { value: number * 10n };
        },
      }),
    );
    expect((await settled(client.increment({ number: 4n }))).value).toBe(40n);
    expect(ran).toEqual([4n]);
  });

  it("gives a call the key that its context values name", async () => {
    let runs = 0n;
    const { client, settled } = world((router) =>
      router.service(CounterService, { add: () => ({ value: ++runs }) }),
    );
    for (let i = 0; i < 3; i++) {
      expect((await settled(client.add({ number: 1n }, withKey("order-42")))).value).toBe(1n);
    }
    const error = await settled(failed(client.add({ number: 2n }, withKey("order-42"))));
    expect(error.code).toBe(Code.InvalidArgument);
    expect((error.cause as RpcError).executed).toBe("no");
  });

  const gate = (context: { requestHeader: Headers }) => {
    if (context.requestHeader.get("x-token") !== "good") throw new ConnectError("who?", Code.Unauthenticated);
  };
  const interceptor: Interceptor = (next) => (request) => {
    gate({ requestHeader: request.header });
    return next(request);
  };
  it.each<[string, ConnectRoutesOptions]>([
    ["a gate", { requestGate: gate } as ConnectRoutesOptions],
    ["an interceptor", { interceptors: [interceptor] }],
  ])("keeps nothing under a key of a call that %s has turned away", async (_, options) => {
    let runs = 0n;
    const routes = (router: ConnectRouter) =>
      router.service(CounterService, { add: () => ({ value: ++runs }) });
    const { client, settled } = world(routes, options);
    const call = (token: string) =>
      client.add({ number: 1n }, { ...withKey("order-42"), headers: { "x-token": token } });
    const error = await settled(failed(call("bad")));
    expect(error.code).toBe(Code.Unauthenticated);
    expect((error.cause as RpcError).executed).toBe("no");
    expect((await settled(call("good"))).value).toBe(1n);
    expect(runs).toBe(1n);
  });

  it("keeps the outcome of a handler that has failed, behind interceptors too", async () => {
    let runs = 0;
    const { client, settled } = world(
      (router) =>
        router.service(CounterService, {
          add() {
            throw new ConnectError(`run ${++runs}`, Code.FailedPrecondition);
          },
        }),
      { interceptors: [(next) => next] },
    );
    for (let i = 0; i < 2; i++) {
      const error = await settled(failed(client.add({}, withKey("k"))));
      expect(error.rawMessage).toBe("run 1");
      expect((error.cause as RpcError).executed).toBe("yes");
    }
  });

  it("keeps nothing under the key of a handler that has stopped because its caller cancelled", async () => {
    let runs = 0n;
    let begun = false;
    const { pair, client, settled } = world((router) =>
      router.service(CounterService, {
        async add(_, { signal }) {
          if (++runs > 1n) return { value: runs };
          begun = true;
          return new Promise((_done, fail) => {
            signal.addEventListener("abort", () => fail(signal.reason));
          });
        },
      }),
    );
    const stop = new AbortController();
    const cancelled = failed(client.add({}, { ...withKey("k"), signal: stop.signal }));
    await pair.clock.runUntil(() => begun);
    stop.abort();
    expect((await settled(cancelled)).code).toBe(Code.Canceled);
    await pair.clock.advance(100);
    expect((await settled(client.add({}, withKey("k")))).value).toBe(2n);
  });

  it("asks for no store on behalf of methods that nobody has implemented", () => {
    const routes = connectRoutes((router) => router.service(CounterService, { read: () => ({}) }));
    expect(() => createPair({ server: { routes } })).not.toThrow();
    const served = connectRoutes((router) => router.service(CounterService, { increment: () => ({}) }));
    expect(() => createPair({ server: { routes: served } })).toThrow(/idempotencyStore/);
  });
});

describe("streams", () => {
  it.each<[string, ConnectRoutesOptions]>([
    ["", {}],
    ["behind interceptors", { interceptors: [(next) => next] }],
  ])("go on in the next session behind the token of the last message %s", async (_, options) => {
    const { pair, client, settled } = world(
      (router) =>
        router.service(CounterService, {
          async *follow({ count }, { values, signal }) {
            const from = Number(values.get(hawserContext)?.resumeToken ?? 0);
            for (let number = from + 1; number <= count; number++) {
              yield resumable({ number }, String(number));
              // The rest is for the next session.
              if (number === 2 && from === 0) {
                await new Promise((done) => signal.addEventListener("abort", done));
              }
            }
          },
        }),
      options,
    );
    const numbers: number[] = [];
    const read = async () => {
      for await (const { number } of client.follow({ count: 4 })) {
        if (numbers.push(number) === 2) pair.restartServer();
      }
    };
    await settled(read());
    expect(numbers).toEqual([1, 2, 3, 4]);
  });
});

describe("handlers", () => {
  it("find the session and its identity in their context, and make values of them", async () => {
    const user = createContextKey("nobody");
    const { client, settled } = world(
      (router) =>
        router.service(CounterService, {
          read(_, { values, responseHeader }) {
            const { session } = values.get(hawserContext) ?? {};
            responseHeader.set("x-user", `${values.get(user)} ${session?.identity?.id}`);
            return {};
          },
        }),
      { contextValues: ({ session }) => createContextValues().set(user, `user ${session.identity?.id}`) },
      {
        client: { credentials: "ada" },
        server: { authenticate: ({ credentials }) => ({ id: credentials }) },
      },
    );
    let seen: string | null = null;
    await settled(client.read({}, { onHeader: (headers) => (seen = headers.get("x-user")) }));
    expect(seen).toBe("user ada ada");
  });

  it("complete a key inside their own transaction", async () => {
    const { client, settled, logged } = world((router) =>
      router.service(CounterService, {
        increment({ number }, { values }) {
          void values.get(hawserContext)?.idempotency?.complete({ value: number });
          throw new Error("after the commit");
        },
      }),
    );
    expect((await settled(client.increment({ number: 3n }))).value).toBe(3n);
    expect(logged).toHaveLength(1);
  });

  it("call the client back with a Connect client, and it serves Connect routes", async () => {
    const { client, settled } = world(
      (router) =>
        router.service(CounterService, {
          async read(_, { values, signal }) {
            const { peer } = values.get(hawserContext) ?? expect.unreachable();
            const back = createClient(EchoService, createHawserTransport(peer));
            const { id } = await back.echo({ id: 6n }, { signal });
            return { value: id };
          },
        }),
      {},
      {
        client: {
          routes: connectRoutes((router) =>
            router.service(EchoService, { echo: ({ id }) => ({ id: id * 7n }) }),
          ),
        },
      },
    );
    expect((await settled(client.read({}))).value).toBe(42n);
  });

  it("are not complained of when they stop because they were asked to; the rest goes to the log as it is", async () => {
    const fault = new Error("a bug");
    const { pair, client, settled, logged } = world((router) =>
      router.service(CounterService, {
        read: () => Promise.reject(fault),
        add: (_, { signal }) =>
          new Promise((_done, fail) => {
            signal.addEventListener("abort", () => fail(signal.reason));
          }),
        async *follow(_, { signal }) {
          await new Promise((_done, fail) => {
            signal.addEventListener("abort", () => fail(signal.reason));
          });
        },
      }),
    );
    const stop = new AbortController();
    const options = { signal: stop.signal };
    const calls = [
      failed(client.add({}, options)),
      failed(client.follow({}, options)[Symbol.asyncIterator]().next()),
    ];
    await pair.clock.advance(100);
    stop.abort();
    for (const { code } of await settled(Promise.all(calls))) expect(code).toBe(Code.Canceled);
    await pair.clock.advance(100);
    expect(logged).toEqual([]);
    expect(await settled(failed(client.read({})))).toMatchObject({
      code: Code.Internal,
      rawMessage: "internal error",
    });
    expect(logged).toEqual([fault]);
  });

  it("leave no listener on the signal of the shutdown", async () => {
    const shutdown = new AbortController();
    let during = 0;
    const { client, settled } = world(
      (router) =>
        router.service(CounterService, {
          read(_, { signal }) {
            expect(signal.aborted).toBe(false);
            during = getEventListeners(shutdown.signal, "abort").length;
            return {};
          },
        }),
      { shutdownSignal: shutdown.signal },
    );
    await settled(client.read({}));
    expect(during).toBe(1);
    expect(getEventListeners(shutdown.signal, "abort")).toHaveLength(0);
  });

  it("stand beside routes of Hawser's own", async () => {
    const { pair, client, settled } = world(
      () => undefined,
      {},
      {
        server: {
          routes(router) {
            connectRoutes((connect) => connect.service(CounterService, { read: () => ({ value: 1n }) }))(
              router,
            );
            router.service(EchoService, { echo: ({ id }) => ({ id }) });
          },
        },
      },
    );
    const echo = createClient(EchoService, createHawserTransport(pair.connection));
    expect((await settled(client.read({}))).value).toBe(1n);
    expect((await settled(echo.echo({ id: 2n }))).id).toBe(2n);
  });
});

it("sends what is left of the time when interceptors have let the call go on", async () => {
  const now = vi.spyOn(performance, "now").mockReturnValue(1_000);
  onTestFinished(() => now.mockRestore());
  const slow: Interceptor = (next) => (request) => {
    now.mockReturnValue(11_000);
    return next(request);
  };
  const left: (number | undefined)[] = [];
  const { pair, settled } = world((router) =>
    router.service(CounterService, {
      read(_, { timeoutMs }) {
        left.push(timeoutMs());
        return {};
      },
      // biome-ignore lint/correctness/useYield: a stream without messages
      async *follow(_, { timeoutMs }) {
        left.push(timeoutMs());
      },
    }),
  );
  const transport = createHawserTransport(pair.connection, { interceptors: [slow] });
  const client = createClient(CounterService, transport);
  await settled(client.read({}, { timeoutMs: 60_000 }));
  now.mockReturnValue(1_000);
  await settled(client.follow({}, { timeoutMs: 60_000 })[Symbol.asyncIterator]().next());
  for (const timeoutMs of left) expect(timeoutMs).toBeLessThanOrEqual(50_000);
  expect(left).toHaveLength(2);
});

it("says in a request's URL what it was told to, whatever ends it", async () => {
  const urls: string[] = [];
  const note: Interceptor = (next) => (request) => {
    urls.push(request.url);
    return next(request);
  };
  const { pair, settled } = world((router) =>
    router.service(CounterService, { read: () => ({}), follow: () => nothing() }),
  );
  for (const baseUrl of [undefined, "https://example.com/api", "https://example.com/"]) {
    const transport = createHawserTransport(pair.connection, {
      interceptors: [note],
      ...(baseUrl === undefined ? {} : { baseUrl }),
    });
    const client = createClient(CounterService, transport);
    await settled(client.read({}));
    await settled(client.follow({})[Symbol.asyncIterator]().next());
  }
  const service = CounterService.typeName;
  expect(urls).toEqual(
    ["https://hawser", "https://example.com/api", "https://example.com"].flatMap((base) => [
      `${base}/${service}/Read`,
      `${base}/${service}/Follow`,
    ]),
  );
});

describe("the end of a call", () => {
  const options: [string, ConnectRoutesOptions][] = [
    ["", {}],
    ["behind interceptors", { interceptors: [(next) => next] }],
  ];

  it.each(options)("aborts a handler's signal with what it has thrown %s", async (_, options) => {
    const fault = new ConnectError("no more", Code.ResourceExhausted);
    const contexts: HandlerContext[] = [];
    const signals: AbortSignal[] = [];
    const { client, settled } = world((router) => {
      router.service(CounterService, {
        read(_, context) {
          contexts.push(context);
          signals.push(context.signal);
          throw fault;
        },
        // Asks for its signal only when all is over.
        add(_, context) {
          contexts.push(context);
          throw fault;
        },
      });
    }, options);
    for (const call of [client.read, client.add]) {
      expect((await settled(failed(call({})))).code).toBe(Code.ResourceExhausted);
    }
    const reasons = [...signals, ...contexts.map(({ signal }) => signal)].map(({ reason }) => reason);
    expect(reasons).toEqual([fault, fault, fault]);
    expect(contexts.map(({ protocolName }) => protocolName)).toEqual(["hawser", "hawser"]);
  });

  it.each(options)("comes to those who read requests as Connect's error %s", async (_, options) => {
    const seen: unknown[] = [];
    const read = async (requests: AsyncIterable<unknown>) => {
      try {
        for await (const _ of requests);
      } catch (error) {
        seen.push(error);
        throw error;
      }
    };
    const { pair, settled } = world((router) => {
      router.service(EchoService, {
        async collect(requests) {
          await read(requests);
          return {};
        },
        // biome-ignore lint/correctness/useYield: it never comes to an answer
        async *converse(requests) {
          await read(requests);
        },
      });
    }, options);
    const client = createClient(EchoService, createHawserTransport(pair.connection));
    const stop = new AbortController();
    const requests = (): AsyncIterable<object> => ({
      [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }),
    });
    const calls = [
      failed(client.collect(requests(), { signal: stop.signal })),
      failed(client.converse(requests(), { signal: stop.signal })[Symbol.asyncIterator]().next()),
    ];
    await pair.clock.advance(100);
    stop.abort();
    await settled(Promise.all(calls));
    await pair.clock.advance(100);
    expect(seen).toHaveLength(2);
    for (const error of seen) {
      expect(error).toBeInstanceOf(ConnectError);
      expect(error).toMatchObject({ code: Code.Canceled, isWireError: false });
    }
  });

  it("is told to the requests' iterator", async () => {
    const { pair, settled } = world((router) => {
      router.service(EchoService, { collect: async () => ({}), converse: () => nothing() });
    });
    const client = createClient(EchoService, createHawserTransport(pair.connection));
    const left = new Set<string>();
    const requests = (name: string): AsyncIterable<object> => ({
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => undefined),
        return: async () => {
          left.add(name);
          return { done: true, value: undefined };
        },
      }),
    });
    await settled(client.collect(requests("collect")));
    await settled(client.converse(requests("converse"))[Symbol.asyncIterator]().next());
    await pair.clock.advance(100);
    expect([...left]).toEqual(["collect", "converse"]);
  });

  it("comes when an interceptor leaves the messages", async () => {
    const signals: AbortSignal[] = [];
    const { pair, settled } = world((router) => {
      router.service(CounterService, {
        async *follow(_, { signal }) {
          signals.push(signal);
          yield { number: 1 };
          await new Promise((done) => signal.addEventListener("abort", done));
        },
      });
    });
    const first: Interceptor = (next) => async (request) => {
      const response = await next(request);
      if (!response.stream) return response;
      const iterator = response.message[Symbol.asyncIterator]();
      await iterator.next();
      await iterator.return?.();
      return { ...response, message: nothing() };
    };
    const transport = createHawserTransport(pair.connection, { interceptors: [first] });
    const client = createClient(CounterService, transport);
    await settled(client.follow({})[Symbol.asyncIterator]().next());
    await pair.clock.advance(100);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  it("is the wire's only when the other side has said so", async () => {
    const { client, settled } = world((router) => {
      router.service(CounterService, {
        read() {
          throw new ConnectError("no", Code.NotFound);
        },
        add: (_, { signal }) =>
          new Promise((_done, fail) => {
            signal.addEventListener("abort", () => fail(signal.reason));
          }),
      });
    });
    expect((await settled(failed(client.read({})))).isWireError).toBe(true);
    expect((await settled(failed(client.add({}, { timeoutMs: 50 })))).isWireError).toBe(false);
  });
});

it("keeps its interceptors, whatever becomes of the array that they came in", async () => {
  const ran: string[] = [];
  const interceptors: Interceptor[] = [
    (next) => (request) => {
      ran.push(request.method.name);
      return next(request);
    },
  ];
  const { pair, settled } = world((router) => router.service(CounterService, { read: () => ({}) }));
  const client = createClient(CounterService, createHawserTransport(pair.connection, { interceptors }));
  interceptors.pop();
  await settled(client.read({}));
  expect(ran).toEqual(["Read"]);
});

it("says what is wrong with options", () => {
  const transport = { unary: () => expect.unreachable(), stream: () => expect.unreachable() };
  expect(() => createHawserTransport(transport, { timeout: 5 } as object)).toThrow(
    'createHawserTransport() has no option "timeout"',
  );
  expect(() => connectRoutes({} as never)).toThrow("connectRoutes() routes must be a function, not object");
  expect(() => connectRoutes(() => undefined, { contextValues: {} as never })).toThrow(
    "connectRoutes() contextValues must be a function, not object",
  );
});
