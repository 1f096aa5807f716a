// What waits for readers is counted as long as somebody may read it, and no longer: see `maxHeldBytes`.
import { expect, it } from "vitest";
import { CounterService } from "../../gen/hawser/test/v1/counter_pb.js";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { Code, createClient, type Routes, RpcError } from "../../src/index.js";
import type { LiveSession } from "../../src/server/session.js";
import { createPair, type Pair } from "../../src/testing/index.js";

const KIB = 1024;

function sessionOf(pair: Pair): LiveSession {
  const [session] = pair.sessions;
  return session as LiveSession;
}

it("a reader that leaves a stream whose end has come leaves nothing behind", async () => {
  const routes: Routes = (router) =>
    router.service(EchoService, {
      async *repeat({ body, count }) {
        for (let number = 1; number <= count; number++) yield { number, body };
      },
    });
  const pair = createPair({ server: { routes: () => undefined }, client: { routes } });
  await pair.clock.advance(1_000);
  const session = sessionOf(pair);
  const messages = createClient(EchoService, session.peer)
    .repeat({ body: new Uint8Array(KIB), count: 20 })
    [Symbol.asyncIterator]();
  expect((await Promise.all([messages.next(), pair.clock.advance(1_000)]))[0].value).toMatchObject({
    number: 1,
  });
  expect(session.callsInFlight).toBe(0);
  expect(session.waitingBytes).toBeGreaterThan(19 * KIB);
  await messages.return?.();
  expect(session.waitingBytes).toBe(0);
  await pair.close();
  pair.assertFinished();
});

it("what comes for a call whose answer is on its way is not kept", async () => {
  const routes: Routes = (router) =>
    router.service(EchoService, {
      // Answers without having read anything, with more than goes out at once.
      collect: async () => ({ numbers: new Array(900 * KIB).fill(1) }),
    });
  const pair = createPair({ server: { routes }, network: { latencyMs: 50 } });
  let sent = 0;
  async function* requests() {
    for (let number = 1; number <= 100; number++) {
      sent = number;
      yield { number, body: new Uint8Array(KIB) };
    }
  }
  const [{ numbers }] = await Promise.all([
    createClient(EchoService, pair.connection).collect(requests()),
    pair.clock.advance(10_000),
  ]);
  expect(numbers).toHaveLength(900 * KIB);
  expect(sent).toBeGreaterThan(1);
  expect(sessionOf(pair).callsInFlight).toBe(0);
  expect(sessionOf(pair).waitingBytes).toBe(0);
  await pair.close();
  pair.assertFinished();
});

it("a handler that has left its requests does not hold up their writer", async () => {
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const routes: Routes = (router) =>
    router.service(EchoService, {
      async *converse(requests) {
        for await (const { number } of requests) {
          yield { number };
          break;
        }
        await released;
        yield { number: 2 };
      },
    });
  const pair = createPair({ server: { routes } });
  let sent = 0;
  async function* requests() {
    for (let number = 1; number <= 2_000; number++) {
      sent = number;
      yield { number, body: new Uint8Array(KIB) };
    }
  }
  const numbers: number[] = [];
  const read = async () => {
    for await (const { number } of createClient(EchoService, pair.connection).converse(requests()))
      numbers.push(number);
  };
  const reading = read();
  await pair.clock.advance(10_000);
  expect(numbers).toEqual([1]);
  expect(sent).toBe(2_000);
  expect(sessionOf(pair).waitingBytes).toBe(0);
  release();
  await Promise.all([reading, pair.clock.advance(1_000)]);
  expect(numbers).toEqual([1, 2]);
  await pair.close();
  pair.assertFinished();
});

it("a reader gets nothing of an attempt that has failed while the next one is waited for", async () => {
  let attempts = 0;
  const routes: Routes = (router) =>
    router.service(CounterService, {
      async *follow({ count }) {
        attempts++;
        for (let number = 1; number <= count; number++) yield { number };
        if (attempts === 1) throw new RpcError("again", Code.Unavailable);
      },
    });
  const pair = createPair({
    server: { routes },
    client: { retry: { methods: () => ({ retry: { initialBackoffMs: 1_000 } }) } },
  });
  const messages = createClient(CounterService, pair.connection).follow({ count: 3 })[Symbol.asyncIterator]();
  await pair.clock.advance(200);
  expect(attempts).toBe(1);
  const seen: number[] = [];
  const read = async () => {
    for (let result = await messages.next(); !result.done; result = await messages.next())
      seen.push(result.value.number);
  };
  await Promise.all([read(), pair.clock.advance(10_000)]);
  expect(attempts).toBe(2);
  expect(seen).toEqual([1, 2, 3]);
  await pair.close();
  pair.assertFinished();
});
