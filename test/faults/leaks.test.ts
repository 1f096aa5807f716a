// 10,000 calls that are cancelled, time out or break, from both sides of the four kinds: nothing of them is left.
import { getEventListeners } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import {
  type CallOptions,
  type Client,
  Code,
  connect,
  createClient,
  type HandlerContext,
  RpcError,
} from "../../src/client/index.js";
import { createServer, type Server } from "../../src/server/index.js";
import { createFaultProxy } from "../../src/testing/index.js";
import { stillHeld } from "../support/gc.js";
import { SeededRandom } from "../support/random.js";
import { until } from "../support/until.js";

const CALLS = 10_000;
const AT_ONCE = 500;

/** Handlers that wait for their signal now. */
let running = 0;
/** The contexts of all handlers' calls. */
const contexts: WeakRef<object>[] = [];

/** Ends when the call does; counts itself while it runs. */
function untilAborted(signal: AbortSignal): Promise<never> {
  if (signal.aborted) return Promise.reject(signal.reason);
  running++;
  return new Promise((_resolve, reject) => {
    signal.addEventListener(
      "abort",
      () => {
        running--;
        reject(signal.reason);
      },
      { once: true },
    );
  });
}

function remembered(context: HandlerContext): AbortSignal {
  contexts.push(new WeakRef(context));
  return context.signal;
}

let server: Server;
let port = 0;
const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;

beforeAll(async () => {
  server = createServer({
    limits: { calls: 2 * AT_ONCE },
    routes: (router) =>
      router.service(EchoService, {
        echo: (_request, context) => untilAborted(remembered(context)),
        async *repeat(request, context) {
          const signal = remembered(context);
          yield { number: 1, body: request.body };
          await untilAborted(signal);
        },
        async collect(requests, context) {
          const signal = remembered(context);
          for await (const _ of requests) await untilAborted(signal);
          return {};
        },
        async *converse(requests, context) {
          const signal = remembered(context);
          for await (const { number } of requests) {
            yield { number };
            await untilAborted(signal);
          }
        },
      }),
  });
  ({ port } = await server.listen({ port: 0, host: "127.0.0.1" }));
});

afterAll(() => server.close());

/** One message, and then nothing until the call is over. */
function endless(): AsyncIterable<{ number: number }> {
  let stop: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  let sent = false;
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        if (!sent) {
          sent = true;
          return { done: false, value: { number: 1 } };
        }
        await stopped;
        return { done: true, value: undefined };
      },
      async return() {
        stop();
        return { done: true, value: undefined };
      },
    }),
  };
}

/** Makes a call of one kind, which only ends by being given up. Streams are left after `read` messages. */
async function call(client: Client<typeof EchoService>, kind: number, read: number, options: CallOptions) {
  if (kind === 0) return void (await client.echo({}, options));
  if (kind === 1) return void (await client.collect(endless(), options));
  const messages = kind === 2 ? client.repeat({ count: 1 }, options) : client.converse(endless(), options);
  let count = 0;
  for await (const _ of messages) if (++count === read) return;
}

test("10,000 calls that are given up leave nothing", async () => {
  const before = timers();
  const random = new SeededRandom(7);
  const link = await createFaultProxy({ target: { port: port } });
  const connection = connect(link.url, {
    maxWaitingCalls: CALLS,
    reconnect: { initialDelayMs: 1, maxDelayMs: 4 },
  });
  const client = createClient(EchoService, connection);
  await connection.ready();
  // Signals that outlive their calls, as those of an application do.
  const shared = new AbortController();
  const codes = new Map<string, number>();
  const signals: WeakRef<object>[] = [];
  let made = 0;
  const one = async () => {
    const kind = made % 4;
    const way = Math.floor(made / 4) % 4;
    made++;
    const own = new AbortController();
    signals.push(new WeakRef(own.signal));
    const options: CallOptions =
      way === 0
        ? { signal: own.signal }
        : way === 1
          ? { signal: shared.signal, timeoutMs: 1 + random.below(20) }
          : way === 2
            ? { signal: AbortSignal.any([own.signal, shared.signal]), timeoutMs: 3_600_000 }
            : { signal: shared.signal, timeoutMs: kind < 2 ? 1 + random.below(3) : 3_600_000 };
    const abort = way % 2 === 0 ? random.below(3) : -1;
    const outcome = call(client, kind, way === 3 ? 1 : -1, options).then(
      () => "left",
      (error: unknown) => (error instanceof RpcError ? String(error.code) : String(error)),
    );
    if (abort === 0) own.abort();
    else if (abort === 1) queueMicrotask(() => own.abort());
    else if (abort === 2) setTimeout(() => own.abort(), random.below(10));
    const code = await outcome;
    codes.set(code, (codes.get(code) ?? 0) + 1);
    expect(getEventListeners(own.signal, "abort")).toEqual([]);
  };
  const lane = async () => {
    while (made < CALLS) {
      if (made % 1_000 === 999) link.cut(made % 2_000 === 999 ? "reset" : "end");
      await one();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));

  expect([...codes.keys()].sort()).toEqual(
    [String(Code.Canceled), String(Code.DeadlineExceeded), "left"].sort(),
  );
  expect([...codes.values()].reduce((sum, times) => sum + times)).toBe(made);
  expect(link.breaks).toBeGreaterThan(5);
  expect(connection.callsInFlight).toBe(0);
  expect(getEventListeners(shared.signal, "abort")).toEqual([]);
  await connection.ready();
  // The server hears of the last ones a moment later.
  await until(() => [...server.sessions].every(({ callsInFlight }) => callsInFlight === 0) && running === 0);
  // The session lives on, and holds nothing of its calls but perhaps the last one.
  expect(contexts.length).toBeGreaterThan(CALLS / 4);
  expect(await stillHeld(signals)).toBeLessThan(10);
  expect(await stillHeld(contexts)).toBeLessThan(10);
  await connection.close();
  await link.close();
  await until(() => server.sessions.size === 0);
  await until(() => timers() <= before);
});

test("10,000 calls in a session that is lost leave nothing", async () => {
  const before = timers();
  const connection = connect(`ws://127.0.0.1:${port}/rpc`, {
    maxWaitingCalls: CALLS,
    reconnect: { initialDelayMs: 1, maxDelayMs: 4 },
  });
  const client = createClient(EchoService, connection);
  const shared = new AbortController();
  const outcomes: unknown[] = [];
  for (let round = 0; round < 5; round++) {
    await connection.ready();
    // Half of them are opened, the others wait; all fail, some now and the rest at the end.
    for (let index = 0; index < CALLS / 5; index++) {
      const options = { signal: shared.signal, timeoutMs: 3_600_000 };
      void call(client, index % 4, -1, options).catch((error: unknown) => outcomes.push(error));
    }
    await until(() => running >= AT_ONCE);
    const lost = new Promise<void>((resolve) => {
      const off = connection.on("lost", () => {
        off();
        resolve();
      });
    });
    for (const session of server.sessions) session.close(1012);
    expect(running).toBe(0);
    await lost;
  }
  await connection.close();
  await until(() => outcomes.length === CALLS);
  expect(outcomes.every((error) => error instanceof RpcError)).toBe(true);
  expect(connection.callsInFlight).toBe(0);
  expect(getEventListeners(shared.signal, "abort")).toEqual([]);
  await until(() => server.sessions.size === 0 && running === 0);
  await until(() => timers() <= before);
});
