// What becomes of calls with a key: on virtual time, over the whole stack, with stores that answer at once and later.
import { describe, expect, it, onTestFinished } from "vitest";
import { CounterService } from "../../gen/hawser/test/v1/counter_pb.js";
import {
  type Client,
  Code,
  createClient,
  type HandlerContext,
  type IdempotencyStore,
  LostClaimError,
  RpcError,
  retryInfo,
} from "../../src/index.js";
import { memoryIdempotencyStore } from "../../src/server/index.js";
import { createPair, type Pair } from "../../src/testing/index.js";

/** A store that answers by promises. */
function slow(store: IdempotencyStore): IdempotencyStore {
  return {
    leaseMs: store.leaseMs,
    begin: async (...given) => store.begin(...given),
    complete: async (...given) => store.complete(...given),
    release: async (...given) => store.release(...given),
    renew: async (...given) => store.renew(...given),
  };
}

type Handler = (number: bigint, context: HandlerContext) => unknown;

class World {
  /** Numbers of the increments whose handler began. */
  readonly ran: bigint[] = [];
  readonly logged: unknown[] = [];
  readonly pair: Pair;
  readonly client: Client<typeof CounterService>;

  constructor(
    store: IdempotencyStore,
    handler: Handler = (number) => ({ value: number * 10n }),
    identity?: () => string,
  ) {
    const run = ({ number }: { number: bigint }, context: HandlerContext) => {
      this.ran.push(number);
      return handler(number, context) as { value: bigint };
    };
    this.pair = createPair({
      server: {
        idempotencyStore: store,
        routes: (router) =>
          router.service(CounterService, { increment: run, add: run, set: ({ value }) => ({ value }) }),
        logger: { warn: () => undefined, error: (_, error) => this.logged.push(error) },
        ...(identity === undefined ? {} : { authenticate: ({ credentials }) => ({ id: credentials }) }),
      },
      client: { credentials: identity ?? "" },
    });
    this.client = createClient(CounterService, this.pair.connection);
    onTestFinished(async () => {
      await this.pair.close();
      this.pair.assertFinished();
    });
  }

  async settle<T>(promise: Promise<T>): Promise<T> {
    let over = false;
    const mark = () => {
      over = true;
    };
    promise.then(mark, mark);
    await this.pair.clock.runUntil(() => over);
    return promise;
  }

  async failure(promise: Promise<unknown>): Promise<RpcError> {
    const error = await this.settle(
      promise.then(
        () => expect.fail("the call succeeded"),
        (reason: unknown) => reason,
      ),
    );
    expect(error).toBeInstanceOf(RpcError);
    return error as RpcError;
  }

  async until(holds: () => boolean): Promise<void> {
    await this.pair.clock.runUntil(holds);
  }
}

/** A handler that waits until it is told what to do. */
function gate() {
  const waiting: {
    resolve: (value: unknown) => void;
    reject: (error: unknown) => void;
    context: HandlerContext;
  }[] = [];
  const handler: Handler = (_, context) =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject, context });
    });
  return { waiting, handler };
}

const key = { idempotencyKey: "k" };

describe.each([
  ["a store that answers at once", () => memoryIdempotencyStore()],
  ["a store that answers by promises", () => slow(memoryIdempotencyStore())],
])("%s", (_what, createStore) => {
  it("runs the handler once for a key, and gives every attempt its response, headers and trailers", async () => {
    const world = new World(createStore(), (number, { responseHeader, responseTrailer }) => {
      responseHeader.set("h", "1");
      responseTrailer.set("t", "2");
      return { value: number * 10n };
    });
    const seen: (string | null)[] = [];
    const call = () =>
      world.client.add(
        { number: 4n },
        {
          ...key,
          onHeader: (headers) => seen.push(headers.get("h")),
          onTrailer: (trailers) => seen.push(trailers.get("t")),
        },
      );
    expect((await world.settle(call())).value).toBe(40n);
    expect((await world.settle(call())).value).toBe(40n);
    expect(world.ran).toEqual([4n]);
    expect(seen).toEqual(["1", "2", "1", "2"]);
    expect((await world.settle(world.client.add({ number: 4n }, { idempotencyKey: "other" }))).value).toBe(
      40n,
    );
    expect(world.ran).toEqual([4n, 4n]);
  });

  it("stores the error that a handler answers with", async () => {
    const world = new World(createStore(), () => {
      throw new RpcError("no such account", Code.NotFound, {
        details: [{ type: "d", value: Uint8Array.of(1) }],
      });
    });
    for (let i = 0; i < 2; i++) {
      const error = await world.failure(world.client.add({}, key));
      expect(error).toMatchObject({ code: Code.NotFound, rawMessage: "no such account", executed: "yes" });
      expect(error.details).toEqual([{ type: "d", value: Uint8Array.of(1) }]);
    }
    expect(world.ran).toHaveLength(1);
  });

  it("stores what a handler throws by accident, as INTERNAL, and logs it once", async () => {
    const world = new World(createStore(), () => {
      throw new Error("a bug");
    });
    for (let i = 0; i < 2; i++) {
      expect(await world.failure(world.client.add({}, key))).toMatchObject({ code: Code.Internal });
    }
    expect(world.ran).toHaveLength(1);
    expect(world.logged).toMatchObject([{ message: "a bug" }]);
  });

  it.each([
    ["UNAVAILABLE", () => new RpcError("try later", Code.Unavailable)],
    ["a RetryInfo", () => new RpcError("try later", Code.Aborted, { details: [retryInfo(10)] })],
  ])("runs the handler again after %s, which says that it has not run to its end", async (_, makeError) => {
    const attempts: (number | undefined)[] = [];
    const world = new World(createStore(), (number, { idempotency }) => {
      attempts.push(idempotency?.attempt);
      if (attempts.length === 1) throw makeError();
      return { value: number };
    });
    await world.failure(world.client.add({ number: 5n }, { ...key, retry: false }));
    expect((await world.settle(world.client.add({ number: 5n }, key))).value).toBe(5n);
    expect(attempts).toEqual([1, 2]);
  });

  it("lets attempts wait for the one that runs", async () => {
    const { waiting, handler } = gate();
    const world = new World(createStore(), handler);
    const calls = [1, 2, 3].map(() => world.client.add({ number: 1n }, key));
    await world.until(() => waiting.length > 0);
    await world.pair.clock.advance(1_000);
    expect(waiting).toHaveLength(1);
    waiting[0]?.resolve({ value: 7n });
    for (const call of calls) expect((await world.settle(call)).value).toBe(7n);
  });

  it("lets the next one run when the one that ran gave up", async () => {
    const { waiting, handler } = gate();
    const world = new World(createStore(), handler);
    const first = world.failure(world.client.add({ number: 1n }, { ...key, retry: false }));
    const second = world.client.add({ number: 1n }, key);
    await world.until(() => waiting.length > 0);
    await world.pair.clock.advance(100);
    waiting[0]?.reject(new RpcError("not now", Code.Unavailable));
    expect((await first).code).toBe(Code.Unavailable);
    await world.until(() => waiting.length > 1);
    waiting[1]?.resolve({ value: 8n });
    expect((await world.settle(second)).value).toBe(8n);
  });

  it("goes on when the session of its caller is lost, and answers the caller's next attempt", async () => {
    const { waiting, handler } = gate();
    const world = new World(createStore(), handler);
    const call = world.client.increment({ number: 1n });
    await world.until(() => waiting.length > 0);
    for (const session of world.pair.sessions) session.close(4000, "for the test");
    await world.pair.clock.advance(5_000);
    expect(waiting[0]?.context.signal.aborted).toBe(false);
    expect(waiting).toHaveLength(1);
    waiting[0]?.resolve({ value: 9n });
    expect((await world.settle(call)).value).toBe(9n);
    expect(world.ran).toHaveLength(1);
  });

  it("answers from the store after the handler has ended while nobody listened", async () => {
    const { waiting, handler } = gate();
    const world = new World(createStore(), handler);
    const call = world.client.increment({ number: 1n });
    await world.until(() => waiting.length > 0);
    for (const session of world.pair.sessions) session.close(4000, "for the test");
    waiting[0]?.resolve({ value: 9n });
    expect((await world.settle(call)).value).toBe(9n);
    expect(world.ran).toHaveLength(1);
  });

  it("aborts the handler when its caller cancels; what it does then counts", async () => {
    const { waiting, handler } = gate();
    const world = new World(createStore(), handler);
    const stop = new AbortController();
    const cancelled = world.failure(world.client.add({ number: 1n }, { ...key, signal: stop.signal }));
    await world.until(() => waiting.length > 0);
    stop.abort();
    await cancelled;
    await world.until(() => waiting[0]?.context.signal.aborted === true);
    const again = world.client.add({ number: 1n }, key);
    await world.pair.clock.advance(100);
    // It had its effect all the same.
    waiting[0]?.resolve({ value: 3n });
    expect((await world.settle(again)).value).toBe(3n);
    expect(world.ran).toHaveLength(1);
  });

  it("runs the handler again after one that stopped because it was asked to", async () => {
    const { waiting, handler } = gate();
    const world = new World(createStore(), handler);
    const cancelled = world.failure(world.client.add({ number: 1n }, { ...key, timeoutMs: 100 }));
    await world.until(() => waiting.length > 0);
    await cancelled;
    await world.pair.clock.advance(100);
    waiting[0]?.reject(waiting[0].context.signal.reason);
    const again = world.client.add({ number: 1n }, key);
    await world.until(() => waiting.length > 1);
    expect(waiting[1]?.context.idempotency?.attempt).toBe(2);
    waiting[1]?.resolve({ value: 3n });
    expect((await world.settle(again)).value).toBe(3n);
    expect(world.logged).toEqual([]);
  });

  it("refuses a key that was used for another request or another method, and says which", async () => {
    const world = new World(createStore());
    await world.settle(world.client.add({ number: 1n }, key));
    const request = await world.failure(world.client.add({ number: 2n }, key));
    expect(request).toMatchObject({ code: Code.InvalidArgument, executed: "no" });
    expect(request.rawMessage).toMatch(
      /key "k" was used before with another request for .*CounterService\/Add/,
    );
    const method = await world.failure(world.client.set({ value: 1n }, key));
    expect(method).toMatchObject({ code: Code.InvalidArgument, executed: "no" });
    expect(method.rawMessage).toMatch(/key "k" was used before for .*\/Add, not for .*\/Set/);
    expect(world.ran).toEqual([1n]);
  });

  it("refuses another request while the first one runs", async () => {
    const { waiting, handler } = gate();
    const world = new World(createStore(), handler);
    const call = world.client.add({ number: 1n }, key);
    await world.until(() => waiting.length > 0);
    const error = await world.failure(world.client.add({ number: 2n }, key));
    expect(error).toMatchObject({ code: Code.InvalidArgument, executed: "no" });
    waiting[0]?.resolve({ value: 1n });
    await world.settle(call);
  });

  it("keeps the keys of identities apart", async () => {
    let who = "ada";
    const identities: (string | undefined)[] = [];
    const world = new World(
      createStore(),
      (number, { idempotency }) => {
        identities.push(idempotency?.identity);
        return { value: number };
      },
      () => who,
    );
    expect((await world.settle(world.client.add({ number: 1n }, key))).value).toBe(1n);
    who = "bob";
    world.pair.network.cut();
    await world.pair.clock.advance(5_000);
    // The same key is another one for somebody else.
    expect((await world.settle(world.client.add({ number: 2n }, key))).value).toBe(2n);
    expect(identities).toEqual(["ada", "bob"]);
  });

  it("lets the handler store its response by itself, and answers with what the store has", async () => {
    const world = new World(createStore(), async (number, { idempotency }) => {
      await idempotency?.complete({ value: number + 1n });
      if (number === 2n) throw new Error("after its effect was kept");
      return { value: 999n };
    });
    expect((await world.settle(world.client.add({ number: 1n }, key))).value).toBe(2n);
    expect((await world.settle(world.client.add({ number: 2n }, { idempotencyKey: "l" }))).value).toBe(3n);
    expect((await world.settle(world.client.add({ number: 2n }, { idempotencyKey: "l" }))).value).toBe(3n);
    expect(world.ran).toEqual([1n, 2n]);
  });

  it("asks handlers to stop when the server closes", async () => {
    const { waiting, handler } = gate();
    const world = new World(createStore(), handler);
    void world.failure(world.client.add({ number: 1n }, { ...key, retry: false }));
    await world.until(() => waiting.length > 0);
    expect(waiting[0]?.context.signal.aborted).toBe(false);
    await world.pair.close();
    expect(waiting[0]?.context.signal.aborted).toBe(true);
  });
});

describe("a store with leases", () => {
  /** A store in memory whose claims run out, as if each process were another one. */
  function leased(leaseMs: number) {
    const records = new Map<
      string,
      { attempt: number; until: number; outcome: Uint8Array | undefined; shape: never }
    >();
    const renewed: number[] = [];
    const store: IdempotencyStore = {
      leaseMs,
      begin({ key, identity }, shape, now) {
        const record = records.get(key);
        if (record?.outcome !== undefined)
          return { state: "done", shape: record.shape, outcome: record.outcome };
        if (record !== undefined && record.until > now) {
          return { state: "running", shape: record.shape, leaseLeftMs: record.until - now };
        }
        const attempt = (record?.attempt ?? 0) + 1;
        records.set(key, { attempt, until: now + leaseMs, outcome: undefined, shape: shape as never });
        return { state: "new", claim: { identity, key, attempt } };
      },
      complete(claim, outcome) {
        const record = records.get(claim.key);
        if (record?.attempt !== claim.attempt || record.outcome !== undefined)
          throw new LostClaimError(claim);
        record.outcome = outcome;
      },
      release(claim) {
        const record = records.get(claim.key);
        if (record?.attempt === claim.attempt) record.until = 0;
      },
      renew(claims, now) {
        renewed.push(now);
        for (const { key, attempt } of claims) {
          const record = records.get(key);
          if (record?.attempt === attempt) record.until = now + leaseMs;
        }
      },
    };
    return { store, records, renewed };
  }

  const SHAPE_OF_ANOTHER = { attempt: 1, outcome: undefined };

  it("renews the claim of a handler that takes longer than its lease", async () => {
    const { waiting, handler } = gate();
    const { store, renewed } = leased(3_000);
    const world = new World(store, handler);
    const call = world.client.increment({ number: 1n });
    await world.until(() => waiting.length > 0);
    await world.pair.clock.advance(60_000);
    expect(renewed.length).toBeGreaterThan(15);
    waiting[0]?.resolve({ value: 1n });
    expect((await world.settle(call)).value).toBe(1n);
  });

  it("waits for a claim of another process to run out, and takes over", async () => {
    const { store, records } = leased(3_000);
    const world = new World(store, (number, { idempotency }) => ({
      value: number + BigInt(idempotency?.attempt ?? 0),
    }));
    // Which request the other process runs is found out by running one.
    await world.settle(world.client.add({ number: 5n }, { idempotencyKey: "probe" }));
    const { shape } = records.get("probe") as { shape: never };
    const { clock } = world.pair;
    records.set("k", { ...SHAPE_OF_ANOTHER, until: clock.now() + 2_000, shape });
    const call = world.client.add({ number: 5n }, key);
    await clock.advance(1_900);
    expect(world.ran).toHaveLength(1);
    expect((await world.settle(call)).value).toBe(7n);
  });

  it("answers with the outcome of another process when that is there", async () => {
    const { store, records } = leased(60_000);
    const world = new World(store);
    await world.settle(world.client.add({ number: 5n }, { idempotencyKey: "probe" }));
    const { shape, outcome } = records.get("probe") as { shape: never; outcome: Uint8Array };
    const { clock } = world.pair;
    records.set("k", { ...SHAPE_OF_ANOTHER, until: clock.now() + 60_000, shape });
    const call = world.client.add({ number: 5n }, key);
    await clock.advance(500);
    records.set("k", { attempt: 1, until: 0, outcome, shape });
    expect((await world.settle(call)).value).toBe(50n);
    expect(world.ran).toHaveLength(1);
  });

  it("answers with the outcome of the attempt that took over, when a claim was lost", async () => {
    const { waiting, handler } = gate();
    const { store, records } = leased(3_000);
    const world = new World(store, handler);
    const call = world.client.add({ number: 5n }, key);
    await world.until(() => waiting.length > 0);
    const other = world.client.add({ number: 5n }, { idempotencyKey: "other" });
    await world.until(() => waiting.length > 1);
    waiting[1]?.resolve({ value: 77n });
    await world.settle(other);
    // Another process has taken over, and is done.
    records.set("k", {
      ...(records.get("other") as NonNullable<ReturnType<typeof records.get>>),
      attempt: 2,
    });
    waiting[0]?.resolve({ value: 66n });
    expect((await world.settle(call)).value).toBe(77n);
  });

  it("does not run the handler twice at a time in one process, however the clock jumps", async () => {
    const { waiting, handler } = gate();
    const { store, records } = leased(3_000);
    const world = new World(store, handler);
    const first = world.client.add({ number: 5n }, key);
    await world.until(() => waiting.length > 0);
    (records.get("k") as { until: number }).until = 0;
    const second = world.client.add({ number: 5n }, key);
    await world.pair.clock.advance(500);
    expect(waiting).toHaveLength(1);
    waiting[0]?.resolve({ value: 1n });
    expect((await world.settle(first)).value).toBe(1n);
    expect((await world.settle(second)).value).toBe(1n);
  });
});

describe("a store that fails", () => {
  const failing = (method: keyof IdempotencyStore, error: Error): IdempotencyStore => ({
    ...slow(memoryIdempotencyStore()),
    [method]: async () => {
      throw error;
    },
  });

  it("at begin: UNAVAILABLE, executed no, and the reason in the log only", async () => {
    const world = new World(failing("begin", new Error("disk full")));
    const error = await world.failure(world.client.add({}, { ...key, retry: false }));
    expect(error).toMatchObject({ code: Code.Unavailable, executed: "no" });
    expect(error.rawMessage).not.toMatch(/disk/);
    expect(world.logged).toMatchObject([{ message: "disk full" }, { message: "disk full" }]);
    expect(world.ran).toEqual([]);
  });

  it("at begin with an RpcError: that error", async () => {
    const world = new World(memoryIdempotencyStore({ maxKeys: 1 }));
    await world.settle(world.client.add({}, { idempotencyKey: "a" }));
    const error = await world.failure(world.client.add({}, { idempotencyKey: "b", retry: false }));
    expect(error).toMatchObject({ code: Code.ResourceExhausted, executed: "no" });
    expect(error.rawMessage).toMatch(/maxKeys/);
  });

  it("at complete: UNAVAILABLE, executed unknown", async () => {
    const world = new World(failing("complete", new Error("disk full")));
    const error = await world.failure(world.client.add({}, { ...key, retry: false }));
    expect(error).toMatchObject({ code: Code.Unavailable, executed: "unknown" });
    expect(world.ran).toHaveLength(1);
  });
});

describe("a server", () => {
  it("does not serve methods with (hawser.v1.once) without a store", () => {
    const routes = {
      routes: (router: never) =>
        (router as { service: (...given: unknown[]) => unknown }).service(CounterService, {
          increment: () => ({}),
        }),
    };
    expect(() => createPair({ server: routes as never })).toThrow(
      /CounterService\/Increment has option \(hawser\.v1\.once\): give createServer\(\) an idempotencyStore/,
    );
  });

  it("refuses a call of such a method that carries no key", async () => {
    const world = new World(memoryIdempotencyStore());
    await world.until(() => world.pair.connection.state === "open");
    const { increment } = CounterService.method;
    // What a client does that does not know the option.
    const unknowing = { ...increment, proto: { ...increment.proto, options: undefined } } as typeof increment;
    const error = await world.failure(world.pair.connection.unary(unknowing, {}, undefined));
    expect(error).toMatchObject({ code: Code.InvalidArgument, executed: "no" });
    expect(error.rawMessage).toMatch(/the call carries none/);
  });
});
