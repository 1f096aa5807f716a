// An outbox that fills because nothing is acknowledged: writers wait, and when that takes too long, they are told.
import { describe, expect, it, onTestFinished } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { type Client, Code, createClient, type HandlerContext, type RpcError } from "../../src/index.js";
import { createPair, type Pair } from "../../src/testing/index.js";

const OUTBOX = 256 * 1024;
const WAIT_MS = 5_000;
const BODY = new Uint8Array(20_000);

/** Nothing but the outbox ends anything here. */
const PATIENT = {
  pingIntervalMs: 3_600_000,
  ackTimeoutMs: 3_600_000,
  outboxBytes: OUTBOX,
  outboxWaitMs: WAIT_MS,
};

function setUp(): {
  pair: Pair;
  client: Client<typeof EchoService>;
  contexts: HandlerContext[];
  worst: () => number;
} {
  const contexts: HandlerContext[] = [];
  let worst = 0;
  const pair = createPair({
    server: {
      ...PATIENT,
      routes: (router) =>
        router.service(EchoService, {
          async *repeat({ body, count }, context) {
            contexts.push(context);
            for (let number = 1; number <= count; number++) yield { number, body };
          },
          async collect(requests) {
            let bytes = 0n;
            for await (const { body } of requests) bytes += BigInt(body.length);
            return { bytes };
          },
          // Never reads: its caller waits for credit.
          converse: async function* (_, context) {
            await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
            yield {};
          },
        }),
    },
    // A window that is larger than the outbox.
    client: { ...PATIENT, maxWaitMs: 8_000, limits: { creditBytes: 1_048_576 } },
  });
  const watch = () => {
    for (const { bufferedBytes } of pair.sessions) worst = Math.max(worst, bufferedBytes);
    if (!over) pair.clock.schedule(watch, 10);
  };
  let over = false;
  watch();
  onTestFinished(async () => {
    over = true;
    await pair.close();
    pair.assertFinished();
  });
  return { pair, client: createClient(EchoService, pair.connection), contexts, worst: () => worst };
}

async function* bodies(count: number) {
  for (let number = 1; number <= count; number++) yield { number, body: BODY };
}

async function read(messages: AsyncIterable<unknown>): Promise<number> {
  let seen = 0;
  for await (const _ of messages) seen++;
  return seen;
}

/** What a promise comes to, and when. */
function outcome(pair: Pair, promise: Promise<unknown>) {
  const result: { value?: unknown; at?: number } = {};
  const settle = (value: unknown) => {
    result.value = value;
    result.at = pair.clock.now();
  };
  promise.then(settle, settle);
  return result;
}

describe("the server's outbox", () => {
  it("stops its writers, then ends their calls with RESOURCE_EXHAUSTED, and never grows beyond its bound", async () => {
    const { pair, client, contexts, worst } = setUp();
    await pair.clock.runUntil(() => pair.connection.state === "open");
    const calls = [1, 2].map(() => outcome(pair, read(client.repeat({ body: BODY, count: 1_000 }))));
    await pair.clock.advance(8);
    pair.network.stall("up");
    await pair.clock.advance(WAIT_MS - 100);
    expect(calls.map(({ value }) => value)).toEqual([undefined, undefined]);
    await pair.clock.advance(1_000);
    for (const { value } of calls) {
      expect(value).toMatchObject({ code: Code.ResourceExhausted, executed: "unknown" });
      expect((value as RpcError).rawMessage).toMatch(/outboxBytes, outboxWaitMs/);
    }
    expect(contexts.map(({ signal }) => signal.aborted)).toEqual([true, true]);
    expect(worst()).toBeGreaterThan(OUTBOX / 2);
    expect(worst()).toBeLessThan(OUTBOX + 3 * 65_536);
  });

  it("lets its writers go on when acknowledgements come again", async () => {
    const { pair, client } = setUp();
    await pair.clock.runUntil(() => pair.connection.state === "open");
    const calls = [1, 2].map(() => outcome(pair, read(client.repeat({ body: BODY, count: 200 }))));
    await pair.clock.advance(8);
    pair.network.stall("up");
    await pair.clock.advance(WAIT_MS - 500);
    pair.network.cut();
    await pair.clock.runUntil(() => calls.every(({ at }) => at !== undefined));
    expect(calls.map(({ value }) => value)).toEqual([200, 200]);
  });
});

describe("the client's outbox", () => {
  it("stops its writers, then fails their calls; calls that wait for their reader's credit go on waiting", async () => {
    const { pair, client } = setUp();
    await pair.clock.runUntil(() => pair.connection.state === "open");
    const unread = outcome(pair, read(client.converse(bodies(1_000))));
    await pair.clock.advance(100);
    pair.network.stall("down");
    const calls = [1, 2].map(() => outcome(pair, client.collect(bodies(1_000))));
    await pair.clock.advance(WAIT_MS - 100);
    expect(calls.map(({ value }) => value)).toEqual([undefined, undefined]);
    // It waits to be opened, and no connection is missing.
    const waiting = outcome(pair, client.echo({ body: BODY }));
    await pair.clock.advance(1_000);
    for (const { value } of calls) {
      expect(value).toMatchObject({ code: Code.ResourceExhausted, executed: "unknown" });
    }
    expect(unread.value).toBeUndefined();
    await pair.clock.advance(8_000);
    expect(waiting.value).toMatchObject({ code: Code.ResourceExhausted, executed: "no" });
    expect((waiting.value as RpcError).rawMessage).toMatch(/no room .* the outbox is full/);
    expect(unread.value).toBeUndefined();
  });
});

it("a call that the other side has no room for says so", async () => {
  const small = createPair({
    server: {
      limits: { calls: 1 },
      routes: (router) => router.service(EchoService, { echo: () => new Promise(() => undefined) }),
    },
    client: { maxWaitMs: 1_000 },
  });
  const client = createClient(EchoService, small.connection);
  client.echo({}).catch(() => undefined);
  await small.clock.runUntil(() => [...small.sessions].some(({ callsInFlight }) => callsInFlight > 0));
  const second = outcome(small, client.echo({}));
  await small.clock.advance(2_000);
  expect(second.value).toMatchObject({ code: Code.ResourceExhausted, executed: "no" });
  expect((second.value as RpcError).rawMessage).toMatch(/limits\.calls/);
  await small.close();
  small.assertFinished();
});
