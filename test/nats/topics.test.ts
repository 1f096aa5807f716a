// Servers on a real nats-server: topics on two nodes, and what becomes of them without NATS.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { TopicService } from "../../gen/hawser/test/v1/topics_pb.js";
import { Code, type Connection, connect, createClient, type TopicGap } from "../../src/client/index.js";
import { natsBroker } from "../../src/nats/index.js";
import { createServer, type Server } from "../../src/server/index.js";
import { selfSigned } from "../support/certificate.js";
import { type NatsServer, startNats } from "../support/nats.js";
import { Notes, PlainNotes, Room, topicRoutes } from "../support/topics.js";
import { until } from "../support/until.js";

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startNode(nats: NatsServer): Promise<{ server: Server; url: string }> {
  const server = createServer({
    broker: natsBroker({ servers: nats.url }),
    routes: topicRoutes,
    authenticate: ({ credentials }) => ({ id: credentials }),
    logger: { warn: () => undefined, error: () => undefined },
  });
  closers.push(() => server.close());
  return { server, url: (await server.listen({ port: 0, host: "127.0.0.1" })).url };
}

async function setUp() {
  const nats = await startNats();
  closers.push(() => nats[Symbol.asyncDispose]());
  const [one, two] = [await startNode(nats), await startNode(nats)];
  const open = (url: string, credentials = "ada"): Connection => {
    const connection = connect(url, { credentials, reconnect: { initialDelayMs: 1, maxDelayMs: 50 } });
    closers.push(() => connection.close());
    return connection;
  };
  return { nats, one, two, open };
}

function watch(connection: Connection, kind: "watch" | "watchPlain", name: string) {
  const seen = { numbers: [] as number[], gaps: [] as TopicGap[], stale: [] as boolean[] };
  const topic = {
    onGap: (gap: TopicGap) => seen.gaps.push(gap),
    onStale: (stale: boolean) => seen.stale.push(stale),
  };
  (async () => {
    for await (const { number } of createClient(TopicService, connection)[kind]({ name }, { topic }))
      seen.numbers.push(number);
  })().catch(() => undefined);
  return seen;
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe("a broker", () => {
  it("speaks TLS to NATS", async () => {
    const folder = mkdtempSync(join(tmpdir(), "hawser-tls-"));
    closers.push(() => rmSync(folder, { recursive: true }));
    const { key, cert } = selfSigned();
    writeFileSync(join(folder, "key.pem"), key);
    writeFileSync(join(folder, "cert.pem"), cert);
    const files = `cert_file: "${join(folder, "cert.pem")}", key_file: "${join(folder, "key.pem")}"`;
    const nats = await startNats({ config: `tls { ${files} }` });
    closers.push(() => nats[Symbol.asyncDispose]());
    const broker = natsBroker({ servers: `tls://localhost:${nats.port}`, connect: { tls: { ca: cert } } });
    const server = createServer({ broker, routes: topicRoutes });
    closers.push(() => server.close());
    await server.listen({ port: 0, host: "127.0.0.1" });
    expect((await server.publish(Notes("a"), { number: 1 })).position).toMatch(/:1$/);
  });
});

describe("topics over NATS", () => {
  it("are the same on all nodes, with and without history", async () => {
    const { one, two, open } = await setUp();
    const [long, plain] = [watch(open(one.url), "watch", "a"), watch(open(one.url), "watchPlain", "a")];
    await until(() => one.server.topics.subscribers === 2);
    // Followed once both nodes know of it.
    await until(() => one.server.topics.channels === 2);
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (const number of range(1, 200)) {
      await two.server.publish(Notes("a"), { number });
      await two.server.publish(PlainNotes("a"), { number });
    }
    await until(() => long.numbers.length >= 200 && plain.numbers.length >= 200);
    expect(long.numbers).toEqual(range(1, 200));
    expect(plain.numbers).toEqual(range(1, 200));
    expect([...long.gaps, ...plain.gaps]).toEqual([]);
  });

  it("go on after an outage of NATS: nothing acknowledged is lost, and everybody is told meanwhile", async () => {
    const { nats, one, two, open } = await setUp();
    const connection = open(one.url);
    const seen = watch(connection, "watch", "a");
    await until(() => one.server.topics.subscribers === 1);
    for (const number of range(1, 20)) await two.server.publish(Notes("a"), { number });
    await until(() => seen.numbers.length === 20);
    await nats.kill();
    await until(() => seen.stale.length === 1);
    const lost = two.server.publish(Notes("a"), { number: 99 });
    await expect(lost).rejects.toMatchObject({ code: Code.Unavailable, executed: "no" });
    // Calls of the node itself do not need NATS.
    const refused = createClient(TopicService, connection).post(
      { name: "a", note: { number: 98 } },
      { retry: false },
    );
    await expect(refused).rejects.toMatchObject({ code: Code.Unavailable });
    await until(() => !one.server.health.ready);
    await nats.restart();
    await until(() => one.server.health.ready && two.server.health.ready);
    for (const number of range(21, 40)) await two.server.publish(Notes("a"), { number });
    await until(() => seen.numbers.length >= 40);
    expect(seen.numbers).toEqual(range(1, 40));
    expect(seen.gaps).toEqual([]);
    expect(seen.stale).toEqual([true, false]);
    expect(connection.state).toBe("open");
  });

  it("know who is there on all nodes, find clients on any, and forget those of a node that goes", async () => {
    const { one, two, open } = await setUp();
    const enter = async (connection: Connection) => {
      for await (const _note of createClient(TopicService, connection).watchRoom({ name: "r" }));
    };
    enter(open(one.url, "ada")).catch(() => undefined);
    enter(open(two.url, "bob")).catch(() => undefined);
    await until(() => one.server.topics.subscribers === 1 && two.server.topics.subscribers === 1);
    const names = async (server: Server) =>
      (await server.presence(Room("r"))).map(({ identity }) => identity).sort();
    expect(await names(one.server)).toEqual(["ada", "bob"]);
    const found = async () =>
      (await one.server.publish(Room("r"), { number: 1 }, { to: { identity: "bob" } })).recipients;
    // The registry is written in the background.
    while ((await found()) !== 1) await new Promise((resolve) => setTimeout(resolve, 10));
    await two.server.close();
    expect(await names(one.server)).toEqual(["ada"]);
    expect(await found()).toBe(0);
  });
});
