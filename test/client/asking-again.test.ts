// What a connection does for calls that wait for nothing, and for a server that asks for credentials once more.
import { expect, it } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { createClient } from "../../src/index.js";
import { createPair } from "../../src/testing/index.js";

it("a call that does not wait brings an idle connection back, for those that come later", async () => {
  const pair = createPair({
    server: {
      routes: (router) => router.service(EchoService, { echo: ({ id }) => ({ id }) }),
      idleTimeoutMs: 1_000,
    },
  });
  const client = createClient(EchoService, pair.connection);
  await pair.clock.advance(5_000);
  expect(pair.connection.state).toBe("idle");
  await expect(client.echo({ id: 1n }, { waitForReady: false })).rejects.toThrow(/not connected/);
  await pair.clock.advance(100);
  const answer = client.echo({ id: 2n }, { waitForReady: false });
  expect(await Promise.all([answer, pair.clock.advance(100)])).toMatchObject([{ id: 2n }, undefined]);
  await pair.close();
  pair.assertFinished();
});

it("credentials that never came for one link are asked for again on the next", async () => {
  const asked: string[] = [];
  let hangs = false;
  const pair = createPair({
    server: {
      routes: () => undefined,
      authenticate: ({ reason }) => {
        asked.push(reason);
        return { id: "ada", expiresAt: pair.clock.now() + 60_000 };
      },
      refreshBeforeMs: 30_000,
    },
    client: {
      credentials: () => (hangs ? new Promise<string>(() => undefined) : "token"),
      reconnect: { initialDelayMs: 10, maxDelayMs: 10 },
    },
  });
  await pair.clock.advance(1_000);
  hangs = true;
  // The server asks, and gets no answer over this link.
  await pair.clock.advance(31_000);
  hangs = false;
  pair.network.cut();
  await pair.clock.advance(1_000);
  expect(asked).toEqual(["connect", "connect"]);
  await pair.clock.advance(45_000);
  expect(asked).toEqual(["connect", "connect", "refresh"]);
  await pair.close();
  pair.assertFinished();
});
