import { createServer as createTcpServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocketServer } from "ws";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { afterClose, CloseCode } from "../../src/base/close.js";
import { CLOSE_TABLE } from "../../src/base/close-table.js";
import type { ConnectOptions } from "../../src/client/index.js";
import { Code, type Connection, connect, createClient, RpcError } from "../../src/client/index.js";
import { createServer, type Server, type ServerOptions } from "../../src/server/index.js";
import { createFaultProxy, type FaultProxy } from "../../src/testing/index.js";
import { echoRoutes, exchange, expectedResult } from "../support/echo.js";
import { until } from "../support/until.js";

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const QUICK = { initialDelayMs: 5, maxDelayMs: 20 };

async function serve(
  options: Partial<ServerOptions> = {},
  port = 0,
): Promise<{ server: Server; url: string; port: number }> {
  const server = createServer({ routes: echoRoutes(), ...options });
  closers.push(() => server.close());
  const listening = await server.listen({ port, host: "127.0.0.1" });
  return { server, port: listening.port, url: `ws://127.0.0.1:${listening.port}/rpc` };
}

function open(url: string, options: ConnectOptions = {}): Connection {
  const connection = connect(url, { reconnect: QUICK, ...options });
  closers.push(() => connection.close());
  return connection;
}

async function behindLink(port: number): Promise<FaultProxy> {
  const link = await createFaultProxy({ target: { port: port } });
  closers.push(() => link.close());
  return link;
}

/** A port that nothing listens on. */
async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const failure = (promise: Promise<unknown>): Promise<RpcError> =>
  promise.then(
    () => expect.fail("the call succeeded"),
    (error: unknown) => {
      expect(error).toBeInstanceOf(RpcError);
      return error as RpcError;
    },
  );

describe("states and events", () => {
  it("goes from connecting over open to closed", async () => {
    const { url } = await serve();
    const connection = open(url);
    const states: string[] = [connection.state];
    connection.on("state", ({ state, previous }) => {
      expect(previous).toBe(states.at(-1));
      states.push(state);
    });
    await connection.ready();
    expect(connection.sessionId).toMatch(/^[0-9a-f]{32}$/);
    await connection.close();
    expect(states).toEqual(["connecting", "open", "closed"]);
    await expect(connection.ready()).rejects.toMatchObject({ code: Code.Canceled });
  });

  it("resumes a session that calls and streams do not notice", async () => {
    const { port, server } = await serve();
    const link = await behindLink(port);
    const connection = open(link.url);
    await connection.ready();
    const { sessionId } = connection;
    const resumed: number[] = [];
    connection.on("resumed", ({ attempts }) => resumed.push(attempts));
    const client = createClient(EchoService, connection);
    const numbers: number[] = [];
    for await (const { number } of client.repeat({ count: 50, body: new Uint8Array(100_000) })) {
      numbers.push(number);
      if (number % 10 === 0) link.cut(number % 20 === 0 ? "reset" : "end");
    }
    expect(numbers).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
    await until(() => connection.state === "open");
    expect(resumed.length).toBeGreaterThanOrEqual(4);
    expect(connection.sessionId).toBe(sessionId);
    expect([...server.sessions]).toHaveLength(1);
  });

  it("tells that a session was lost: what was in flight fails, what waits goes to the new one", async () => {
    let entered = 0;
    const routes: ServerOptions["routes"] = (router) =>
      router.service(EchoService, {
        echo: async ({ name }) => {
          entered++;
          if (name === "hangs") await new Promise(() => undefined);
          return { name };
        },
      });
    const { server, url, port } = await serve({ routes });
    const connection = open(url);
    const client = createClient(EchoService, connection);
    const inFlight = failure(client.echo({ name: "hangs" }));
    await until(() => entered === 1);
    const lost = new Promise((resolve) => connection.on("lost", resolve));
    await server.close();
    await until(() => connection.state === "reconnecting");
    const waits = client.echo({ name: "waits" });
    await serve({ routes }, port);
    expect((await waits).name).toBe("waits");
    expect(await inFlight).toMatchObject({ code: Code.Unavailable, executed: "unknown" });
    await lost;
  });

  it("cuts a link that is silent, and resumes on another", async () => {
    const { port } = await serve();
    const link = await behindLink(port);
    const connection = open(link.url, { pingIntervalMs: 40, pingTimeoutMs: 40 });
    await connection.ready();
    await until(() => connection.rtt !== undefined);
    const reasons: number[] = [];
    connection.on("reconnecting", ({ code }) => reasons.push(code));
    const resumed = new Promise((resolve) => connection.on("resumed", resolve));
    link.cut("stall");
    await resumed;
    expect(reasons[0]).toBe(CloseCode.silent);
    expect(await exchange(createClient(EchoService, connection), "after")).toEqual(expectedResult("after"));
  });

  it("lets calls in flight finish while the server drains, and sends new ones to the next link", async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const routes: ServerOptions["routes"] = (router) =>
      router.service(EchoService, {
        echo: async ({ name }) => {
          if (name === "slow") await gate;
          return { name };
        },
      });
    const { server, url, port } = await serve({ routes });
    const connection = open(url);
    const client = createClient(EchoService, connection);
    await client.echo({ name: "before" });
    const slow = client.echo({ name: "slow" });
    const draining = new Promise<void>((resolve) => {
      connection.on("state", ({ state }) => {
        if (state === "draining") resolve();
      });
    });
    const drained = server.drain({ timeoutMs: 30_000, spreadMs: 1 });
    await draining;
    const next = client.echo({ name: "next" });
    release();
    expect((await slow).name).toBe("slow");
    await drained;
    await serve({ routes }, port);
    expect((await next).name).toBe("next");
  });
});

describe("calls without a connection", () => {
  it("wait for one", async () => {
    const port = await freePort();
    const connection = open(`ws://127.0.0.1:${port}/rpc`);
    const result = exchange(createClient(EchoService, connection), "early");
    await new Promise<void>((resolve) => {
      const off = connection.on("reconnecting", () => {
        off();
        resolve();
      });
    });
    await serve({}, port);
    expect(await result).toEqual(expectedResult("early"));
  });

  it("fail at once with waitForReady: false", async () => {
    const connection = open(`ws://127.0.0.1:${await freePort()}/rpc`);
    const error = await failure(createClient(EchoService, connection).echo({}, { waitForReady: false }));
    expect(error).toMatchObject({ code: Code.Unavailable, executed: "no" });
    expect(connection.callsInFlight).toBe(0);
  });

  it("fail after maxWaitMs, and say why there is no connection", async () => {
    const port = await freePort();
    const connection = open(`ws://127.0.0.1:${port}/rpc`, { maxWaitMs: 100 });
    const error = await failure(createClient(EchoService, connection).echo({}));
    expect(error).toMatchObject({ code: Code.Unavailable, executed: "no" });
    expect(error.message).toContain("maxWaitMs");
    expect(error.message).toContain(`ECONNREFUSED 127.0.0.1:${port}`);
  });

  it("reach their deadline", async () => {
    const connection = open(`ws://127.0.0.1:${await freePort()}/rpc`);
    const error = await failure(createClient(EchoService, connection).echo({}, { timeoutMs: 50 }));
    expect(error).toMatchObject({ code: Code.DeadlineExceeded, executed: "no" });
    expect(error.message).toContain("ECONNREFUSED");
  });

  it("are bounded in number", async () => {
    const connection = open(`ws://127.0.0.1:${await freePort()}/rpc`, { maxWaitingCalls: 2 });
    const client = createClient(EchoService, connection);
    const waiting = [failure(client.echo({})), failure(client.echo({}))];
    expect(await failure(client.echo({}))).toMatchObject({ code: Code.ResourceExhausted, executed: "no" });
    await connection.close();
    for (const error of await Promise.all(waiting)) {
      expect(error).toMatchObject({ code: Code.Canceled, executed: "no" });
    }
  });

  it("fail when the attempts are used up, and so does every later call", async () => {
    const port = await freePort();
    const connection = open(`ws://127.0.0.1:${port}/rpc`, { reconnect: { ...QUICK, maxAttempts: 3 } });
    const attempts: number[] = [];
    connection.on("reconnecting", ({ attempt }) => attempts.push(attempt));
    const client = createClient(EchoService, connection);
    const error = await failure(client.echo({}));
    expect(error).toMatchObject({ code: Code.Unavailable, executed: "no" });
    expect(error.message).toContain("gave up after 3 attempts");
    expect(error.message).toContain("ECONNREFUSED");
    expect(attempts).toEqual([1, 2, 3]);
    expect(connection.state).toBe("closed");
    expect(await failure(client.echo({}))).toMatchObject({ code: Code.Unavailable, executed: "no" });
    await expect(connection.ready()).rejects.toMatchObject({ code: Code.Unavailable });
  });
});

describe("backoff", () => {
  it("starts over only after the link was stable", async () => {
    const { port } = await serve();
    const link = await behindLink(port);
    const attemptsWith = async (stableAfterMs: number): Promise<number[]> => {
      const connection = open(link.url, { reconnect: { ...QUICK, stableAfterMs } });
      const attempts: number[] = [];
      connection.on("reconnecting", ({ attempt }) => attempts.push(attempt));
      await connection.ready();
      for (let cut = 1; cut <= 3; cut++) {
        link.cut("reset");
        await until(() => attempts.length === cut && connection.state === "open");
      }
      return attempts;
    };
    expect(await attemptsWith(0)).toEqual([1, 1, 1]);
    expect(await attemptsWith(60_000)).toEqual([1, 2, 3]);
  });
});

describe("close codes", () => {
  /** A server that closes every WebSocket with a code; those that no endpoint may send, it cannot. */
  const SENT = CLOSE_TABLE.filter(({ by }) => by !== "nobody");

  it("has a row for every code", () => {
    expect(CLOSE_TABLE.map(({ name }) => name)).toEqual(Object.keys(CloseCode));
  });

  it.each(SENT)("does after $name what the table says", async ({ name }) => {
    const code = CloseCode[name];
    const raw = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    closers.push(() => new Promise((resolve) => raw.close(resolve)));
    let accepted = 0;
    raw.on("connection", (socket) => {
      accepted++;
      socket.close(code, "because");
    });
    await new Promise((resolve) => raw.once("listening", resolve));
    const { port } = raw.address() as { port: number };
    const after = afterClose(code);
    let asked = 0;
    const connection = open(`ws://127.0.0.1:${port}/rpc`, { credentials: () => `token ${++asked}` });
    if (after === "wait") {
      // Nothing is to be called, so it stays away; a call makes it come back.
      await until(() => connection.state === "idle");
      expect(accepted).toBe(1);
    }
    const call = createClient(EchoService, connection).echo({});
    if (after === "stop" || after === "reauthenticate") {
      const error = await failure(call);
      expect(error.message).toContain(`because (${code})`);
      expect(error.executed).toBe("no");
      expect(connection.state).toBe("closed");
      // Fresh credentials are tried, once.
      expect([accepted, asked]).toEqual(after === "stop" ? [1, 1] : [2, 2]);
    } else {
      const caught = failure(call);
      await until(() => accepted >= 3);
      await connection.close();
      expect((await caught).code).toBe(Code.Canceled);
    }
  });
});

describe("authentication", () => {
  const authenticate: ServerOptions["authenticate"] = ({ credentials }) => {
    if (credentials === "") throw new RpcError("no token", Code.Unauthenticated);
    if (credentials === "mallory") throw new RpcError("not you", Code.PermissionDenied);
    return { id: credentials };
  };

  it.each([
    ["", Code.Unauthenticated, "no token"],
    ["mallory", Code.PermissionDenied, "not you"],
  ])("turns %j away, and the calls say why", async (credentials, code, message) => {
    const { url, server } = await serve({ authenticate });
    const connection = open(url, { credentials });
    const error = await failure(createClient(EchoService, connection).echo({}));
    expect(error).toMatchObject({ code, executed: "no" });
    expect(error.message).toContain(message);
    expect([...server.sessions]).toEqual([]);
  });

  it("asks for credentials at every connection, and gives a session to its own identity only", async () => {
    const { port, server } = await serve({ authenticate });
    const link = await behindLink(port);
    const tokens = ["ada", "ada", "grace"];
    const connection = open(link.url, { credentials: async () => tokens.shift() ?? "nobody" });
    await connection.ready();
    const first = connection.sessionId;
    const resumed = new Promise((resolve) => connection.on("resumed", resolve));
    link.cut("reset");
    await resumed;
    expect(connection.sessionId).toBe(first);
    const lost = new Promise((resolve) => connection.on("lost", resolve));
    link.cut("reset");
    await lost;
    expect(connection.sessionId).not.toBe(first);
    expect([...server.sessions].map(({ identity }) => identity?.id).sort()).toEqual(["ada", "grace"]);
  });

  it("counts credentials that cannot be had as a failed attempt", async () => {
    const { url } = await serve({ authenticate });
    let asked = 0;
    const connection = open(url, {
      credentials: () => {
        if (++asked < 3) throw new Error("the token service is down");
        return "ada";
      },
    });
    expect((await createClient(EchoService, connection).echo({ name: "hi" })).name).toBe("hi");
    expect(asked).toBe(3);
  });
});

describe("options", () => {
  it.each([
    ["localhost:8080/rpc", {}, /speaks ws: and wss:, not localhost:; write "ws:\/\/localhost:8080\/rpc"/],
    ["/rpc", {}, /needs a full URL/],
    ["ftp://localhost", {}, /speaks ws: and wss:, not ftp:/],
    ["ws://localhost", { credential: "x" }, /no option "credential"; known are credentials/],
    ["ws://localhost", { credentials: 5 }, /credentials must be a string or a function/],
    [
      "ws://localhost",
      { reconnect: { maxAttempts: 0 } },
      /reconnect.maxAttempts must be a whole number from 1/,
    ],
    ["ws://localhost", { reconnect: { delay: 5 } }, /no option "delay"/],
    ["ws://localhost", { pingIntervalMs: -1 }, /pingIntervalMs must be a number of milliseconds/],
    ["ws://localhost", { limits: { creditBytes: 1 } }, /limits.creditBytes must be a whole number from/],
    ["ws://localhost", { limits: { credits: 1 } }, /no option "credits"/],
    ["ws://localhost", { ackTimeoutMs: 50 }, /must be longer than ackDelayMs/],
  ])("are checked when they are given: %s %j", (url, options, message) => {
    expect(() => connect(url, options as ConnectOptions)).toThrow(message);
  });
});
