import { getEventListeners } from "node:events";
import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it, onTestFinished } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_hawser.js";
import { CloseCode } from "../../src/base/close.js";
import {
  type Client,
  Code,
  createClient,
  createContextKey,
  createContextValues,
  errorDetail,
  type HandlerContext,
  type Interceptor,
  RpcError,
  type ServiceImpl,
} from "../../src/index.js";
import { NO_RETRIES } from "../../src/retry/options.js";
import { Retrier } from "../../src/retry/retrier.js";
import { createTransport } from "../../src/retry/transport.js";
import { createAnswerer } from "../../src/rpc/answer.js";
import type { CallSession, CallsHost } from "../../src/rpc/call-table.js";
import { Calls } from "../../src/rpc/calls.js";
import { collectRoutes } from "../../src/rpc/router.js";
import { createPair, type Pair, type PairOptions } from "../../src/testing/index.js";
import type { EndFrame } from "../../src/wire/frame.js";
import { DEFAULT_LIMITS } from "../../src/wire/limits.js";

type Handlers = Partial<ServiceImpl<typeof EchoService>>;

interface Setup {
  readonly pair: Pair;
  readonly client: Client<typeof EchoService>;
  readonly logged: unknown[];
}

/** A pair with these handlers; when the test is over, nothing may be left of it. */
function setup(
  handlers: Handlers,
  options: Partial<PairOptions> & { interceptors?: Interceptor[] } = {},
): Setup {
  const logged: unknown[] = [];
  const pair = createPair({
    ...options,
    server: {
      routes: (router) => router.service(EchoService, handlers),
      interceptors: options.interceptors ?? [],
      logger: { warn: () => undefined, error: (_message, error) => logged.push(error) },
      ...options.server,
    },
  });
  onTestFinished(async () => {
    await pair.close();
    pair.assertFinished();
  });
  return { pair, client: createClient(EchoService, pair.connection), logged };
}

/** Runs the clock until a promise has settled. */
async function settle<T>(pair: Pair, promise: Promise<T>): Promise<T> {
  let over = false;
  const mark = () => {
    over = true;
  };
  promise.then(mark, mark);
  await pair.clock.runUntil(() => over);
  return promise;
}

async function failure(pair: Pair, promise: Promise<unknown>): Promise<RpcError> {
  const error = await settle(
    pair,
    promise.then(
      () => expect.fail("the call succeeded"),
      (reason: unknown) => reason,
    ),
  );
  expect(error).toBeInstanceOf(RpcError);
  return error as RpcError;
}

async function collect<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const message of messages) all.push(message);
  return all;
}

async function* numbers(count: number, body: Uint8Array = new Uint8Array(0)) {
  for (let number = 1; number <= count; number++) yield { number, body };
}

const never = new Promise<never>(() => undefined);

const ECHO: Handlers = {
  echo: (request) => ({ id: request.id, name: request.name, body: request.body }),
  async *repeat({ body, count }) {
    for (let number = 1; number <= count; number++) yield { number, body };
  },
  async collect(requests) {
    const all = await collect(requests);
    return { numbers: all.map(({ number }) => number) };
  },
  async *converse(requests) {
    for await (const { number, body } of requests) yield { number, body };
  },
};

describe("status and metadata", () => {
  it("carries headers and trailers of a unary call both ways", async () => {
    const { pair, client } = setup({
      echo(_request, context) {
        context.responseHeader.set("x-seen", context.requestHeader.get("x-asked") ?? "");
        context.responseTrailer.set("x-after", "done");
        return {};
      },
    });
    const seen: (string | null)[] = [];
    await settle(
      pair,
      client.echo(
        {},
        {
          headers: { "X-Asked": "yes" },
          onHeader: (headers) => seen.push(headers.get("x-seen")),
          onTrailer: (trailers) => seen.push(trailers.get("x-after")),
        },
      ),
    );
    expect(seen).toEqual(["yes", "done"]);
  });

  it("carries them for streams, headers before the first message", async () => {
    const { pair, client } = setup({
      async *repeat(_request, context) {
        context.responseHeader.set("x-first", "1");
        yield { number: 1 };
        context.responseTrailer.set("x-last", "2");
      },
    });
    const order: string[] = [];
    const read = async () => {
      const options = {
        onHeader: (headers: Headers) => order.push(`header ${headers.get("x-first")}`),
        onTrailer: (trailers: Headers) => order.push(`trailer ${trailers.get("x-last")}`),
      };
      for await (const { number } of client.repeat({}, options)) order.push(`message ${number}`);
    };
    await settle(pair, read());
    expect(order).toEqual(["header 1", "message 1", "trailer 2"]);
  });

  it("carries code, message, details and metadata of an error, and that the handler ran", async () => {
    const { pair, client } = setup({
      echo() {
        throw new RpcError("no such thing", Code.NotFound, {
          details: [errorDetail(DurationSchema, { seconds: 5n })],
          metadata: { "x-why": "because" },
        });
      },
    });
    const error = await failure(pair, client.echo({}));
    expect(error).toMatchObject({ code: Code.NotFound, rawMessage: "no such thing", executed: "yes" });
    expect(error.message).toBe("NOT_FOUND: no such thing");
    const [detail] = error.findDetails(DurationSchema) as [Duration];
    expect(detail).toEqual(create(DurationSchema, { seconds: 5n }));
    expect(error.metadata.get("x-why")).toBe("because");
  });

  it.each(["echo", "repeat", "collect"] as const)(
    "carries the response headers that came with an error in its metadata: %s",
    async (name) => {
      const fail = ({ responseHeader, responseTrailer }: HandlerContext): never => {
        responseHeader.set("x-header", "h");
        responseHeader.set("x-both", "1");
        responseTrailer.set("x-both", "2");
        throw new RpcError("no", Code.Aborted, { metadata: { "x-why": "because" } });
      };
      const { pair, client } = setup({
        echo: (_, context) => fail(context),
        // biome-ignore lint/correctness/useYield: it fails before the first message
        async *repeat(_, context) {
          fail(context);
        },
        collect: async (_, context) => fail(context),
      });
      const seen: string[] = [];
      const onHeader = (headers: Headers) => seen.push(headers.get("x-header") ?? "none");
      const calls = {
        echo: () => client.echo({}),
        repeat: () => collect(client.repeat({}, { onHeader })),
        collect: () => client.collect(numbers(1)),
      };
      const error = await failure(pair, calls[name]());
      expect([...error.metadata]).toEqual([
        ["x-both", "1, 2"],
        ["x-header", "h"],
        ["x-why", "because"],
      ]);
      expect(seen).toEqual(name === "repeat" ? ["h"] : []);
    },
  );

  it("says INTERNAL and nothing else of what a handler throws; the log has it all", async () => {
    const { pair, client, logged } = setup({
      async echo() {
        throw new Error("the password is 1234");
      },
      async *repeat() {
        yield { number: 1 };
        throw new Error("the key is 5678");
      },
    });
    const unary = await failure(pair, client.echo({}));
    expect(unary).toMatchObject({ code: Code.Internal, rawMessage: "internal error", executed: "yes" });
    const stream = await failure(pair, collect(client.repeat({})));
    expect(stream).toMatchObject({ code: Code.Internal, rawMessage: "internal error" });
    expect(logged.map(String)).toEqual(["Error: the password is 1234", "Error: the key is 5678"]);
  });

  it("answers methods that are not served with UNIMPLEMENTED, not executed", async () => {
    const { pair, client } = setup({});
    expect(await failure(pair, client.echo({}))).toMatchObject({ code: Code.Unimplemented, executed: "no" });
    expect(await failure(pair, collect(client.converse(numbers(1))))).toMatchObject({
      code: Code.Unimplemented,
    });
  });
});

describe("limits of a call", () => {
  const limits = { server: { routes: () => undefined, limits: { messageBytes: 1_000, headerBytes: 1_024 } } };

  it("fail that call and leave the others alone", async () => {
    const { pair, client } = setup(ECHO, {
      server: { ...limits.server, routes: (router) => router.service(EchoService, ECHO) },
    });
    await settle(pair, client.echo({}));
    const large = await failure(pair, client.echo({ body: new Uint8Array(2_000) }));
    expect(large).toMatchObject({ code: Code.ResourceExhausted, executed: "no" });
    expect(large.message).toContain("limits.messageBytes");
    const metadata = await failure(pair, client.echo({}, { headers: { "x-long": "x".repeat(2_000) } }));
    expect(metadata).toMatchObject({ code: Code.ResourceExhausted, executed: "no" });
    const stream = client.converse(numbers(3, new Uint8Array(2_000)));
    expect(await failure(pair, collect(stream))).toMatchObject({ code: Code.ResourceExhausted });
    expect((await settle(pair, client.echo({ name: "still here" }))).name).toBe("still here");
    expect(pair.connection.state).toBe("open");
  });

  it("refuse a response that the caller does not take", async () => {
    const { pair, client } = setup(
      { echo: () => ({ body: new Uint8Array(2_000) }) },
      { client: { limits: { messageBytes: 1_000 } } },
    );
    expect(await failure(pair, client.echo({}))).toMatchObject({
      code: Code.ResourceExhausted,
      executed: "yes",
    });
  });

  it("say what is wrong with metadata and messages that cannot be sent", async () => {
    const { pair, client } = setup(ECHO);
    const metadata = await failure(pair, client.echo({}, { headers: { "no good": "x" } }));
    expect(metadata).toMatchObject({ code: Code.InvalidArgument, executed: "no" });
    const message = await failure(pair, client.echo({ id: -1n }));
    expect(message).toMatchObject({ code: Code.Internal, executed: "no" });
    expect(message.message).toContain("hawser.test.v1.EchoRequest");
  });

  it("let calls wait while the other side has as many open as it takes", async () => {
    let open = 0;
    let most = 0;
    const handlers: Handlers = {
      async echo({ id }) {
        most = Math.max(most, ++open);
        await new Promise<void>((resolve) => pair.clock.schedule(resolve, 10));
        open--;
        return { id };
      },
    };
    const { pair, client } = setup(handlers, {
      server: { routes: (router) => router.service(EchoService, handlers), limits: { calls: 3 } },
    });
    const ids = Array.from({ length: 20 }, (_, i) => BigInt(i));
    const all = await settle(pair, Promise.all(ids.map((id) => client.echo({ id }))));
    expect(all.map(({ id }) => id)).toEqual(ids);
    expect(most).toBe(3);
  });
});

describe("deadlines and cancellation", () => {
  const hanging = (seen: { context?: HandlerContext; returned?: boolean }): Handlers => ({
    echo: (_request, context) => {
      seen.context = context;
      context.signal.throwIfAborted();
      return never;
    },
    async *repeat(_request, context) {
      seen.context = context;
      void context.signal;
      try {
        for (let number = 1; ; number++) {
          yield { number };
          await new Promise<void>((resolve) =>
            context.signal.addEventListener("abort", () => resolve(), { once: true }),
          );
        }
      } finally {
        seen.returned = true;
      }
    },
  });

  it("pass on both sides", async () => {
    const seen: { context?: HandlerContext } = {};
    const { pair, client } = setup(hanging(seen));
    const call = client.echo({}, { timeoutMs: 500 });
    await pair.clock.runUntil(() => seen.context !== undefined);
    expect(seen.context?.timeoutMs()).toBeGreaterThan(0);
    expect(seen.context?.timeoutMs()).toBeLessThanOrEqual(500);
    expect(await failure(pair, call)).toMatchObject({ code: Code.DeadlineExceeded, executed: "unknown" });
    await pair.clock.runUntil(() => seen.context?.signal.aborted === true);
    expect(pair.connection.callsInFlight).toBe(0);
  });

  it("tick while the link is down", async () => {
    const seen: { context?: HandlerContext } = {};
    const { pair, client } = setup(hanging(seen));
    const call = client.echo({}, { timeoutMs: 500 });
    await pair.clock.runUntil(() => seen.context !== undefined);
    pair.reachable = false;
    pair.network.cut();
    expect(await failure(pair, call)).toMatchObject({ code: Code.DeadlineExceeded });
    expect(pair.clock.now()).toBeLessThan(1_000);
    await pair.clock.advance(100); // The server began to count a little later.
    expect(seen.context?.signal.aborted).toBe(true);
    pair.reachable = true;
  });

  it("cancel through a signal, before, while waiting and in flight", async () => {
    const seen: { context?: HandlerContext } = {};
    const { pair, client } = setup(hanging(seen));
    const before = await failure(pair, client.echo({}, { signal: AbortSignal.abort() }));
    expect(before).toMatchObject({ code: Code.Canceled, executed: "no" });
    const waiting = new AbortController();
    const waits = client.echo({}, { signal: waiting.signal });
    waiting.abort();
    expect(await failure(pair, waits)).toMatchObject({ code: Code.Canceled, executed: "no" });
    const inFlight = new AbortController();
    const flies = client.echo({}, { signal: inFlight.signal });
    await pair.clock.runUntil(() => seen.context !== undefined);
    expect(seen.context?.signal.aborted).toBe(false);
    inFlight.abort();
    expect(await failure(pair, flies)).toMatchObject({ code: Code.Canceled, executed: "unknown" });
    await pair.clock.runUntil(() => seen.context?.signal.aborted === true);
  });

  it("leave nothing behind when the request does not fit its schema, first call or later one", async () => {
    const { pair, client } = setup({ echo: ({ name }) => ({ name }) });
    const { signal } = new AbortController();
    const misfit = () => failure(pair, client.echo({ id: -1n }, { signal }));
    const refusal = {
      code: Code.Internal,
      executed: "no",
      rawMessage: expect.stringContaining("cannot encode"),
    };
    expect(await misfit()).toMatchObject(refusal);
    // Now the other side knows the method, and the message is tried in the packet itself.
    expect(await settle(pair, client.echo({ name: "a" }, { signal }))).toMatchObject({ name: "a" });
    expect(await misfit()).toMatchObject(refusal);
    expect(getEventListeners(signal, "abort")).toEqual([]);
    expect(pair.connection.callsInFlight).toBe(0);
    expect(await settle(pair, client.echo({ name: "b" }, { signal }))).toMatchObject({ name: "b" });
  });

  it("cancel by leaving the loop, and end the handler's generator", async () => {
    const seen: { context?: HandlerContext; returned?: boolean } = {};
    const { pair, client } = setup(hanging(seen));
    const read = async () => {
      for await (const { number } of client.repeat({})) if (number === 1) break;
    };
    await settle(pair, read());
    await pair.clock.runUntil(() => seen.returned === true);
    expect(pair.connection.callsInFlight).toBe(0);
  });

  it("cancel a stream that was never read", async () => {
    const seen: { context?: HandlerContext; returned?: boolean } = {};
    const { pair, client } = setup(hanging(seen));
    const iterator = client.repeat({})[Symbol.asyncIterator]();
    await pair.clock.runUntil(() => seen.context !== undefined);
    await settle(pair, Promise.resolve(iterator.return?.()));
    await pair.clock.runUntil(() => seen.returned === true);
  });

  it("stop the caller's request stream when the handler answers early", async () => {
    let stopped = false;
    async function* endless() {
      try {
        for (let number = 1; ; number++) yield { number };
      } finally {
        stopped = true;
      }
    }
    const { pair, client } = setup({
      async collect(requests) {
        for await (const { number } of requests) return { numbers: [number] };
        return {};
      },
    });
    expect((await settle(pair, client.collect(endless()))).numbers).toEqual([1]);
    await pair.clock.runUntil(() => stopped);
  });

  it("fail a call whose request stream fails", async () => {
    async function* broken() {
      yield { number: 1 };
      throw new Error("out of paper");
    }
    const { pair, client } = setup(ECHO);
    expect((await failure(pair, client.collect(broken()))).message).toContain("out of paper");
  });
});

describe("flow control", () => {
  it("stops a writer whose reader stops, and lets it go on", async () => {
    let written = 0;
    const { pair, client } = setup({
      async *repeat({ count }) {
        for (let number = 1; number <= count; number++) {
          written++;
          yield { number, body: new Uint8Array(10_000) };
        }
      },
    });
    const iterator = client.repeat({ count: 200 })[Symbol.asyncIterator]();
    await settle(pair, iterator.next());
    await pair.clock.advance(10_000);
    const window = 256 * 1024;
    expect(written).toBeGreaterThan(window / 10_020 - 2);
    expect(written).toBeLessThan(window / 10_000 + 3);
    let read = 1;
    const rest = async () => {
      while ((await iterator.next()).done !== true) read++;
    };
    await settle(pair, rest());
    expect(read).toBe(200);
  });

  it("carries messages larger than the window, side by side with small ones", async () => {
    const { pair, client } = setup(ECHO, {
      network: { latencyMs: 10, bytesPerSecond: 1_000_000 },
      client: { limits: { creditBytes: 131_104 } },
    });
    const body = Uint8Array.from({ length: 3_000_000 }, (_, i) => i * 7);
    const order: string[] = [];
    const large = client.echo({ body }).then((response) => {
      order.push("large");
      return response;
    });
    await pair.clock.advance(500);
    const small = client.echo({ name: "small" }).then((response) => order.push(response.name));
    expect((await settle(pair, large)).body).toEqual(body);
    await settle(pair, small);
    expect(order).toEqual(["small", "large"]);
  });

  it("does not let a slow reader hold up other calls", async () => {
    const { pair, client } = setup(ECHO);
    const stopped = client.repeat({ count: 1_000, body: new Uint8Array(5_000) })[Symbol.asyncIterator]();
    await settle(pair, stopped.next());
    await pair.clock.advance(5_000);
    expect(
      await settle(pair, collect(client.repeat({ count: 300, body: new Uint8Array(5_000) }))),
    ).toHaveLength(300);
    await settle(pair, Promise.resolve(stopped.return?.()));
  });
});

describe("interceptors", () => {
  it("are of one type on both sides, run in order, and see all four kinds", async () => {
    const order: string[] = [];
    const trace =
      (name: string): Interceptor =>
      (next) =>
      async (request) => {
        order.push(`${name} ${request.method.name}`);
        request.header.append("x-path", name);
        const response = await next(request);
        order.push(`${name} back`);
        return response;
      };
    let path: string | null = null;
    const { pair, client } = setup(
      {
        ...ECHO,
        echo(request, context) {
          path = context.requestHeader.get("x-path");
          return { name: request.name };
        },
      },
      { interceptors: [trace("s1"), trace("s2")], client: { interceptors: [trace("c1"), trace("c2")] } },
    );
    expect((await settle(pair, client.echo({ name: "a" }))).name).toBe("a");
    expect(path).toBe("c1, c2, s1, s2");
    expect(order).toEqual([
      "c1 Echo",
      "c2 Echo",
      "s1 Echo",
      "s2 Echo",
      "s2 back",
      "s1 back",
      "c2 back",
      "c1 back",
    ]);
    expect(await settle(pair, collect(client.repeat({ count: 3 })))).toHaveLength(3);
    expect((await settle(pair, client.collect(numbers(4)))).numbers).toEqual([1, 2, 3, 4]);
    expect(await settle(pair, collect(client.converse(numbers(5))))).toHaveLength(5);
  });

  it("may answer, refuse, and hand on values", async () => {
    const user = createContextKey("nobody", { description: "user" });
    const authorise: Interceptor = (next) => async (request) => {
      if (request.header.get("authorization") !== "yes") throw new RpcError("no", Code.PermissionDenied);
      request.contextValues.set(user, "ada");
      return next(request);
    };
    const sign: Interceptor = (next) => (request) => {
      request.header.set("authorization", request.contextValues.get(user) === "root" ? "yes" : "no");
      return next(request);
    };
    const { pair, client } = setup(
      { echo: (_request, context) => ({ name: context.values.get(user) }) },
      { interceptors: [authorise], client: { interceptors: [sign] } },
    );
    expect(await failure(pair, client.echo({}))).toMatchObject({ code: Code.PermissionDenied });
    const contextValues = createContextValues().set(user, "root");
    expect((await settle(pair, client.echo({}, { contextValues }))).name).toBe("ada");
  });
});

describe("the other direction", () => {
  it("lets a handler call a service of its client", async () => {
    const { pair, client } = setup(
      {
        async echo({ name }, context) {
          const back = createClient(EchoService, context.peer);
          return { name: `${name} ${(await back.echo({ name: "client" })).name}` };
        },
      },
      {
        client: {
          routes: (router) =>
            router.service(EchoService, { echo: ({ name }) => ({ name: `from the ${name}` }) }),
        },
      },
    );
    expect((await settle(pair, client.echo({ name: "answer" }))).name).toBe("answer from the client");
  });

  it("lets the server call clients, through breaks too, for all four kinds", async () => {
    const { pair } = setup({}, { client: { routes: (router) => router.service(EchoService, ECHO) } });
    await pair.clock.runUntil(() => pair.connection.state === "open");
    const [session] = pair.sessions;
    const client = createClient(EchoService, session!.peer);
    const conversed = collect(client.converse(numbers(50, new Uint8Array(5_000))));
    const collected = client.collect(numbers(20));
    pair.network.cut();
    expect(await settle(pair, conversed)).toHaveLength(50);
    expect((await settle(pair, collected)).numbers).toHaveLength(20);
    expect((await settle(pair, client.echo({ name: "x" }))).name).toBe("x");
    expect(await settle(pair, collect(client.repeat({ count: 2 })))).toHaveLength(2);
  });

  it("keeps answers of a lost session out of the next one", async () => {
    let answer: () => void = () => undefined;
    const { pair } = setup(
      { echo: () => ({ name: "server" }) },
      {
        client: {
          routes: (router) =>
            router.service(EchoService, {
              echo: () =>
                new Promise((resolve) => {
                  answer = () => resolve({ name: "late" });
                }),
            }),
        },
      },
    );
    await pair.clock.runUntil(() => pair.connection.state === "open");
    const [session] = pair.sessions;
    const asked = createClient(EchoService, session!.peer).echo({});
    // The deadline of this one passes on the client while there is no link: its answer is waiting, too.
    const timed = failure(pair, createClient(EchoService, session!.peer).echo({}, { timeoutMs: 300 }));
    await pair.clock.advance(100);
    pair.reachable = false;
    pair.restartServer();
    expect((await failure(pair, asked)).code).toBe(Code.Unavailable);
    await timed;
    answer();
    await pair.clock.advance(1_000);
    pair.reachable = true;
    const breaks: number[] = [];
    pair.connection.on("reconnecting", ({ code }) => breaks.push(code));
    const client = createClient(EchoService, pair.connection);
    expect((await settle(pair, client.echo({}))).name).toBe("server");
    await pair.clock.advance(1_000);
    expect(breaks.filter((code) => code === CloseCode.protocolError)).toEqual([]);
  });
});

describe("an End inside a message", () => {
  const settings = {
    clock: () => 0,
    limits: DEFAULT_LIMITS,
    maxWaitingCalls: 10,
    maxWaitMs: 1_000,
    outboxWaitMs: 1_000,
  };
  const end: EndFrame = {
    kind: "end",
    call: 1,
    code: 0,
    message: "",
    details: undefined,
    headers: undefined,
    trailers: undefined,
    refused: false,
    unfinished: false,
    payload: undefined,
  };

  /** A call of this side, of whose response 8 bytes of 20 have arrived. */
  function halfAnswered() {
    const session: CallSession = {
      state: "open",
      writable: true,
      fullSince: Number.POSITIVE_INFINITY,
      peerLimits: DEFAULT_LIMITS,
      send: () => undefined,
      // What is not taken here is encoded by itself.
      check: () => undefined,
      sendMessage: () => -1,
      wake: () => undefined,
      position: () => undefined,
    };
    const answerer = { answer: () => expect.fail("nobody calls") };
    const calls = new Calls({ ...settings, role: "client", answerer }, session, quietHost);
    const host = { clock: () => 0, random: () => 0, after: () => expect.fail("nothing is attempted again") };
    const caller = { calls, retrier: new Retrier(NO_RETRIES, host), newKey: () => "" };
    const call = createTransport(caller, []).unary(EchoService.method.echo, {}, undefined);
    call.catch(() => undefined);
    const payload = new Uint8Array(8);
    calls.onFrame({
      kind: "data",
      call: 1,
      end: false,
      size: 20,
      headers: undefined,
      resumeToken: "",
      payload,
    });
    return { calls, call };
  }

  it.each([
    ["with a payload", { ...end, payload: new Uint8Array(12) }],
    ["that says OK", end],
    ["with a payload and an error", { ...end, code: 5, payload: new Uint8Array(12) }],
  ])("%s breaks the protocol", (_what, frame) => {
    const { calls } = halfAnswered();
    expect(() => calls.onFrame(frame)).toThrow(/inside a message/);
  });

  it("with an error ends the call", async () => {
    const { calls, call } = halfAnswered();
    calls.onFrame({ ...end, code: Code.NotFound });
    await expect(call).rejects.toMatchObject({ code: Code.NotFound, executed: "yes" });
    expect(calls.size).toBe(0);
  });
});

/** Nobody calls back, and nobody wants to know. */
const quietHost = {
  info: { id: "", identity: undefined },
  whyNotOpen: () => "",
  onDeadline: () => undefined,
} as unknown as CallsHost;

describe("an answer that waits for a link", () => {
  it("is dropped with its session", () => {
    const session = { state: "open" as CallSession["state"], writable: true };
    let now = 0;
    const answerer = createAnswerer({
      routes: collectRoutes((router) => router.service(EchoService, { echo: () => never })),
      interceptors: [],
      onHandlerError: () => expect.fail("no handler fails"),
      guard: undefined,
    });
    const calls = new Calls(
      {
        role: "client",
        clock: () => now,
        limits: DEFAULT_LIMITS,
        maxWaitingCalls: 10,
        maxWaitMs: 1_000,
        outboxWaitMs: 1_000,
        answerer,
      },
      {
        get state() {
          return session.state;
        },
        get writable() {
          return session.writable;
        },
        fullSince: Number.POSITIVE_INFINITY,
        peerLimits: DEFAULT_LIMITS,
        send: () => expect.fail("nothing can be sent"),
        // What is not taken here is encoded by itself.
        check: () => undefined,
        sendMessage: () => -1,
        wake: () => undefined,
        position: () => undefined,
      },
      quietHost,
    );
    const open = {
      kind: "open",
      headers: undefined,
      end: true,
      size: 0,
      resumeToken: "",
      idempotencyKey: "",
      payload: new Uint8Array(0),
    } as const;
    const name = "hawser.test.v1.EchoService/Echo";
    calls.onFrame({ ...open, call: 2, method: 1, name, timeoutMs: 10 });
    calls.onFrame({ ...open, call: 4, method: 1, name: "", timeoutMs: 10 });
    session.state = "detached";
    session.writable = false;
    now = 20;
    calls.expire(now);
    // It would go out now, if the session went on …
    expect(calls.pullFrame()).toMatchObject({ kind: "end", call: 2, code: Code.DeadlineExceeded });
    // … but means nothing to another one.
    calls.onLost(Number.POSITIVE_INFINITY);
    expect(calls.pullFrame()).toBeUndefined();
    expect(calls.size).toBe(0);
  });
});
