// What fan-out puts on the wire: one packet for all that was published in a turn, compressed once for everybody.
import { afterEach, describe, expect, it } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { TopicService } from "../../gen/hawser/test/v1/topics_pb.js";
import { type CompressionProfile, connect, createClient, type LinkInfo } from "../../src/client/index.js";
import { createServer } from "../../src/server/index.js";
import { echoHandlers } from "../support/echo.js";
import { Notes, topicRoutes } from "../support/topics.js";
import { until } from "../support/until.js";

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function setUp(compression: CompressionProfile) {
  const links: LinkInfo[] = [];
  const server = createServer({
    compression,
    observer: { linkOpened: (link) => links.push(link) },
    routes: (router) => {
      topicRoutes(router);
      router.service(EchoService, echoHandlers());
    },
  });
  closers.push(() => server.close());
  const { url } = await server.listen({ port: 0, host: "127.0.0.1" });
  const subscribe = () => {
    const connection = connect(url, { compression });
    closers.push(() => connection.close());
    const bodies: Uint8Array[] = [];
    (async () => {
      for await (const { body } of createClient(TopicService, connection).watch({ name: "a" }))
        bodies.push(body);
    })().catch(() => undefined);
    return { connection, bodies };
  };
  return { server, links, subscribe };
}

/** Text that compresses, each another one. */
const body = (i: number) => new TextEncoder().encode(`a line that repeats itself, number ${i}; `.repeat(40));

describe("publications", () => {
  it("of one turn reach each subscriber in one packet", async () => {
    const { server, links, subscribe } = await setUp("off");
    const [one, two] = [subscribe(), subscribe()];
    await until(() => server.topics.subscribers === 2);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const before = links.map(({ traffic }) => traffic.packetsOut);
    await Promise.all(Array.from({ length: 50 }, (_, number) => server.publish(Notes("a"), { number })));
    await until(() => one.bodies.length === 50 && two.bodies.length === 50);
    expect(links.map(({ traffic }, i) => traffic.packetsOut - (before[i] ?? 0))).toEqual([1, 1]);
  });

  for (const profile of ["memory", "balanced", "ratio"] as const) {
    it(`are compressed once, and what each connection compresses for itself goes on beside them (${profile})`, async () => {
      const { server, subscribe } = await setUp(profile);
      const all = [subscribe(), subscribe(), subscribe()];
      await until(() => server.topics.subscribers === 3);
      for (let i = 0; i < 40; i++) {
        await server.publish(Notes("a"), { number: i, body: body(i) });
        for (const [index, { connection }] of all.entries()) {
          // Some connections have something of their own to say in between, some have not.
          if ((i + index) % 3 !== 0) continue;
          const name = `own ${i} `.repeat(100);
          const answer = await createClient(EchoService, connection).echo({
            id: BigInt(i),
            name,
            body: body(i),
          });
          expect(answer).toMatchObject({ id: BigInt(i), name });
          expect(Buffer.compare(answer.body, body(i))).toBe(0);
        }
      }
      await until(() => all.every(({ bodies }) => bodies.length === 40));
      for (const { bodies } of all)
        for (const [i, got] of bodies.entries()) expect(Buffer.compare(got, body(i)), `${i}`).toBe(0);
    });
  }
});
