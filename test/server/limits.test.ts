// Each limit of a server: what meets it, what the one over it gets, and that the observer hears of it.
import { connect as connectTcp } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { Code, type ConnectOptions, connect, createClient, type RpcError } from "../../src/client/index.js";
import { createServer, type LimitEvent, type Refused, type ServerOptions } from "../../src/server/index.js";
import { createPair } from "../../src/testing/index.js";
import { echoHandlers, echoRoutes } from "../support/echo.js";
import { ackPacket, frames, packet } from "../support/frames.js";
import { rawConnect } from "../support/raw.js";
import { until } from "../support/until.js";

const ECHO = "hawser.test.v1.EchoService/Echo";

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(options: Partial<ServerOptions> = {}) {
  const limited: LimitEvent[] = [];
  const refused: Refused[] = [];
  const server = createServer({
    routes: echoRoutes(),
    observer: { limited: (event) => limited.push(event), refused: (event) => refused.push(event) },
    ...options,
  });
  closers.push(() => server.close());
  const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
  return { server, limited, refused, port, url: `ws://127.0.0.1:${port}/rpc` };
}

function open(url: string, options: ConnectOptions = {}) {
  const connection = connect(url, { reconnect: { initialDelayMs: 5, maxDelayMs: 20 }, ...options });
  closers.push(() => connection.close());
  return connection;
}

const failed = (promise: Promise<unknown>): Promise<RpcError> =>
  promise.then(
    () => expect.fail("it did not fail"),
    (error: RpcError) => error,
  );

/** A handler that answers when the test says so, and does not listen to its signal. */
function gated() {
  const state = { entered: 0, release: () => {} };
  const gate = new Promise<void>((resolve) => {
    state.release = resolve;
  });
  const routes: ServerOptions["routes"] = (router) =>
    router.service(EchoService, {
      ...echoHandlers(),
      echo: async ({ name }) => {
        state.entered++;
        await gate;
        return { name };
      },
    });
  return { state, routes };
}

test("options are checked when they are given", () => {
  const make = (options: object) => () => createServer({ routes: echoRoutes(), ...options });
  expect(make({ maxConnections: 0 })).toThrow("maxConnections must be a whole number from 1");
  expect(make({ callsPerSecond: 1.5 })).toThrow("callsPerSecond");
  expect(make({ idleTimeoutMs: -1 })).toThrow("idleTimeoutMs must be a number of milliseconds");
  expect(make({ maxConnection: 5 })).toThrow('no option "maxConnection"');
  expect(make({ authenticateAt: "later" })).toThrow('"hello" or "upgrade"');
  expect(make({ trustedProxies: true })).toThrow("trustedProxies");
  expect(make({ maxConnections: Number.POSITIVE_INFINITY })).not.toThrow();
});

describe("connections", () => {
  test("in all: 503, until one has gone", async () => {
    const { url, limited, refused } = await serve({ maxConnections: 2 });
    const first = await rawConnect(url);
    await rawConnect(url);
    await expect(rawConnect(url)).rejects.toThrow("503");
    expect(limited).toEqual([{ limit: "maxConnections", address: "127.0.0.1" }]);
    expect(refused).toMatchObject([{ status: 503, address: "127.0.0.1" }]);
    first.ws.terminate();
    // There is room again, once the server has heard of it.
    await open(url).ready();
  });

  test("of one address: 429; those of this machine count only where the limit is given", async () => {
    const { url, limited } = await serve({ maxConnectionsPerAddress: 1 });
    await rawConnect(url);
    await expect(rawConnect(url)).rejects.toThrow("429");
    expect(limited).toEqual([{ limit: "maxConnectionsPerAddress", address: "127.0.0.1" }]);
  });

  test("the address is what the last trusted proxy has seen", async () => {
    const { url, limited } = await serve({ maxConnectionsPerAddress: 1, trustedProxies: 2 });
    const via = (chain: string) =>
      open(url, { headers: { "x-forwarded-for": chain }, reconnect: { maxAttempts: 1 } }).ready();
    await via("6.6.6.6, 1.1.1.1, 10.0.0.1");
    await via("6.6.6.6, 2.2.2.2, 10.0.0.1");
    // What the client has made up itself, in front of it, does not help.
    await expect(via("7.7.7.7, 1.1.1.1, 10.0.0.1")).rejects.toThrow("429");
    expect(limited[0]).toEqual({ limit: "maxConnectionsPerAddress", address: "1.1.1.1" });
  });

  test("that say nothing at all, or half a request, are closed by the handshake's time", async () => {
    const { port } = await serve({ handshakeTimeoutMs: 100 });
    const answers = ["", "GET /rpc HTTP/1.1\r\nHost: localhost\r\nX-Slow: "].map(
      (text) =>
        new Promise<string>((resolve) => {
          const socket = connectTcp(port, "127.0.0.1", () => socket.write(text));
          let answer = "";
          socket.on("data", (chunk) => {
            answer += chunk;
          });
          socket.on("close", () => resolve(answer.split("\r\n", 1)[0] ?? ""));
          socket.on("error", () => undefined);
        }),
    );
    expect(await Promise.all(answers)).toEqual([
      "HTTP/1.1 408 Request Timeout",
      "HTTP/1.1 408 Request Timeout",
    ]);
  });
});

describe("sessions of one identity", () => {
  const options: Partial<ServerOptions> = {
    maxSessionsPerIdentity: 2,
    authenticate: ({ credentials }) => ({ id: credentials }),
  };

  test("beyond the limit: closed with 4429; others do not suffer", async () => {
    const { url, limited } = await serve(options);
    for (let i = 0; i < 2; i++) await open(url, { credentials: "ada" }).ready();
    const third = await rawConnect(url);
    third.send(packet(0, frames.hello({ credentials: "ada" })));
    expect(await third.closed).toEqual({
      code: 4429,
      reason: "2 sessions of this identity are open (maxSessionsPerIdentity)",
    });
    expect(limited).toEqual([{ limit: "maxSessionsPerIdentity", identity: "ada" }]);
    await open(url, { credentials: "grace" }).ready();
  });

  test("one that has no link goes first, the longest detached of the same identity", async () => {
    const { url, server } = await serve(options);
    const evicted: string[] = [];
    server.on("evicted", ({ session, limit }) => evicted.push(`${session.identity?.id} ${limit}`));
    const grace = await rawConnect(url);
    await grace.greet({ credentials: "grace" });
    const gone = await rawConnect(url);
    await gone.greet({ credentials: "ada" });
    grace.ws.terminate();
    gone.ws.terminate();
    await until(() => [...server.sessions].every(({ connected }) => !connected));
    for (let i = 0; i < 2; i++) await open(url, { credentials: "ada" }).ready();
    expect(evicted).toEqual(["ada maxSessionsPerIdentity"]);
    expect(server.sessions.size).toBe(3);
  });

  test("places come back when sessions end", async () => {
    const { url } = await serve({ ...options, maxSessionsPerIdentity: 1 });
    for (let i = 0; i < 5; i++) {
      const connection = open(url, { credentials: "ada" });
      await connection.ready();
      await connection.close();
    }
  });
});

describe("time", () => {
  test("an idle link is closed with 4411, and the next call opens another one of the same session", async () => {
    const pair = createPair({ server: { routes: echoRoutes(), idleTimeoutMs: 60_000 } });
    const client = createClient(EchoService, pair.connection);
    const call = async () => {
      const answer = client.echo({ name: "x" });
      await pair.clock.advance(50);
      expect((await answer).name).toBe("x");
    };
    await call();
    const { sessionId } = pair.connection;
    await pair.clock.advance(50_000);
    await call();
    await pair.clock.advance(50_000);
    expect(pair.connection.state).toBe("open");
    await pair.clock.advance(70_000);
    expect(pair.connection.state).toBe("idle");
    expect(pair.network.links).toBe(0);
    await call();
    expect([pair.connection.state, pair.connection.sessionId]).toEqual(["open", sessionId]);
    await pair.close();
    pair.assertFinished();
  });

  test("a call in flight keeps a link from being idle", async () => {
    const { state, routes } = gated();
    const pair = createPair({ server: { routes, idleTimeoutMs: 1_000 } });
    const answer = createClient(EchoService, pair.connection).echo({ name: "slow" });
    await pair.clock.advance(10_000);
    expect(pair.connection.state).toBe("open");
    state.release();
    await pair.clock.advance(100);
    expect((await answer).name).toBe("slow");
    await pair.close();
  });

  test("an old link is replaced, at a random moment around its age, and calls do not notice", async () => {
    const ages: number[] = [];
    for (let seed = 1; seed <= 5; seed++) {
      const { state, routes } = gated();
      const pair = createPair({ server: { routes, maxConnectionAgeMs: 600_000 }, seed });
      const states: string[] = [];
      pair.connection.on("state", ({ state: now }) => states.push(now));
      const resumed: number[] = [];
      pair.connection.on("resumed", () => resumed.push(pair.clock.now()));
      const answer = createClient(EchoService, pair.connection).echo({ name: "long" });
      await pair.clock.runUntil(() => resumed.length === 1, 700_000);
      ages.push(resumed[0] as number);
      expect(states).toEqual(["open", "draining", "reconnecting", "open"]);
      state.release();
      await pair.clock.advance(100);
      expect((await answer).name).toBe("long");
      await pair.close();
      pair.assertFinished();
    }
    for (const age of ages) {
      expect(age).toBeGreaterThanOrEqual(540_000);
      expect(age).toBeLessThanOrEqual(661_000);
    }
    expect(new Set(ages).size).toBe(5);
  });
});

describe("rates", () => {
  test("calls of an identity: RESOURCE_EXHAUSTED with RetryInfo before the handler runs, shared by its sessions", async () => {
    let ran = 0;
    const { url, limited } = await serve({
      callsPerSecond: 5,
      authenticate: ({ credentials }) => ({ id: credentials }),
      routes: (router) =>
        router.service(EchoService, {
          ...echoHandlers(),
          echo: () => {
            ran++;
            return {};
          },
        }),
    });
    const clients = [0, 1].map(() =>
      createClient(EchoService, open(url, { credentials: "ada", retry: { throttling: false } })),
    );
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) => clients[i % 2]?.echo({ name: "x" })),
    );
    const errors = outcomes.flatMap((outcome) =>
      outcome.status === "rejected" ? [outcome.reason as RpcError] : [],
    );
    expect(ran + errors.length).toBe(20);
    expect(errors.length).toBeGreaterThan(5);
    for (const error of errors) {
      expect(error).toMatchObject({ code: Code.ResourceExhausted, executed: "no" });
      expect(error.details.map(({ type }) => type)).toEqual(["google.rpc.RetryInfo"]);
    }
    expect(new Set(limited.map(({ limit, identity }) => `${limit} ${identity}`))).toEqual(
      new Set(["callsPerSecond ada"]),
    );
    // Somebody else has a rate of their own.
    await createClient(EchoService, open(url, { credentials: "grace" })).echo({});
  });

  test("a call with a policy waits as long as it is told, and comes through", async () => {
    const { url } = await serve({ callsPerSecond: 20 });
    const policy = { maxAttempts: 5, retryableStatusCodes: [Code.ResourceExhausted] };
    const connection = open(url, {
      retry: { throttling: false, methods: () => ({ retry: policy }) },
    });
    await connection.ready();
    const client = createClient(EchoService, connection);
    const all = await Promise.allSettled(Array.from({ length: 24 }, () => client.echo({ name: "x" })));
    expect(all.filter(({ status }) => status === "fulfilled").length).toBeGreaterThanOrEqual(20);
  });

  test.each(["messagesPerSecond", "bytesPerSecond"] as const)(
    "%s slows a client down; nothing is lost",
    async (limit) => {
      const { url, limited } = await serve({ [limit]: limit === "bytesPerSecond" ? 60_000 : 20 });
      const connection = open(url);
      await connection.ready();
      const client = createClient(EchoService, connection);
      const other = createClient(EchoService, open(url));
      const body = new Uint8Array(limit === "bytesPerSecond" ? 20_000 : 10);
      for (let i = 0; i < 30; i++) {
        // One by one, so that each is a message of its own.
        if (limit === "bytesPerSecond" && i === 6) break;
        expect((await client.echo({ body })).body).toEqual(body);
        await other.echo({ name: "not slowed" }).catch(() => undefined);
      }
      expect(new Set(limited.map((event) => event.limit))).toEqual(new Set([limit]));
      expect(connection.state).toBe("open");
    },
  );

  test("control frames: closed with 4429, and the session may go on", async () => {
    const { url, server } = await serve();
    const raw = await rawConnect(url);
    await raw.greet();
    for (let i = 0; i < 11; i++) raw.send(packet(0, ...Array.from({ length: 100 }, () => frames.ping())));
    expect(await raw.closed).toEqual({ code: 4429, reason: "more than 100 control frames per second" });
    expect([...server.sessions].map(({ connected }) => connected)).toEqual([false]);
  });
});

describe("memory of a session", () => {
  test("handlers that run on after their calls were cancelled take the places of calls", async () => {
    const { state, routes } = gated();
    const { url, limited } = await serve({ routes, limits: { calls: 10 } });
    const raw = await rawConnect(url);
    await raw.greet();
    for (let i = 0; i < 100; i++) {
      const call = 2 * i + 1;
      raw.send(packet(2 * i + 1, frames.open({ call, name: i === 0 ? ECHO : "" }), frames.cancel({ call })));
      raw.send(packet(2 * i + 2));
    }
    const end = await raw.hear("end", ({ code }) => code === Code.ResourceExhausted);
    expect(end).toMatchObject({
      refused: true,
      message: expect.stringContaining("still run after they were cancelled"),
    });
    expect(state.entered).toBe(10);
    expect(limited[0]?.limit).toBe("limits.calls");
    state.release();
    await raw.settled();
    raw.heard.length = 0;
    raw.send(packet(201, frames.open({ call: 1_001, name: "" })));
    expect(await raw.hear("end", ({ call }) => call === 1_001)).toMatchObject({ code: 0 });
  });

  test("messages that wait for their readers: RESOURCE_EXHAUSTED for what brings more", async () => {
    const { url, limited } = await serve({
      maxHeldBytes: 100_000,
      routes: (router) =>
        router.service(EchoService, { ...echoHandlers(), collect: () => new Promise(() => undefined) }),
    });
    const raw = await rawConnect(url);
    await raw.greet();
    const name = "hawser.test.v1.EchoService/Collect";
    const payload = new Uint8Array(30_000);
    for (let i = 0; i < 5; i++)
      raw.send(
        packet(i + 1, frames.open({ call: 2 * i + 1, name: i === 0 ? name : "", end: false, payload })),
      );
    const refused = [await raw.hear("end"), await raw.hear("end")];
    expect(refused.map(({ call, code, refused: turnedAway }) => [call, code, turnedAway])).toEqual([
      [7, Code.ResourceExhausted, true],
      [9, Code.ResourceExhausted, true],
    ]);
    expect(limited.map(({ limit }) => limit)).toEqual(["maxHeldBytes", "maxHeldBytes"]);
    // Within a call that is open, that call fails; the others stay.
    raw.send(packet(6, frames.data({ call: 1, payload })));
    expect(await raw.hear("end")).toMatchObject({ call: 1, code: Code.ResourceExhausted, unfinished: true });
    raw.send(packet(7, frames.data({ call: 3, payload: new Uint8Array(10) })));
    await raw.settled();
  });

  test("answers that nobody reads count too", async () => {
    const body = new Uint8Array(200_000);
    const { url, limited } = await serve({
      maxHeldBytes: 500_000,
      routes: (router) => router.service(EchoService, { ...echoHandlers(), echo: () => ({ body }) }),
    });
    const raw = await rawConnect(url);
    await raw.greet({
      limits: { packetBytes: 0, messageBytes: 0, creditBytes: 65_536, headerBytes: 0, calls: 0 },
    });
    for (let i = 0; i < 5; i++)
      raw.send(packet(i + 1, frames.open({ call: 2 * i + 1, name: i === 0 ? ECHO : "" })));
    const end = await raw.hear("end");
    expect(end).toMatchObject({ code: Code.ResourceExhausted, payload: undefined });
    expect(limited[0]?.limit).toBe("maxHeldBytes");
  });

  test("outboxes of all sessions together: each goes on with little", async () => {
    const { url, server } = await serve({ maxOutboxBytes: 300_000, ackTimeoutMs: 600_000 });
    const name = "hawser.test.v1.EchoService/Repeat";
    const raws = [];
    for (let i = 0; i < 4; i++) {
      const raw = await rawConnect(url);
      await raw.greet({
        limits: { packetBytes: 0, messageBytes: 0, creditBytes: 4_000_000, headerBytes: 0, calls: 0 },
      });
      // 4 MB to each, none of which is acknowledged. Field 1 is the body, field 2 the count.
      const payload = new Uint8Array([0x0a, 0x90, 0x4e, ...new Uint8Array(10_000), 0x10, 0x90, 0x03]);
      raw.send(packet(1, frames.open({ name, payload })));
      raws.push(raw);
    }
    await Promise.all(raws.map((raw) => raw.hear("data")));
    await new Promise((resolve) => setTimeout(resolve, 100));
    const kept = [...server.sessions].map(({ bufferedBytes }) => bufferedBytes);
    const total = kept.reduce((sum, bytes) => sum + bytes, 0);
    expect(total).toBeLessThan(300_000 + 4 * 2 * 65_536);
    // Whoever acknowledges gets on, whatever the others do.
    const [raw] = raws;
    const before = raw?.lastSeq ?? 0;
    raw?.send(ackPacket(before));
    await until(() => (raw?.lastSeq ?? 0) > before);
  });
});

test("two clients that go over no limit are never reported", async () => {
  const { url, limited, refused } = await serve();
  const client = createClient(EchoService, open(url));
  await Promise.all(Array.from({ length: 500 }, (_, i) => client.echo({ name: String(i) })));
  expect([limited, refused]).toEqual([[], []]);
  expect(await failed(client.echo({}, { timeoutMs: 0 }))).toMatchObject({ code: Code.DeadlineExceeded });
});
