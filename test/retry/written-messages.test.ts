// A message that was written straight into a packet is read from there when the call is attempted again: whatever became
// of the packet, and whatever was written since, it is the message that the caller gave.
import { describe, expect, it } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_hawser.js";
import { Code, createClient, RpcError } from "../../src/index.js";
import { memoryIdempotencyStore } from "../../src/server/index.js";
import { createPair, type Pair } from "../../src/testing/index.js";

/** Bytes that no other call sends. */
const bodyOf = (call: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, at) => call * 31 + at * 7);

/** A server whose handler gives back what it got, once it has said no to each call so many times. */
function world(refusals: number): Pair {
  const refused = new Map<bigint, number>();
  return createPair({
    server: {
      idempotencyStore: memoryIdempotencyStore(),
      routes: (router) =>
        router.service(EchoService, {
          echo: ({ id, name, body }) => {
            const before = refused.get(id) ?? 0;
            if (before >= refusals || id === 0n) return { id, name, body: new Uint8Array(body) };
            refused.set(id, before + 1);
            throw new RpcError("not yet", Code.Unavailable);
          },
        }),
    },
    client: { retry: { policy: { maxAttempts: 4 }, throttling: false } },
  });
}

/** Sends bursts of calls, and checks what each gets back. */
async function burst(pair: Pair, calls: number, length: number, meanwhile?: () => void): Promise<void> {
  const client = createClient(EchoService, pair.connection);
  const run = async (promise: Promise<unknown>) => {
    let over = false;
    const end = promise.finally(() => {
      over = true;
    });
    end.catch(() => undefined);
    await pair.clock.runUntil(() => over);
    await end;
  };
  // From here on the other side knows the method by number.
  await run(client.echo({ id: 0n }));
  const answers: Promise<void>[] = [];
  for (const first of [1, calls + 1]) {
    for (let call = first; call < first + calls; call++) {
      const body = bodyOf(call, length);
      const answer = client.echo({ id: BigInt(call), body }, { idempotencyKey: `call ${call}` });
      answers.push(
        answer.then((echo) => {
          expect(echo.id).toBe(BigInt(call));
          expect(Buffer.from(echo.body).equals(Buffer.from(body))).toBe(true);
        }),
      );
    }
    meanwhile?.();
    await pair.clock.advance(1);
  }
  await run(Promise.all(answers));
}

describe("calls that are attempted again send what they sent before", () => {
  it.each([
    [5, 100],
    [12, 2_000],
    [60, 400],
    [200, 600],
    [40, 3_900],
  ])("after answers that ask for it: %d calls of %d bytes in one turn", async (calls, length) => {
    await burst(world(2), calls, length);
  });

  it.each([
    [12, 2_000],
    [200, 600],
  ])(
    "after the session was lost before anything of it was written: %d calls of %d bytes",
    async (calls, length) => {
      const pair = world(0);
      await burst(pair, calls, length, () => pair.restartServer());
    },
  );
});
