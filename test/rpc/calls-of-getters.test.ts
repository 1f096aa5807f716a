// A message is written straight into a packet, and its getters may do anything meanwhile, even make calls.
import { expect, it } from "vitest";
import { CounterService } from "../../gen/hawser/test/v1/counter_hawser.js";
import { EchoService } from "../../gen/hawser/test/v1/echo_hawser.js";
import { createClient } from "../../src/index.js";
import { createPair } from "../../src/testing/index.js";

it("a call that a getter makes fails, and leaves nothing behind", async () => {
  const pair = createPair({
    server: {
      routes: (router) => {
        router.service(EchoService, { echo: ({ id, name }) => ({ id, name }) });
        router.service(CounterService, { read: () => ({ value: 7n }) });
      },
    },
  });
  const run = async <T>(promise: Promise<T>): Promise<T> => {
    let over = false;
    const end = promise.finally(() => {
      over = true;
    });
    end.catch(() => undefined);
    await pair.clock.runUntil(() => over);
    return end;
  };
  const echo = createClient(EchoService, pair.connection);
  const counter = createClient(CounterService, pair.connection);
  await run(echo.echo({ name: "first" }));
  const { sessionId } = pair.connection;
  let inner: Promise<unknown> | undefined;
  let reads = 0;
  const request = {
    id: 2n,
    get name() {
      // Once to learn how long it may be, and once more to write it.
      if (++reads === 2) inner = counter.read({}).catch((error: unknown) => error);
      return "second";
    },
  };
  expect(await run(echo.echo(request))).toMatchObject({ id: 2n, name: "second" });
  expect(String(await inner)).toMatch(/a message is being encoded, and cannot make calls meanwhile/);
  // Its method's name was not lost with it, which would break the protocol.
  expect(await run(counter.read({}))).toMatchObject({ value: 7n });
  expect(pair.connection.sessionId).toBe(sessionId);
  expect([...pair.sessions].map(({ callsInFlight }) => callsInFlight)).toEqual([0]);
  await pair.close();
  pair.assertFinished();
});
