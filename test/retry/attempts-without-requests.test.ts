// A further attempt that is over before it has begun gets none of the requests: they would go to no call at all.
import { expect, it } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { Code, createClient, type Interceptor, RpcError } from "../../src/index.js";
import { createPair } from "../../src/testing/index.js";

it("the link is down when the next attempt is to begin, and the call does not wait for it", async () => {
  let turnAway = true;
  const refusing: Interceptor = (next) => (request) => {
    if (turnAway) throw new RpcError("not now", Code.Aborted, { executed: "no" });
    return next(request);
  };
  const pair = createPair({
    server: {
      routes: (router) =>
        router.service(EchoService, {
          echo: ({ id }) => ({ id }),
          async collect(requests) {
            const numbers: number[] = [];
            for await (const { number } of requests) numbers.push(number);
            return { numbers };
          },
        }),
      interceptors: [refusing],
    },
    client: {
      reconnect: { initialDelayMs: 5_000, maxDelayMs: 5_000 },
      retry: {
        methods: () => ({ retry: { initialBackoffMs: 1_000, retryableStatusCodes: [Code.Aborted] } }),
      },
    },
  });
  const lost: unknown[] = [];
  pair.connection.on("lost", (event) => lost.push(event));
  await pair.clock.advance(1_000);
  async function* requests(): AsyncGenerator<{ number: number }> {
    // An end is all that is sent.
  }
  let error: unknown;
  createClient(EchoService, pair.connection)
    .collect(requests(), { waitForReady: false })
    .catch((thrown: unknown) => {
      error = thrown;
    });
  await pair.clock.advance(500);
  expect(error).toBeUndefined();
  pair.reachable = false;
  pair.network.cut();
  await pair.clock.advance(1_500);
  expect(String(error)).toMatch(/not connected/);
  turnAway = false;
  pair.reachable = true;
  await pair.clock.advance(20_000);
  const answer = createClient(EchoService, pair.connection).echo({ id: 3n });
  expect(await Promise.all([answer, pair.clock.advance(1_000)])).toMatchObject([{ id: 3n }, undefined]);
  expect(lost).toEqual([]);
  expect(pair.sessions.size).toBe(1);
  await pair.close();
  pair.assertFinished();
});
