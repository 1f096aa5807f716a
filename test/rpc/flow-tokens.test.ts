// Resume tokens cost credit, so that a stream of empty messages with long tokens is bounded as any other.

import { expect, it } from "vitest";
import { CounterService } from "../../gen/hawser/test/v1/counter_pb.js";
import { createClient, resumable } from "../../src/index.js";
import { Held } from "../../src/rpc/held.js";
import { Receiver } from "../../src/rpc/receiver.js";
import { createPair } from "../../src/testing/index.js";
import { MIN_LIMITS } from "../../src/wire/limits.js";

const TOKEN = "t".repeat(255);

it("a writer of empty messages with tokens is stopped by a reader that does not read, and loses nothing", async () => {
  let written = 0;
  const pair = createPair({
    server: {
      routes: (router) =>
        router.service(CounterService, {
          async *follow({ count }) {
            for (let number = 1; number <= count; number++) {
              written = number;
              yield resumable({ number }, TOKEN);
            }
          },
        }),
    },
    client: { limits: { creditBytes: MIN_LIMITS.creditBytes } },
  });
  const messages = createClient(CounterService, pair.connection)
    .follow({ count: 5_000 })
    [Symbol.asyncIterator]();
  await pair.clock.advance(10_000);
  // A message of 2 or 3 bytes costs 16 more, and its token.
  expect(written).toBeLessThan(MIN_LIMITS.creditBytes / TOKEN.length + 2);
  const seen: number[] = [];
  let over = false;
  const read = async () => {
    for (let result = await messages.next(); !result.done; result = await messages.next())
      seen.push(result.value.number);
    over = true;
  };
  void read();
  await pair.clock.runUntil(() => over);
  expect(seen).toEqual(Array.from({ length: 5_000 }, (_, i) => i + 1));
  await pair.close();
  pair.assertFinished();
});

it("a reader that is sent more tokens than it gave credit for says so", () => {
  const window = 10_000;
  const held = new Held(Number.POSITIVE_INFINITY);
  const receiver = new Receiver(window, 1_000, held);
  let taken = 0;
  while (receiver.take(new Uint8Array(0), 0, false, TOKEN) === undefined) taken++;
  expect(taken).toBe(Math.floor(window / (16 + TOKEN.length)));
  expect(held.bytes).toBeGreaterThan(taken * 200);
});

it("credit for pieces with a token comes back whole", () => {
  const receiver = new Receiver(1_000, 1_000, new Held(Number.POSITIVE_INFINITY));
  let given = 0;
  for (let round = 0; round < 100; round++) {
    expect(receiver.take(new Uint8Array(300), 500, false, "token")).toBeUndefined();
    expect(receiver.take(new Uint8Array(200), 0, false, "")).toBeUndefined();
    expect(receiver.shift()).toHaveLength(500);
    expect(receiver.resumeToken).toBe("token");
    given += receiver.takeCredit();
  }
  // What has not come back yet is less than half of the window.
  expect(100 * (500 + 2 * 16 + 5) - given).toBeLessThan(500);
});
