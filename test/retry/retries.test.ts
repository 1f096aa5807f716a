// What is attempted again, when, and what the caller is told: the calling side alone, at a time that stands still.
import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  CounterService,
  ReadResponseSchema,
  SumRequestSchema,
  WatchResponseSchema,
} from "../../gen/hawser/test/v1/counter_pb.js";
import { Code, createClient, type RetryOptions, type RpcError, retryInfo } from "../../src/index.js";
import { CallerBench, settle } from "./bench.js";

const VALUE = toBinary(ReadResponseSchema, create(ReadResponseSchema, { value: 7n }));
const number = (value: number) =>
  toBinary(WatchResponseSchema, create(WatchResponseSchema, { number: value }));

function setup(options?: RetryOptions | false) {
  const bench = new CallerBench(options);
  return { bench, client: createClient(CounterService, bench.transport) };
}

/** What a promise has come to by now. */
async function outcome(promise: Promise<unknown>): Promise<unknown> {
  let result: unknown = "pending";
  promise.then(
    (value) => {
      result = value;
    },
    (error: unknown) => {
      result = error;
    },
  );
  await settle();
  return result;
}

describe("a unary call", () => {
  it("is attempted again after UNAVAILABLE when the schema says it is safe, a backoff apart", async () => {
    const { bench, client } = setup();
    const call = client.read({});
    const delays: number[] = [];
    for (let attempt = 1; attempt < 5; attempt++) {
      bench.fail();
      expect(bench.opens).toHaveLength(attempt);
      delays.push(...bench.delays);
      bench.advance(bench.delays[0] as number);
    }
    expect(delays).toEqual([100, 200, 400, 800]);
    expect(bench.previousAttempts).toEqual([undefined, "1", "2", "3", "4"]);
    bench.end({ payload: VALUE });
    expect(await outcome(call)).toMatchObject({ value: 7n });
    expect(bench.retrier.waiting).toBe(0);
  });

  it("fails with the last error after the last attempt", async () => {
    const { bench, client } = setup({ policy: { maxAttempts: 2 } });
    const call = client.read({});
    bench.fail(Code.Unavailable, { message: "first" });
    bench.advance(1_000);
    bench.fail(Code.Unavailable, { message: "second" });
    expect(await outcome(call)).toMatchObject({ rawMessage: "second", executed: "yes" });
    expect(bench.opens).toHaveLength(2);
  });

  it("is not attempted again after another status", async () => {
    const { bench, client } = setup();
    const call = client.read({});
    bench.fail(Code.Internal);
    expect(await outcome(call)).toMatchObject({ code: Code.Internal });
    expect(bench.timers.size).toBe(0);
  });

  it("is not attempted again when the schema says nothing, and may have run", async () => {
    const { bench, client } = setup();
    const call = client.add({});
    bench.lose();
    expect(await outcome(call)).toMatchObject({ code: Code.Unavailable, executed: "unknown" });
    expect(bench.opens).toHaveLength(1);
  });

  it("is attempted again in the next session when it carries a key, with the same key", async () => {
    const { bench, client } = setup();
    const call = client.add({ number: 1n }, { idempotencyKey: "mine" });
    bench.lose();
    bench.advance(200);
    expect(bench.opens.map(({ idempotencyKey, payload }) => [idempotencyKey, payload])).toEqual([
      ["mine", bench.open.payload],
      ["mine", bench.open.payload],
    ]);
    bench.end({ payload: VALUE });
    expect(await outcome(call)).toMatchObject({ value: 7n });
  });

  it("gets a key by itself when the schema says once, a new one for each call", async () => {
    const { bench, client } = setup();
    void client.increment({});
    void client.increment({});
    bench.lose();
    bench.advance(200);
    expect(bench.opens.map(({ idempotencyKey }) => idempotencyKey)).toEqual([
      "key-1",
      "key-2",
      "key-1",
      "key-2",
    ]);
  });

  it.each([
    ["", /1 to 255/],
    ["x".repeat(256), /1 to 255/],
  ])("refuses the key %j", async (idempotencyKey, message) => {
    const { bench, client } = setup();
    const error = await client.read({}, { idempotencyKey }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: Code.InvalidArgument, executed: "no" });
    expect((error as RpcError).message).toMatch(message);
    expect(bench.opens).toEqual([]);
  });

  it("is not attempted again with retry: false, nor on a connection with retry: false", async () => {
    const own = setup();
    const call = own.client.read({}, { retry: false });
    own.bench.fail();
    expect(await outcome(call)).toMatchObject({ code: Code.Unavailable });
    const all = setup(false);
    const other = all.client.read({});
    all.bench.lose();
    expect(await outcome(other)).toMatchObject({ code: Code.Unavailable, executed: "unknown" });
  });

  it("keeps its deadline over all attempts, and begins none that would come after it", async () => {
    const { bench, client } = setup();
    const call = client.read({}, { timeoutMs: 250 });
    bench.fail();
    bench.advance(100);
    expect(bench.open.timeoutMs).toBe(150);
    bench.fail();
    // The next one would begin 200 ms from now.
    expect(await outcome(call)).toMatchObject({ code: Code.Unavailable, executed: "yes" });
  });

  it("passes its deadline in a later attempt: the handler may have run in the first", async () => {
    const { bench, client } = setup();
    const call = client.read({}, { timeoutMs: 250 });
    bench.lose();
    bench.advance(100);
    bench.advance(150);
    expect(await outcome(call)).toMatchObject({ code: Code.DeadlineExceeded, executed: "unknown" });
  });

  it("is cancelled while it waits for its next attempt", async () => {
    const { bench, client } = setup();
    const stop = new AbortController();
    const call = client.read({}, { signal: stop.signal });
    bench.lose();
    stop.abort();
    expect(await outcome(call)).toMatchObject({ code: Code.Canceled, executed: "unknown" });
    expect(bench.timers.size + bench.retrier.waiting).toBe(0);
  });

  it("ends with its connection while it waits for its next attempt", async () => {
    const { bench, client } = setup();
    const call = client.read({});
    bench.lose();
    expect(bench.retrier.waiting).toBe(1);
    bench.retrier.close("the connection was closed", Code.Canceled);
    expect(await outcome(call)).toMatchObject({ code: Code.Canceled, executed: "unknown" });
    expect(bench.timers.size).toBe(0);
  });

  it("moves its delays by a fifth, and not beyond", () => {
    const { bench, client } = setup();
    bench.random = 0;
    client.read({}).catch(() => undefined);
    bench.fail();
    expect(bench.delays).toEqual([80]);
    bench.random = 1;
    bench.advance(80);
    bench.fail();
    expect(bench.delays).toEqual([240]);
  });
});

describe("a call that certainly did not run", () => {
  it.each(["unary", "server streaming", "client streaming", "bidi"] as const)(
    "is attempted again whatever its schema says: %s",
    async (kind) => {
      const { bench, client } = setup(false);
      async function* requests() {
        yield { number: 1 };
        yield { number: 2 };
      }
      const results: unknown[] = [];
      const read = async (messages: AsyncIterable<unknown>) => {
        for await (const message of messages) results.push(message);
      };
      const call =
        kind === "unary"
          ? client.add({})
          : kind === "server streaming"
            ? read(client.follow({}))
            : kind === "client streaming"
              ? client.sum(requests())
              : read(client.exchange(requests()));
      await settle();
      const frames = bench.sent.length;
      bench.fail(Code.Unavailable, { refused: true });
      await settle();
      // Everything that was sent is sent again.
      expect(
        bench.sent.slice(frames).map((frame) => [frame.kind, "payload" in frame && frame.payload]),
      ).toEqual(
        bench.sent.slice(0, frames).map((frame) => [frame.kind, "payload" in frame && frame.payload]),
      );
      bench.end({ payload: VALUE });
      await expect(call).resolves.not.toThrow();
    },
  );

  it("is refused for good the second time, unless a policy says otherwise", async () => {
    const { bench, client } = setup();
    const call = client.add({});
    bench.fail(Code.ResourceExhausted, { refused: true });
    expect(bench.opens).toHaveLength(2);
    bench.fail(Code.ResourceExhausted, { refused: true });
    expect(await outcome(call)).toMatchObject({ code: Code.ResourceExhausted, executed: "no" });
    const safe = client.read({});
    bench.fail(Code.ResourceExhausted, { refused: true });
    bench.fail(Code.ResourceExhausted, { refused: true });
    expect(bench.delays).toEqual([100]);
    bench.advance(100);
    bench.end({ payload: VALUE });
    expect(await outcome(safe)).toMatchObject({ value: 7n });
  });

  it("is not attempted again when a moment later the answer would be the same", async () => {
    const { bench, client } = setup();
    const call = client.add({});
    bench.fail(Code.Unimplemented, { refused: true });
    expect(await outcome(call)).toMatchObject({ code: Code.Unimplemented, executed: "no" });
    expect(bench.opens).toHaveLength(1);
  });

  it("goes into the next session when nothing of it was written, as often as that happens", async () => {
    const { bench, client } = setup(false);
    const call = client.add({});
    for (let i = 0; i < 10; i++) bench.lose([bench.open.call]);
    expect(bench.opens).toHaveLength(11);
    expect(bench.previousAttempts.every((count) => count === undefined)).toBe(true);
    bench.end({ payload: VALUE });
    expect(await outcome(call)).toMatchObject({ value: 7n });
  });
});

describe("push-back", () => {
  const detail = (delayMs: number) => ({ details: [retryInfo(delayMs)] });

  it("says when the next attempt begins, and the backoff starts over", () => {
    const { bench, client } = setup();
    client.read({}).catch(() => undefined);
    bench.fail();
    bench.advance(100);
    bench.fail(Code.Unavailable, detail(1_234.5));
    expect(bench.delays).toEqual([1_234.5]);
    bench.advance(1_234.5);
    bench.fail();
    expect(bench.delays).toEqual([100]);
  });

  it("can ask for no further attempt", async () => {
    const { bench, client } = setup();
    const call = client.read({});
    bench.fail(Code.Unavailable, detail(-1));
    expect(await outcome(call)).toMatchObject({ code: Code.Unavailable });
  });

  it("does not make a status retryable", async () => {
    const { bench, client } = setup();
    const call = client.read({});
    bench.fail(Code.Internal, detail(10));
    expect(await outcome(call)).toMatchObject({ code: Code.Internal });
  });

  it("is no push-back when it does not decode", () => {
    const { bench, client } = setup();
    client.read({}).catch(() => undefined);
    bench.fail(Code.Unavailable, {
      details: [{ type: "google.rpc.RetryInfo", value: Uint8Array.of(0x0a, 0xff) }],
    });
    expect(bench.delays).toEqual([100]);
  });
});

describe("throttling", () => {
  it("stops retries at half of the tokens, and successes bring them back", async () => {
    const { bench, client } = setup({ throttling: { maxTokens: 4, tokenRatio: 1 } });
    const fails = async () => {
      const call = client.read({});
      bench.fail();
      const retried = bench.timers.size > 0;
      if (retried) {
        bench.advance(100);
        bench.end({ payload: VALUE });
      }
      await outcome(call);
      return retried;
    };
    // 4 tokens: a failure takes one, the good end of its retry gives it back.
    expect(await fails()).toBe(true);
    expect(await fails()).toBe(true);
    const calls = [client.read({}), client.read({})];
    for (const { call } of bench.opens.slice(-2)) bench.fail(Code.Unavailable, { call });
    // The second one took the bucket to its half.
    expect(bench.timers.size).toBe(1);
    expect(await outcome(calls[1] as Promise<unknown>)).toMatchObject({ code: Code.Unavailable });
    bench.advance(100);
    bench.end({ payload: VALUE });
    expect(await outcome(calls[0] as Promise<unknown>)).toMatchObject({ value: 7n });
  });

  it("does not count sessions that are lost", () => {
    const { bench, client } = setup({ throttling: { maxTokens: 1, tokenRatio: 0.1 } });
    for (let i = 0; i < 20; i++) client.read({}).catch(() => undefined);
    bench.lose();
    expect(bench.retrier.waiting).toBe(20);
  });
});

describe("a server stream", () => {
  const tokens = (bench: CallerBench) => bench.opens.map(({ resumeToken }) => resumeToken);

  it("goes on behind the last message that was consumed, when that had a token", async () => {
    const { bench, client } = setup();
    const messages = client.follow({ count: 4 })[Symbol.asyncIterator]();
    const next = async () => (await messages.next()).value?.number as number | undefined;
    await settle();
    bench.data(number(1), { resumeToken: "after 1" });
    bench.data(number(2), { resumeToken: "after 2" });
    expect([await next()]).toEqual([1]);
    // 2 arrived, and nobody has seen it.
    bench.lose();
    const waiting = next();
    bench.advance(120);
    expect(tokens(bench)).toEqual(["", "after 1"]);
    bench.data(number(2), { resumeToken: "after 2" });
    expect(await waiting).toBe(2);
    // Lost again before anything came: the token stays.
    bench.lose();
    bench.advance(120);
    bench.lose();
    bench.advance(240);
    expect(tokens(bench)).toEqual(["", "after 1", "after 2", "after 2"]);
    bench.data(number(3));
    bench.end({});
    expect([await next(), await next()]).toEqual([3, undefined]);
  });

  it("ends UNAVAILABLE and unknown when what was consumed last had no token", async () => {
    const { bench, client } = setup();
    const messages = client.watch({ count: 4 })[Symbol.asyncIterator]();
    await settle();
    bench.data(number(1), { resumeToken: "after 1" });
    bench.data(number(2));
    await messages.next();
    await messages.next();
    bench.lose();
    await expect(messages.next()).rejects.toMatchObject({ code: Code.Unavailable, executed: "unknown" });
    expect(bench.opens).toHaveLength(1);
  });

  it("starts over when nothing was consumed and the schema says that it may", async () => {
    const { bench, client } = setup();
    const messages = client.watch({ count: 4 })[Symbol.asyncIterator]();
    const unsafe = client.follow({ count: 4 })[Symbol.asyncIterator]();
    await settle();
    bench.data(number(1), { call: bench.opens[0]?.call as number });
    bench.lose();
    await expect(unsafe.next()).rejects.toMatchObject({ code: Code.Unavailable, executed: "unknown" });
    bench.advance(120);
    expect(bench.opens).toHaveLength(3);
    bench.data(number(1));
    expect(await messages.next()).toMatchObject({ value: { number: 1 } });
  });

  it("is left while it waits for its next attempt", async () => {
    const { bench, client } = setup();
    const messages = client.watch({})[Symbol.asyncIterator]();
    await settle();
    bench.lose();
    await messages.return?.();
    expect(bench.timers.size + bench.retrier.waiting).toBe(0);
    expect(await messages.next()).toEqual({ done: true, value: undefined });
  });

  it("gives up in the end, and its good progress makes attempts count anew", async () => {
    const { bench, client } = setup({ policy: { maxAttempts: 2 } });
    const messages = client.follow({})[Symbol.asyncIterator]();
    await settle();
    for (let i = 1; i <= 5; i++) {
      bench.data(number(i), { resumeToken: `after ${i}` });
      expect(await messages.next()).toMatchObject({ value: { number: i } });
      bench.lose();
      bench.advance(120);
    }
    bench.lose();
    await expect(messages.next()).rejects.toMatchObject({ code: Code.Unavailable, executed: "unknown" });
  });
});

describe("a call that streams requests", () => {
  it("sends again what it has sent, and goes on", async () => {
    const { bench, client } = setup();
    let release: () => void = () => undefined;
    async function* requests() {
      yield { number: 1 };
      yield { number: 2 };
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      yield { number: 3 };
    }
    const call = client.sum(requests());
    await settle();
    bench.lose();
    bench.advance(120);
    release();
    await settle();
    const payload = (value: number) =>
      toBinary(SumRequestSchema, create(SumRequestSchema, { number: value }));
    const again = bench.sent.slice(bench.sent.indexOf(bench.open) + 1);
    expect(again.map((frame) => frame.kind === "data" && [frame.payload, frame.end])).toEqual([
      [payload(1), false],
      [payload(2), false],
      [payload(3), false],
      [undefined, true],
    ]);
    bench.end({ payload: VALUE });
    await expect(call).resolves.toMatchObject({ sum: 7n });
  });

  it("reads a request between two attempts, and sends it with the next one", async () => {
    const { bench, client } = setup();
    let release: () => void = () => undefined;
    async function* requests() {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      yield { number: 1 };
      yield { number: 2 };
    }
    const call = client.sum(requests());
    await settle();
    bench.lose();
    release();
    await settle();
    bench.advance(120);
    await settle();
    const again = bench.sent.slice(bench.sent.indexOf(bench.open) + 1);
    expect(again.map((frame) => frame.kind === "data" && frame.end)).toEqual([false, false, true]);
    bench.end({ payload: VALUE });
    await expect(call).resolves.toMatchObject({ sum: 7n });
  });

  it("has one attempt when it has sent more than is kept", async () => {
    const { bench, client } = setup({ bufferBytes: 100 });
    async function* requests() {
      for (let i = 1; i <= 4; i++) yield { number: i };
    }
    const call = client.sum(requests());
    await settle();
    bench.lose();
    expect(await outcome(call)).toMatchObject({ code: Code.Unavailable, executed: "unknown" });
  });

  it("has one attempt once an answer has come", async () => {
    const { bench, client } = setup({ methods: () => ({ retry: {} }) });
    async function* requests() {
      yield { number: 1 };
      await new Promise(() => undefined);
    }
    const messages = client.exchange(requests())[Symbol.asyncIterator]();
    await settle();
    bench.data(number(1));
    bench.lose();
    await expect(messages.next()).rejects.toMatchObject({ code: Code.Unavailable, executed: "unknown" });
  });

  it("fails when its requests fail between two attempts", async () => {
    const { bench, client } = setup();
    let fail: (error: Error) => void = () => undefined;
    async function* requests(): AsyncGenerator<{ number: number }> {
      await new Promise<void>((_, reject) => {
        fail = reject;
      });
    }
    const call = client.sum(requests());
    await settle();
    bench.lose();
    fail(new Error("no more disk"));
    expect(await outcome(call)).toMatchObject({ rawMessage: "the request stream failed: no more disk" });
    expect(bench.timers.size).toBe(0);
  });
});

describe("hedging", () => {
  const hedging: RetryOptions = {
    methods: ({ name }) =>
      name === "Set" || name === "Read" ? { hedging: { hedgingDelayMs: 50 } } : undefined,
  };

  it("sends attempts a delay apart; the first good answer counts, the others are cancelled", async () => {
    const { bench, client } = setup(hedging);
    const call = client.read({});
    bench.advance(49);
    expect(bench.opens).toHaveLength(1);
    bench.advance(1);
    bench.advance(50);
    bench.advance(500);
    expect(bench.previousAttempts).toEqual([undefined, "1", "2"]);
    const [first, second, third] = bench.opens.map((open) => open.call);
    bench.end({ call: second as number, payload: VALUE });
    expect(await outcome(call)).toMatchObject({ value: 7n });
    expect(bench.sent.filter(({ kind }) => kind === "cancel").map((frame) => frame.call)).toEqual([
      first,
      third,
    ]);
    expect(bench.calls.size + bench.timers.size).toBe(0);
  });

  it("brings the next attempt forward after a status that is not fatal, and ends with the last one", async () => {
    const { bench, client } = setup(hedging);
    const call = client.read({});
    bench.fail();
    bench.advance(0);
    bench.fail();
    bench.advance(0);
    expect(bench.opens).toHaveLength(3);
    bench.fail(Code.Unavailable, { message: "last" });
    expect(await outcome(call)).toMatchObject({ rawMessage: "last", executed: "yes" });
  });

  it("ends with a fatal status at once", async () => {
    const { bench, client } = setup(hedging);
    const call = client.read({});
    bench.advance(50);
    bench.fail(Code.NotFound, { call: bench.opens[0]?.call as number });
    expect(await outcome(call)).toMatchObject({ code: Code.NotFound });
    expect(bench.calls.size + bench.timers.size).toBe(0);
  });

  it("obeys push-back", async () => {
    const { bench, client } = setup(hedging);
    client.read({}).catch(() => undefined);
    bench.fail(Code.Unavailable, { details: [retryInfo(2_000)] });
    expect(bench.delays).toEqual([2_000]);
    bench.advance(2_000);
    const call = client.read({});
    bench.fail(Code.Unavailable, { details: [retryInfo(-1)] });
    expect(await outcome(call)).toMatchObject({ code: Code.Unavailable });
  });

  it("sends no more than one when too many calls fail", () => {
    const { bench, client } = setup({ ...hedging, throttling: { maxTokens: 2, tokenRatio: 0.1 } });
    client.read({}).catch(() => undefined);
    bench.fail();
    expect(bench.timers.size).toBe(0);
    client.read({}).catch(() => undefined);
    bench.advance(50);
    expect(bench.opens).toHaveLength(2);
  });

  it("is refused for a method that has side effects", async () => {
    const { bench, client } = setup(hedging);
    expect(await outcome(client.set({}))).toMatchObject({ code: Code.FailedPrecondition, executed: "no" });
    expect(bench.opens).toEqual([]);
  });

  it("ends with its signal", async () => {
    const { bench, client } = setup(hedging);
    const stop = new AbortController();
    const call = client.read({}, { signal: stop.signal });
    bench.advance(50);
    stop.abort();
    expect(await outcome(call)).toMatchObject({ code: Code.Canceled, executed: "unknown" });
    expect(bench.calls.size + bench.timers.size + bench.retrier.waiting).toBe(0);
  });
});
