// A deployment in the middle of a rolling restart: one node is of a frozen release, the other of today. What they say to each other
// goes over a bus in memory, which carries the same bytes as NATS does.
import { describe, expect, it, onTestFinished } from "vitest";
import type { ConnectOptions, Identity } from "../../src/client/index.js";
import type { Server } from "../../src/server/index.js";
import { createFaultProxy } from "../../src/testing/index.js";
import { busBroker, newBuses } from "../support/cluster.js";
import { echoHandlers, exchange, expectedResult } from "../support/echo.js";
import { until } from "../support/until.js";
import { type Release, releases } from "./frozen.js";
import { echoOf } from "./handlers.js";
import * as present from "./release.js";

interface Node {
  readonly release: Release;
  readonly server: Server;
  readonly port: number;
}

const notesOf = (release: Release) =>
  release.defineTopic({ name: (name: string) => `notes.${name}`, schema: release.NoteSchema });

async function startNodes(all: readonly Release[]): Promise<Node[]> {
  const buses = newBuses();
  const nodes: Node[] = [];
  for (const release of all) {
    const server = release.createServer({
      broker: busBroker(buses),
      logger: { warn: () => undefined, error: () => undefined },
      authenticate: ({ credentials }): Identity => ({ id: credentials, claims: { name: credentials } }),
      routes: (router) => {
        router.service(release.EchoService, echoOf(release));
        router.service(release.TopicService, { watch: ({ name }) => notesOf(release)(name) });
      },
    });
    onTestFinished(() => server.close());
    const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
    nodes.push({ release, server, port });
  }
  return nodes;
}

/** A client that comes to the first of these nodes, and later to whichever it is led. */
async function clientOf([first]: readonly Node[], options: ConnectOptions = {}) {
  const proxy = await createFaultProxy({ target: { port: first?.port ?? 0 } });
  const connection = present.connect(proxy.url, {
    credentials: "ada",
    reconnect: { initialDelayMs: 1, maxDelayMs: 20 },
    ...options,
  });
  onTestFinished(async () => {
    await connection.close();
    await proxy.close();
  });
  const counts = { resumed: 0, lost: 0 };
  connection.on("resumed", () => counts.resumed++);
  connection.on("lost", () => counts.lost++);
  await connection.ready();
  return {
    connection,
    counts,
    async goTo({ port }: Node) {
      const { resumed, lost } = counts;
      proxy.retarget({ port });
      proxy.cut("reset");
      await until(() => counts.resumed > resumed || counts.lost > lost);
    },
  };
}

const pairs = releases.flatMap(([version, release]): [string, Release, Release][] => [
  [`a node of ${version} has the session, and a present one the link`, release, present],
  [`a present node has the session, and one of ${version} the link`, present, release],
]);

describe.each(pairs)("%s", (_, there, here) => {
  it("and the session goes on, with calls in both directions", async () => {
    const nodes = await startNodes([there, here]);
    const { connection, counts, goTo } = await clientOf(nodes, {
      routes: (router) => router.service(present.EchoService, echoHandlers()),
    });
    const client = present.createClient(present.EchoService, connection);
    const numbers: number[] = [];
    for await (const { number } of client.repeat({ body: new Uint8Array(500), count: 2_000 })) {
      numbers.push(number);
      const to = { 200: nodes[1], 800: nodes[0], 1500: nodes[1] }[number];
      if (to !== undefined) await goTo(to);
    }
    expect(numbers).toEqual(Array.from({ length: 2_000 }, (_, i) => i + 1));
    expect(counts).toEqual({ resumed: 3, lost: 0 });
    expect(nodes.map(({ server }) => server.sessions.size)).toEqual([1, 0]);
    expect(await exchange(client, "relayed")).toEqual(expectedResult("relayed"));
    const body = new Uint8Array(700_000).map((_, i) => (i % 251) ^ (i >> 10));
    expect(Buffer.compare((await client.echo({ body })).body, body)).toBe(0);
    // The node with the link calls the client of the other one's session.
    const peer = (nodes[1] as Node).server.peer({ identity: "ada" });
    expect(await exchange(here.createClient(here.EchoService, peer), "back")).toEqual(expectedResult("back"));
  });

  it("and what is published to one user finds them there", async () => {
    const nodes = await startNodes([there, here]);
    const { connection } = await clientOf(nodes);
    const seen: number[] = [];
    const watching = (async () => {
      const watch = present.createClient(present.TopicService, connection).watch({ name: "a" });
      for await (const { number } of watch) {
        seen.push(number);
        break;
      }
    })();
    const [first, second] = nodes as [Node, Node];
    await until(() => first.server.topics.subscribers === 1);
    const to = { to: { identity: "ada" } };
    const told = await second.server.publish(notesOf(here)("a"), { number: 1 }, to);
    expect(told.recipients).toBe(1);
    await watching;
    expect(seen).toEqual([1]);
  });
});
