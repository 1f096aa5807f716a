// Several nodes in one process, over a bus in memory: links are relayed, clients are found wherever they are.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterEach, describe, expect, it } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { TopicService } from "../../gen/hawser/test/v1/topics_pb.js";
import { PipeOpenedSchema, PipeOpenSchema } from "../../gen/hawser/v1/cluster_pb.js";
import type { MemoryBuses } from "../../src/broker/memory-bus.js";
import { Code, type Connection, type ConnectOptions, connect, createClient } from "../../src/client/index.js";
import { createServer, type Server, type ServerOptions } from "../../src/server/index.js";
import type { Sessions } from "../../src/server/sessions.js";
import { createFaultProxy, type FaultProxy } from "../../src/testing/index.js";
import { busBroker, newBuses } from "../support/cluster.js";
import { echoHandlers } from "../support/echo.js";
import { Room, topicRoutes } from "../support/topics.js";
import { until } from "../support/until.js";

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Node {
  readonly server: Server;
  readonly broker: ReturnType<typeof busBroker>;
  readonly port: number;
}

async function startNodes(
  count: number,
  options: Partial<ServerOptions> = {},
  buses: MemoryBuses = newBuses(),
): Promise<Node[]> {
  const nodes: Node[] = [];
  for (let i = 0; i < count; i++) {
    const broker = busBroker(buses);
    const server = createServer({
      broker,
      authenticate: ({ credentials }) => ({ id: credentials, claims: { name: credentials } }),
      routes: (router) => {
        topicRoutes(router);
        router.service(EchoService, echoHandlers());
      },
      ...options,
    });
    const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
    closers.push(() => server.close());
    nodes.push({ server, broker, port });
  }
  return nodes;
}

/** A client behind a proxy that leads to whichever node it is told. */
async function clientOf(nodes: readonly Node[], options: ConnectOptions = {}) {
  const proxies: FaultProxy[] = [];
  for (const { port } of nodes) proxies.push(await createFaultProxy({ target: { port } }));
  // Connections go to the node of the moment; all others are refused.
  let at = 0;
  const { createServer: listen, connect: dial } = await import("node:net");
  const front = listen((socket) => {
    const back = dial(nodes[at]?.port ?? 0, "127.0.0.1");
    socket.on("error", () => back.destroy()).on("close", () => back.destroy());
    back.on("error", () => socket.resetAndDestroy()).on("close", () => socket.destroy());
    socket.pipe(back).pipe(socket);
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  });
  const open = new Set<import("node:net").Socket>();
  await new Promise<void>((resolve) => front.listen(0, "127.0.0.1", resolve));
  const { port } = front.address() as { port: number };
  const connection = connect(`ws://127.0.0.1:${port}/rpc`, {
    credentials: "ada",
    reconnect: { initialDelayMs: 1, maxDelayMs: 20 },
    ...options,
  });
  const events: string[] = [];
  connection.on("resumed", () => events.push("resumed"));
  connection.on("lost", () => events.push("lost"));
  closers.push(
    () => Promise.all(proxies.map((proxy) => proxy.close())),
    () => connection.close(),
    () => new Promise((resolve) => front.close(resolve)),
    () => {
      for (const socket of open) socket.destroy();
    },
  );
  return {
    connection,
    events,
    /** From now on new links lead to this node; unless it is not wanted, the present one breaks. */
    lead(node: number, cut = true) {
      at = node;
      if (cut) for (const socket of open) socket.resetAndDestroy();
    },
    /** Breaks the link; the next one leads to this node. */
    async goTo(node: number) {
      at = node;
      const seen = events.length;
      for (const socket of open) socket.resetAndDestroy();
      await until(() => events.length > seen && connection.state === "open");
    },
  };
}

const bytesOf = (text: string) => new TextEncoder().encode(text);

describe("a link that comes to another node", () => {
  it("goes on with its session, and loses nothing, wherever it goes", async () => {
    const nodes = await startNodes(3);
    const { connection, events, goTo } = await clientOf(nodes);
    const client = createClient(EchoService, connection);
    const numbers: number[] = [];
    let write = (_number: number) => undefined as unknown;
    let end = () => undefined as unknown;
    async function* requests() {
      const waiting: number[] = [];
      let wake = () => undefined as unknown;
      let over = false;
      write = (number) => {
        waiting.push(number);
        wake();
      };
      end = () => {
        over = true;
        wake();
      };
      while (!over || waiting.length > 0) {
        const number = waiting.shift();
        if (number !== undefined) yield { number, body: bytesOf("x") };
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    }
    const reading = (async () => {
      for await (const { number } of client.converse(requests())) numbers.push(number);
    })();
    await until(() => connection.state === "open");
    let number = 0;
    for (const node of [1, 2, 0, 2, 1]) {
      for (let i = 0; i < 20; i++) write(++number);
      await goTo(node);
      for (let i = 0; i < 20; i++) write(++number);
      await until(() => numbers.length === number);
      await client.echo({ id: BigInt(number), name: "n", body: bytesOf("y") });
    }
    end();
    await reading;
    expect(numbers).toEqual(Array.from({ length: number }, (_, i) => i + 1));
    expect(events).toEqual(["resumed", "resumed", "resumed", "resumed", "resumed"]);
    expect(nodes.map(({ server }) => server.sessions.size)).toEqual([1, 0, 0]);
  });

  it("carries large messages both ways, and publications", async () => {
    const nodes = await startNodes(2);
    const { connection, goTo } = await clientOf(nodes);
    await connection.ready();
    const notes: number[] = [];
    (async () => {
      for await (const note of createClient(TopicService, connection).watch({ name: "a" }))
        notes.push(note.number);
    })().catch(() => undefined);
    await until(() => nodes[0]?.server.topics.subscribers === 1);
    await goTo(1);
    const client = createClient(EchoService, connection);
    const body = new Uint8Array(2_000_000).map((_, i) => i * 13);
    const answer = await client.echo({ id: 1n, name: "large", body });
    expect(Buffer.compare(answer.body, body)).toBe(0);
    const poster = createClient(TopicService, connection);
    for (let number = 1; number <= 50; number++) await poster.post({ name: "a", note: { number } });
    await until(() => notes.length === 50);
    expect(notes).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
  });

  it("learns at once that the node with its session is gone, and begins anew", async () => {
    const nodes = await startNodes(2);
    const { connection, events, goTo } = await clientOf(nodes);
    await connection.ready();
    await goTo(1);
    expect(events).toEqual(["resumed"]);
    nodes[0]?.broker.member().crash();
    await until(() => events.length === 2);
    expect(events).toEqual(["resumed", "lost"]);
    expect(nodes[1]?.server.sessions.size).toBe(1);
    const { id } = await createClient(EchoService, connection).echo({ id: 5n });
    expect(id).toBe(5n);
  });

  it("waits while the nodes cannot reach each other for a moment, and its session is not lost by that", async () => {
    const nodes = await startNodes(2);
    const { connection, events, lead } = await clientOf(nodes);
    await connection.ready();
    const attempts: number[] = [];
    connection.on("reconnecting", ({ code }) => attempts.push(code));
    nodes[1]?.broker.member().partition();
    lead(1);
    await until(() => attempts.includes(1013));
    nodes[1]?.broker.member().heal();
    await until(() => connection.state === "open");
    expect(events).toEqual(["resumed"]);
    expect(nodes.map(({ server }) => server.sessions.size)).toEqual([1, 0]);
  });

  it("is sent away by a node that drains, and its session goes on over another one", async () => {
    const nodes = await startNodes(3);
    const { connection, events, goTo, lead } = await clientOf(nodes);
    await connection.ready();
    await goTo(1);
    lead(2, false);
    await nodes[1]?.server.drain({ timeoutMs: 2_000, spreadMs: 200 });
    await until(() => events.length === 2);
    expect(events).toEqual(["resumed", "resumed"]);
    expect(nodes[0]?.server.sessions.size).toBe(1);
  });

  it("is not let into a session of somebody else", async () => {
    const nodes = await startNodes(2);
    let credentials = "ada";
    const { connection, events, goTo } = await clientOf(nodes, { credentials: () => credentials });
    await connection.ready();
    credentials = "bob";
    await goTo(1);
    expect(events).toEqual(["lost"]);
    expect([...(nodes[1]?.server.sessions ?? [])].map(({ identity }) => identity?.id)).toEqual(["bob"]);
  });

  it("ends with its session when the client closes", async () => {
    const nodes = await startNodes(2);
    const { connection, goTo } = await clientOf(nodes);
    await connection.ready();
    await goTo(1);
    await connection.close();
    await until(() => nodes[0]?.server.sessions.size === 0);
  });

  it("that breaks while the session is written to it for the first time is not taken for one that stands", async () => {
    let answer: () => void = () => undefined;
    const nodes = await startNodes(
      2,
      {
        routes: (router) =>
          router.service(EchoService, {
            ...echoHandlers(),
            echo: async ({ body }) => {
              await new Promise<void>((resolve) => {
                answer = resolve;
              });
              return { body };
            },
          }),
      },
      // What waits for the client does not go from node to node.
      newBuses({ maxPayload: 50_000 }),
    );
    const { connection, lead } = await clientOf(nodes);
    let detached = 0;
    nodes[0]?.server.on("detached", () => detached++);
    const body = new Uint8Array(200_000);
    createClient(EchoService, connection)
      .echo({ body })
      .catch(() => undefined);
    const asked = answer;
    await until(() => answer !== asked);
    lead(99);
    await until(() => detached === 1);
    answer();
    await new Promise((resolve) => setImmediate(resolve));
    lead(1);
    // Each attempt ends with its link, and not after a silence.
    await until(() => detached > 2);
  });
});

describe("whoever is connected to another node", () => {
  it("is not kept waiting for by a node that has asked to call it and never does", async () => {
    const nodes = await startNodes(2, { handshakeTimeoutMs: 100 });
    const { connection } = await clientOf(nodes);
    await connection.ready();
    const [own, other] = nodes.map(({ broker }) => broker.member());
    const what = { case: "session", value: connection.sessionId ?? "" } as const;
    const open = create(PipeOpenSchema, { id: "silent", from: other?.node ?? "", what });
    const answer = await other?.ask(["node", own?.node ?? "", "open"], toBinary(PipeOpenSchema, open), 1_000);
    expect(fromBinary(PipeOpenedSchema, answer ?? new Uint8Array()).refused).toBe(0);
    const { cluster } = nodes[0]!.server.sessions as Sessions;
    expect(cluster?.pipes.size).toBe(1);
    await until(() => cluster?.pipes.size === 0);
  });

  const served = (calls: string[]): ConnectOptions => ({
    routes: (router) =>
      router.service(EchoService, {
        ...echoHandlers(),
        echo: (request, context) => {
          calls.push(`${request.name} ${context.requestHeader.get("x-from")}`);
          context.responseTrailer.set("x-trailer", "t");
          return { id: request.id + 1n, name: request.name, body: request.body };
        },
      }),
  });

  it("answers calls of all kinds from any node, by session and by identity", async () => {
    const nodes = await startNodes(2);
    const calls: string[] = [];
    const { connection } = await clientOf(nodes, served(calls));
    await connection.ready();
    const there = nodes[1]?.server as Server;
    for (const target of [{ session: connection.sessionId }, { identity: "ada" }]) {
      const client = createClient(EchoService, there.peer(target));
      let trailer = "";
      const answer = await client.echo(
        { id: 41n, name: "hi" },
        {
          timeoutMs: 5_000,
          headers: { "x-from": "there" },
          onTrailer: (trailers) => {
            trailer = trailers.get("x-trailer") ?? "";
          },
        },
      );
      expect(answer.id).toBe(42n);
      expect(trailer).toBe("t");
      const numbers: number[] = [];
      for await (const { number } of client.repeat({ count: 5, body: bytesOf("z") })) numbers.push(number);
      expect(numbers).toEqual([1, 2, 3, 4, 5]);
      async function* two() {
        yield { number: 7, body: bytesOf("abc") };
        yield { number: 8, body: bytesOf("de") };
      }
      expect(await client.collect(two())).toMatchObject({ bytes: 5n, numbers: [7, 8] });
      const back: number[] = [];
      for await (const { number } of client.converse(two())) back.push(number);
      expect(back).toEqual([7, 8]);
    }
    expect(calls).toEqual(["hi there", "hi there"]);
  });

  it("is known not to be connected, at once, and calls end at their deadline", async () => {
    const nodes = await startNodes(2);
    const calls: string[] = [];
    const options: ConnectOptions = {
      routes: (router) => router.service(EchoService, { echo: () => new Promise(() => undefined) }),
    };
    const { connection } = await clientOf(nodes, options);
    await connection.ready();
    const there = nodes[1]?.server as Server;
    const nobody = createClient(EchoService, there.peer({ identity: "nobody" }));
    await expect(nobody.echo({})).rejects.toMatchObject({ code: Code.Unavailable, executed: "no" });
    const client = createClient(EchoService, there.peer({ identity: "ada" }));
    await expect(client.echo({}, { timeoutMs: 60 })).rejects.toMatchObject({
      code: Code.DeadlineExceeded,
    });
    expect(calls).toEqual([]);
  });

  it("gets what is published to its identity or to its session, and nobody else does", async () => {
    const nodes = await startNodes(2);
    const got: string[] = [];
    const watch = async (connection: Connection, name: string) => {
      const stream = createClient(TopicService, connection).watchPlain({ name: "a" });
      for await (const { number } of stream) got.push(`${name}${number}`);
    };
    const ada1 = (await clientOf(nodes)).connection;
    const ada2 = (await clientOf([nodes[1] as Node])).connection;
    const bob = (await clientOf(nodes, { credentials: "bob" })).connection;
    for (const [connection, name] of [
      [ada1, "ada1 "],
      [ada2, "ada2 "],
      [bob, "bob "],
    ] as const) {
      watch(connection, name).catch(() => undefined);
    }
    await until(() => nodes[0]?.server.topics.subscribers === 2 && nodes[1]?.server.topics.subscribers === 1);
    const { PlainNotes } = await import("../support/topics.js");
    const here = nodes[0]?.server as Server;
    const first = await here.publish(PlainNotes("a"), { number: 1 }, { to: { identity: "ada" } });
    expect(first.recipients).toBe(2);
    const second = await here.publish(PlainNotes("a"), { number: 2 }, { to: { session: ada2.sessionId } });
    expect(second.recipients).toBe(1);
    const third = await here.publish(PlainNotes("a"), { number: 3 }, { to: { identity: "nobody" } });
    expect(third.recipients).toBe(0);
    await until(() => got.length === 3);
    expect(got.sort()).toEqual(["ada1 1", "ada2 1", "ada2 2"]);
  });
});

describe("presence on several nodes", () => {
  it("is known everywhere, and corrected when a node dies", async () => {
    const nodes = await startNodes(3);
    const enter = (connection: Connection) => {
      (async () => {
        for await (const _note of createClient(TopicService, connection).watchRoom({ name: "r" }));
      })().catch(() => undefined);
    };
    const ada = await clientOf([nodes[0] as Node], { credentials: "ada" });
    const bob = await clientOf([nodes[1] as Node], { credentials: "bob" });
    enter(ada.connection);
    enter(bob.connection);
    await until(() => [0, 1].every((i) => nodes[i]?.server.topics.subscribers === 1));
    const eve = await clientOf([nodes[2] as Node], { credentials: "eve" });
    const known = new Set<string>();
    const log: string[] = [];
    (async () => {
      for await (const event of createClient(TopicService, eve.connection).watchMembers({ name: "r" })) {
        if (event.snapshot) known.clear();
        for (const { identity } of event.joined) known.add(identity);
        for (const { identity } of event.left) known.delete(identity);
        for (const { identity } of event.left) log.push(`-${identity}`);
      }
    })().catch(() => undefined);
    await until(() => known.size === 2);
    const listed = (await nodes[2]?.server.presence(Room("r"))) ?? [];
    expect(listed.map(({ identity }) => identity).sort()).toEqual(["ada", "bob"]);
    await bob.connection.close();
    await until(() => known.size === 1);
    const carl = await clientOf([nodes[1] as Node], { credentials: "carl" });
    enter(carl.connection);
    await until(() => known.has("carl"));
    nodes[1]?.broker.member().crash();
    await until(() => !known.has("carl"));
    expect([...known]).toEqual(["ada"]);
    expect(log).toEqual(["-bob", "-carl"]);
  });
});
