// One of 1,000 subscribers stops reading: the others do not notice, and it comes back to a stream that is whole.
import { afterEach, describe, expect, it } from "vitest";
import { TopicService } from "../../gen/hawser/test/v1/topics_pb.js";
import { CountingSocket } from "../../src/bench/counting-socket.js";
import { connect, createClient } from "../../src/client/index.js";
import { createServer } from "../../src/server/index.js";
import { createFaultProxy } from "../../src/testing/index.js";
import { HELLO_WITH_ROOM, watchPacket } from "../support/raw-subscriber.js";
import { Notes, topicRoutes } from "../support/topics.js";
import { until } from "../support/until.js";

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const SUBSCRIBERS = 999;
const MESSAGES = 600;

describe("one of 1,000 subscribers that stops reading", () => {
  it("holds up nobody, is kept nowhere, and gets everything when it reads again", {
    timeout: 120_000,
  }, async () => {
    const server = createServer({ routes: topicRoutes, maxConnectionsPerAddress: 2_000 });
    closers.push(() => server.close());
    const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
    const sockets: CountingSocket[] = [];
    closers.push(() => {
      for (const socket of sockets) socket.destroy();
    });
    while (sockets.length < SUBSCRIBERS) {
      const some = Array.from({ length: Math.min(50, SUBSCRIBERS - sockets.length) }, () =>
        CountingSocket.open(port, "/rpc", "hawser.v1", [HELLO_WITH_ROOM, watchPacket("a")]),
      );
      sockets.push(...(await Promise.all(some)));
    }
    const proxy = await createFaultProxy({ target: { port } });
    closers.push(() => proxy.close());
    const connection = connect(proxy.url, { pingIntervalMs: 600_000 });
    closers.push(() => connection.close());
    const numbers: number[] = [];
    (async () => {
      for await (const { number } of createClient(TopicService, connection).watch({ name: "a" }))
        numbers.push(number);
    })().catch(() => undefined);
    await until(() => server.topics.subscribers === SUBSCRIBERS + 1);
    proxy.stall("down");
    // The last four bytes of a message are its number, which is all that the others look at.
    const publish = (number: number, size: number) => {
      const body = Buffer.alloc(size, 7);
      body.writeUInt32BE(number, size - 4);
      return server.publish(Notes("a"), { number, body });
    };
    const sessions = () => [...server.sessions].reduce((sum, { bufferedBytes }) => sum + bufferedBytes, 0);
    let most = 0;
    for (let number = 1; number <= MESSAGES; number++) {
      await publish(number, 4_000);
      most = Math.max(most, sessions());
      // What the others are to get, they get at once.
      if (number % 100 === 0) {
        const all = Promise.all(sockets.map((socket) => socket.wait(number + 1_000_000)));
        await publish(number + 1_000_000, 4_000);
        await all;
      } else await new Promise((resolve) => setImmediate(resolve));
    }
    expect(numbers).toEqual([]);
    // Outboxes are not for publications: nothing is kept for anybody.
    expect(most).toBe(0);
    expect(server.topics.fellBehind).toBe(1);
    proxy.resume();
    await until(() => numbers.filter((number) => number < 1_000_000).length === MESSAGES);
    expect(numbers.filter((number) => number < 1_000_000)).toEqual(
      Array.from({ length: MESSAGES }, (_, i) => i + 1),
    );
    expect(new Set(numbers).size).toBe(MESSAGES + MESSAGES / 100);
    expect(server.topics.gaps).toBe(0);
  });
});
