// Connections whose WebSockets are blocked: over HTTP, with everything that a WebSocket has.
import { describe, expect, onTestFinished, test } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { TopicService } from "../../gen/hawser/test/v1/topics_pb.js";
import { openConnection } from "../../src/client/connector.js";
import {
  Code,
  type ConnectionEvents,
  connect,
  createClient,
  type LinkInfo,
  type Observer,
} from "../../src/client/index.js";
import { nodePlatform } from "../../src/client/node.js";
import { resolveConnectOptions } from "../../src/client/options.js";
import { type AuthRequest, createServer } from "../../src/server/index.js";
import { createFaultProxy } from "../../src/testing/index.js";
import { bytesOf, echoHandlers, echoRoutes, exchange, expectedResult } from "../support/echo.js";
import { Notes } from "../support/topics.js";
import { until } from "../support/until.js";
import { blockedServer, CLIENTS, open, SOON } from "./blocked.js";

describe.each(CLIENTS)("%s", (_, connectTo) => {
  test("all four kinds of calls, by polls and by a stream", async () => {
    const { server, url } = await blockedServer();
    const connection = open(connectTo, url);
    const client = createClient(EchoService, connection);
    expect(await exchange(client, "first")).toEqual(expectedResult("first"));
    await until(() => connection.linkKind === "http-stream");
    expect(await exchange(client, "then")).toEqual(expectedResult("then"));
    expect([...server.sessions].map(({ linkKind }) => linkKind)).toEqual(["http-stream"]);
  });

  test("large messages, both ways", async () => {
    const { url } = await blockedServer();
    const client = createClient(EchoService, open(connectTo, url));
    const body = new Uint8Array(3_000_000).map((_, index) => index % 251);
    const answers = await Promise.all([client.echo({ body }), client.echo({ body }), client.echo({ body })]);
    for (const answer of answers) expect(Buffer.compare(answer.body, body)).toBe(0);
  });

  test("many calls at the same time", async () => {
    const { url, requests } = await blockedServer();
    const client = createClient(EchoService, open(connectTo, url));
    const calls = Array.from({ length: 500 }, (_, index) => client.echo({ id: BigInt(index) }));
    expect((await Promise.all(calls)).map(({ id }) => Number(id))).toEqual(calls.map((_, index) => index));
    // They go together.
    expect(requests.filter((what) => what === "send").length).toBeLessThan(100);
  });

  test("a reader that stops holds its writer up, and nobody else", async () => {
    let yielded = 0;
    const { server, url } = await blockedServer({
      routes: (router) =>
        router.service(EchoService, {
          ...echoHandlers(),
          async *repeat({ count }) {
            for (let number = 1; number <= count; number++) {
              yielded++;
              yield { number, body: new Uint8Array(10_000) };
            }
          },
        }),
    });
    const client = createClient(EchoService, open(connectTo, url));
    const numbers: number[] = [];
    let held = 0;
    for await (const { number } of client.repeat({ count: 300 })) {
      if (number === 1) {
        // So many calls go past, while nothing is read.
        for (let id = 0n; id < 50n; id++) expect((await client.echo({ id })).id).toBe(id);
        held = yielded;
        expect([...server.sessions][0]?.bufferedBytes).toBeLessThan(1_000_000);
      }
      numbers.push(number);
    }
    // The window is 256 KiB.
    expect(held).toBeLessThan(40);
    expect(numbers).toEqual(Array.from({ length: 300 }, (_, index) => index + 1));
  });

  test("a link that is slower than its writers: they wait, and heartbeats get past them", async () => {
    const { port } = await blockedServer();
    const proxy = await createFaultProxy({ target: { port }, bytesPerSecond: 3_000_000 });
    onTestFinished(() => proxy.close());
    const connection = open(connectTo, proxy.url, { pingIntervalMs: 100, pingTimeoutMs: 1_000 });
    const client = createClient(EchoService, connection);
    await until(() => connection.linkKind === "http-stream");
    let breaks = 0;
    connection.on("reconnecting", () => breaks++);
    const bodies = await Promise.all([1, 2, 3].map(() => client.echo({ body: new Uint8Array(400_000) })));
    expect(bodies.map(({ body }) => body.length)).toEqual([400_000, 400_000, 400_000]);
    expect(breaks).toBe(0);
  });

  test("topics", async () => {
    const { server, url } = await blockedServer();
    const connection = open(connectTo, url);
    const seen: number[] = [];
    const abort = new AbortController();
    const watching = (async () => {
      const notes = createClient(TopicService, connection).watch({ name: "a" }, { signal: abort.signal });
      for await (const { number } of notes) if (seen.push(number) === 100) break;
    })();
    await until(() => server.topics.subscribers === 1);
    for (let number = 0; number < 100; number++) await server.publish(Notes("a"), { number });
    await watching;
    expect(seen).toEqual(Array.from({ length: 100 }, (_, number) => number));
  });

  test("goes back to a WebSocket when that works, in the middle of everything, and nothing is lost or done twice", async () => {
    const runs = new Map<bigint, number>();
    const blocked = await blockedServer({
      routes: (router) =>
        router.service(EchoService, {
          ...echoHandlers(),
          echo: async (request) => {
            runs.set(request.id, (runs.get(request.id) ?? 0) + 1);
            await new Promise((resolve) => setTimeout(resolve, 1));
            return { id: request.id };
          },
        }),
    });
    const connection = open(connectTo, blocked.url, { fallback: { retryWebSocketMs: 20 } });
    const states: string[] = [];
    const resumed: unknown[] = [];
    connection.on("state", ({ state }) => states.push(state));
    connection.on("resumed", (event) => resumed.push(event));
    connection.on("lost", () => states.push("lost"));
    const client = createClient(EchoService, connection);
    await connection.ready();
    const { sessionId } = connection;
    let id = 0n;
    let over = false;
    const work = Array.from({ length: 8 }, async () => {
      while (!over) {
        const own = id++;
        expect((await client.echo({ id: own })).id).toBe(own);
      }
    });
    await until(() => id > 50n && connection.linkKind === "http-stream");
    blocked.block = false;
    await until(() => connection.linkKind === "websocket" && resumed.length > 0);
    const before = id;
    await until(() => id > before + 100n);
    over = true;
    await Promise.all(work);
    expect([...runs.values()].filter((count) => count !== 1)).toEqual([]);
    expect(runs.size).toBe(Number(id));
    expect(resumed).toHaveLength(1);
    expect(states).toEqual(["open"]);
    expect(connection.sessionId).toBe(sessionId);
    expect([...blocked.server.sessions].map(({ linkKind }) => linkKind)).toEqual(["websocket"]);
  });

  test("keeps its session when the link over HTTP breaks, and comes back over HTTP", async () => {
    const { server, port } = await blockedServer();
    const proxy = await createFaultProxy({ target: { port } });
    onTestFinished(() => proxy.close());
    const connection = open(connectTo, proxy.url);
    const client = createClient(EchoService, connection);
    let resumed = 0;
    connection.on("resumed", () => resumed++);
    for (let round = 1; round <= 3; round++) {
      await until(() => connection.linkKind === "http-stream");
      const call = exchange(client, "cut");
      proxy.cut("reset");
      expect(await call).toEqual(expectedResult("cut"));
      await until(() => resumed === round);
    }
    expect(server.sessions.size).toBe(1);
  });

  test("closes its session when it closes", async () => {
    const { server, url } = await blockedServer();
    const ended: string[] = [];
    server.on("ended", ({ by }) => ended.push(by));
    const connection = open(connectTo, url);
    await connection.ready();
    await connection.close();
    await until(() => ended.length > 0);
    expect(ended).toEqual(["client"]);
  });

  test("hears why the server closes, and what to do next", async () => {
    const { server, url } = await blockedServer();
    const connection = open(connectTo, url);
    const events: unknown[] = [];
    connection.on("reconnecting", ({ code, reason }) => events.push([code, reason]));
    await connection.ready();
    const [session] = server.sessions;
    const closed = new Promise((resolve) => connection.on("closed", resolve));
    session?.close(1008, "not you");
    expect(await closed).toEqual({ code: 1008, reason: "not you" });
    expect(events.filter((event) => JSON.stringify(event).includes("not you"))).toEqual([]);
  });

  test("comes back after a drain, and its calls are done", async () => {
    const { server, url } = await blockedServer();
    const connection = open(connectTo, url);
    const client = createClient(EchoService, connection);
    await connection.ready();
    const states: string[] = [];
    connection.on("state", ({ state }) => states.push(state));
    const call = exchange(client, "drain");
    await server.drain({ spreadMs: 0 });
    expect(await call).toEqual(expectedResult("drain"));
    await until(() => states.includes("reconnecting"));
    expect(states.slice(0, 2)).toEqual(["draining", "reconnecting"]);
  });

  test("brings credentials in its first packet, and its token in a header where it is told to", async () => {
    const requests: AuthRequest[] = [];
    const { url } = await blockedServer({
      authenticate: (request) => {
        requests.push(request);
        return { id: "ada" };
      },
    });
    await open(connectTo, url, { credentials: "secret" }).ready();
    await open(connectTo, url, { credentials: "secret", credentialsIn: "subprotocol" }).ready();
    expect(requests.map(({ credentials, bearer, url: path }) => [credentials, bearer, path])).toEqual([
      ["secret", undefined, "/rpc"],
      ["secret", "secret", "/rpc"],
    ]);
  });

  test("is turned away with the server's own code, before and after the link is there", async () => {
    const { RpcError } = await import("../../src/index.js");
    const authenticate = () => {
      throw new RpcError("who are you?", Code.Unauthenticated);
    };
    for (const authenticateAt of ["hello", "upgrade"] as const) {
      const { url } = await blockedServer({ authenticate, authenticateAt });
      const connection = open(connectTo, url, { credentials: "wrong" });
      await expect(connection.ready()).rejects.toMatchObject({
        code: Code.Unauthenticated,
        message: expect.stringContaining("who are you?"),
      });
    }
  });

  test("is not used where the server does not offer it", async () => {
    const { url, requests } = await blockedServer({ httpFallback: false });
    const connection = open(connectTo, url, { reconnect: { initialDelayMs: 1, maxAttempts: 3 } });
    await expect(connection.ready()).rejects.toThrow();
    expect(new Set(requests)).toEqual(new Set(["open"]));
  });

  test("is not used where the client does not want it", async () => {
    const { url, requests } = await blockedServer();
    const connection = open(connectTo, url, {
      fallback: false,
      reconnect: { initialDelayMs: 1, maxAttempts: 3 },
    });
    await expect(connection.ready()).rejects.toThrow();
    expect(requests).toEqual([]);
  });

  test("a server that is down is not taken for one whose WebSockets are blocked", async () => {
    const first = createServer({ routes: echoRoutes() });
    const { port, url } = await first.listen({ port: 0, host: "127.0.0.1" });
    const connection = open(connectTo, url);
    await connection.ready();
    const kinds = new Set<string | undefined>();
    connection.on("state", ({ state }) => state === "open" && kinds.add(connection.linkKind));
    await first.close();
    let failed = 0;
    connection.on("reconnecting", () => failed++);
    await until(() => failed > 3);
    const second = createServer({ routes: echoRoutes() });
    onTestFinished(() => second.close());
    await second.listen({ port, host: "127.0.0.1" });
    await until(() => connection.state === "open");
    // Its port may open between one attempt and the other; then a WebSocket is tried again soon.
    const again = open(connectTo, url);
    await again.ready();
    expect(again.linkKind).toBe("websocket");
  });

  test("a WebSocket that is cut at its first frame is given up for HTTP", async () => {
    const blocked = await blockedServer();
    blocked.block = "first frame";
    const connection = open(connectTo, blocked.url);
    expect(await exchange(createClient(EchoService, connection), "cut")).toEqual(expectedResult("cut"));
    expect(connection.linkKind).toMatch(/^http/);
    expect(blocked.upgrades).toBe(2);
  });

  test("a WebSocket that gets no answer is given up for HTTP after the time for the handshake", async () => {
    const blocked = await blockedServer();
    blocked.block = "silence";
    const connection = open(connectTo, blocked.url, { handshakeTimeoutMs: 200 });
    await connection.ready();
    expect(connection.linkKind).toMatch(/^http/);
    expect(blocked.upgrades).toBe(1);
  });
});

test("observers and sessions tell what carries a link", async () => {
  const seen: string[] = [];
  const links: LinkInfo[] = [];
  const observer: Observer = {
    linkOpened: (link) => {
      links.push(link);
      seen.push(`${link.side} opened ${link.kind}`);
    },
    linkClosed: (link, { code }) => seen.push(`${link.side} closed ${link.kind} ${code}`),
  };
  const { url, server } = await blockedServer({ observer });
  const connection = connect(url, SOON);
  const client = createClient(EchoService, connection);
  expect((await client.echo({ body: bytesOf("x".repeat(1_000)) })).body).toHaveLength(1_000);
  await until(() => [...server.sessions].every(({ linkKind }) => linkKind === "http-stream"));
  expect(links.map(({ traffic }) => traffic.bytesIn > 1_000 && traffic.bytesOut > 1_000)).toEqual([true]);
  await connection.close();
  await until(() => seen.length === 2);
  expect(seen).toEqual(["server opened http-poll", "server closed http-stream 1000"]);
});

test("links over HTTP count as connections, and are given back", async () => {
  const { url, server } = await blockedServer({ maxConnections: 2 });
  const first = open(connect, url);
  const second = open(connect, url);
  await Promise.all([first.ready(), second.ready()]);
  const third = open(connect, url);
  const reason = await new Promise<string>((resolve) =>
    third.on("reconnecting", (event: ConnectionEvents["reconnecting"]) => resolve(event.reason)),
  );
  expect(reason).toContain("2 connections are open (maxConnections)");
  await first.close();
  await third.ready();
  expect(server.sessions.size).toBe(2);
});

test("a rate above the limit slows a client down; nothing is lost", async () => {
  const limits: string[] = [];
  const observer: Observer = { limited: ({ limit }) => limits.push(limit) };
  const { url } = await blockedServer({ bytesPerSecond: 200_000, observer });
  const client = createClient(EchoService, open(connect, url));
  const bodies = await Promise.all(
    Array.from({ length: 6 }, () => client.echo({ body: new Uint8Array(50_000) })),
  );
  expect(bodies.map(({ body }) => body.length)).toEqual(bodies.map(() => 50_000));
  expect(limits).toContain("bytesPerSecond");
});

test("credentials() that gives nothing for a WebSocket beside HTTP is asked again", async () => {
  let asked = 0;
  const { url } = await blockedServer();
  const connection = open(connect, url, {
    // The first WebSocket that is tried has the token of the link over HTTP.
    credentials: () => (asked++ === 0 ? "ada" : new Promise<string>(() => undefined)),
    fallback: { retryWebSocketMs: 5 },
    handshakeTimeoutMs: 500,
  });
  await connection.ready();
  await until(() => asked >= 3);
  expect(connection.state).toBe("open");
});

test("nothing is left of a connection that was closed while credentials() was asked for a WebSocket beside HTTP", async () => {
  const { url } = await blockedServer();
  let asked = 0;
  let refuse = (): void => undefined;
  const settings = resolveConnectOptions({
    ...SOON,
    fallback: { retryWebSocketMs: 5 },
    credentials: () =>
      asked++ === 0
        ? "ada"
        : new Promise<string>((_resolve, reject) => {
            refuse = () => reject(new Error("signed out"));
          }),
  });
  const timers = new Set<NodeJS.Timeout>();
  const connection = openConnection(url, settings, {
    ...nodePlatform(settings.session.limits.packetBytes, {}, undefined),
    schedule: (task, delayMs) => {
      const timer = setTimeout(() => {
        timers.delete(timer);
        task();
      }, delayMs);
      timers.add(timer);
      return () => {
        timers.delete(timer);
        clearTimeout(timer);
      };
    },
  });
  await connection.ready();
  await until(() => asked === 2);
  await connection.close();
  const before = timers.size;
  refuse();
  await new Promise((resolve) => setImmediate(resolve));
  expect([before, timers.size]).toEqual([0, 0]);
});
