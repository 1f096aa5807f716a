// Connections over HTTP that break at random bytes, up and down: every call has its effect once, and the session goes on.
import { describe, expect, onTestFinished, test } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { createClient } from "../../src/client/index.js";
import { createFaultProxy, type PlannedFault, seededRandom } from "../../src/testing/index.js";
import { bytesOf, echoHandlers } from "../support/echo.js";
import { blockedServer, CLIENTS, open } from "./blocked.js";

const CALLS = 200;
const DEPTH = 8;
/** So many TCP connections break, and more until a link has; the later ones hold. Not all that are meant to come to it. */
const BREAKS = 20;

describe.each(CLIENTS)("%s", (_, connectTo) => {
  test.each([1, 2])(
    "cut at random bytes, seed %i",
    async (run) => {
      const seed = run + Math.floor(Math.random() * 1_000_000) * 2;
      const random = seededRandom(seed);
      const runs = new Map<bigint, number>();
      const { server, port } = await blockedServer({
        pingIntervalMs: 200,
        pingTimeoutMs: 300,
        routes: (router) =>
          router.service(EchoService, {
            ...echoHandlers(),
            echo: ({ id, body }) => {
              runs.set(id, (runs.get(id) ?? 0) + 1);
              return { id, body };
            },
          }),
      });
      let resumed = 0;
      const enough = () => resumed > 0 && proxy.breaks >= BREAKS;
      const plan = (): PlannedFault | undefined => {
        if (enough()) return undefined;
        const direction = random() < 0.5 ? "up" : "down";
        const kind = random();
        const how = kind < 0.48 ? "reset" : kind < 0.96 ? "end" : "stall";
        return { direction, how, after: Math.floor(random() * 6_000) };
      };
      const proxy = await createFaultProxy({ target: { port }, plan, random });
      onTestFinished(() => proxy.close());
      const connection = open(connectTo, proxy.url, {
        pingIntervalMs: 200,
        pingTimeoutMs: 300,
        handshakeTimeoutMs: 500,
        reconnect: { initialDelayMs: 1, maxDelayMs: 5 },
      });
      let lost = 0;
      connection.on("lost", () => lost++);
      connection.on("resumed", () => resumed++);
      const client = createClient(EchoService, connection);
      let next = 0;
      const work = Array.from({ length: DEPTH }, async () => {
        while (next < CALLS || !enough()) {
          const id = BigInt(next++);
          const size = Math.floor(random() * 3_000);
          const answer = await client.echo({ id, body: new Uint8Array(size) });
          expect([answer.id, answer.body.length], `seed ${seed}`).toEqual([id, size]);
        }
      });
      const numbers: number[] = [];
      for await (const { number } of client.repeat({ body: bytesOf("x".repeat(200)), count: 500 }))
        numbers.push(number);
      await Promise.all(work);
      expect(numbers, `seed ${seed}`).toEqual(Array.from({ length: 500 }, (__, index) => index + 1));
      expect(
        [...runs.values()].filter((count) => count !== 1),
        `seed ${seed}`,
      ).toEqual([]);
      expect(runs.size).toBe(next);
      expect({ seed, lost, sessions: server.sessions.size }).toEqual({ seed, lost: 0, sessions: 1 });
    },
    60_000,
  );
});
