// Connections that never come to be, and connections that are closed at awkward moments.
import { fork } from "node:child_process";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { backoffDelay } from "../../src/client/backoff.js";
import {
  Code,
  type ConnectionEvents,
  type ConnectOptions,
  connect,
  createClient,
} from "../../src/client/index.js";
import { createServer } from "../../src/server/index.js";
import { echoRoutes } from "../support/echo.js";
import { SeededRandom } from "../support/random.js";

/** A port where connections are accepted and nothing is ever answered. */
async function silentPort(): Promise<number> {
  const sockets = new Set<Socket>();
  const tcp = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => tcp.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    tcp.close();
    for (const socket of sockets) socket.destroy();
  });
  return (tcp.address() as AddressInfo).port;
}

/** A connection that is closed when the test is over, and its events. */
function open(url: string, options: ConnectOptions = {}) {
  const connection = connect(url, { reconnect: { initialDelayMs: 1, maxDelayMs: 4 }, ...options });
  onTestFinished(() => connection.close());
  return connection;
}

test("a server that never answers the upgrade is given up after the time for the handshake", async () => {
  const connection = open(`ws://127.0.0.1:${await silentPort()}/rpc`, { handshakeTimeoutMs: 30 });
  const events: ConnectionEvents["reconnecting"][] = [];
  await new Promise<void>((resolve) => {
    connection.on("reconnecting", (event) => {
      events.push(event);
      if (events.length === 2) resolve();
    });
  });
  expect(events).toMatchObject([
    { attempt: 1, code: 4408, reason: expect.stringMatching(/^no WebSocket within 30 ms/) },
    { attempt: 2, code: 4408 },
  ]);
  const call = createClient(EchoService, connection).echo({}, { waitForReady: false });
  await expect(call).rejects.toMatchObject({
    code: Code.Unavailable,
    message: expect.stringContaining("no WebSocket"),
  });
});

describe("headers that HTTP does not allow", () => {
  test.each([{ "x y": "1" }, { x: "a\r\nb" }, { x: "a\u0001b" }, { x: "\u20ac" }])("%j", async (headers) => {
    const connection = open("ws://127.0.0.1:9/rpc", { headers });
    // They can never work: the connection does not try for ever.
    await expect(connection.ready()).rejects.toMatchObject({ code: Code.FailedPrecondition });
    const call = createClient(EchoService, connection).echo({});
    await expect(call).rejects.toMatchObject({ code: Code.FailedPrecondition, executed: "no" });
    expect(connection.state).toBe("closed");
  });
});

describe("close()", () => {
  test("at once, while dialling, twice", async () => {
    const connection = open(`ws://127.0.0.1:${await silentPort()}/rpc`);
    const closed: unknown[] = [];
    connection.on("closed", (event) => closed.push(event));
    const call = createClient(EchoService, connection).echo({});
    call.catch(() => undefined);
    const first = connection.close();
    const second = connection.close();
    await Promise.all([first, second]);
    await expect(call).rejects.toMatchObject({ code: Code.Canceled, executed: "no" });
    expect(closed).toEqual([{ code: 1000, reason: "closed by the client" }]);
    await expect(connection.ready()).rejects.toMatchObject({ code: Code.Canceled });
  });

  test("while the credentials are fetched: nothing is dialled any more", async () => {
    const server = createServer({ routes: echoRoutes() });
    const { url } = await server.listen({ port: 0, host: "127.0.0.1" });
    onTestFinished(() => server.close());
    let give: (token: string) => void = () => undefined;
    const connection = open(url, {
      credentials: () =>
        new Promise((resolve) => {
          give = resolve;
        }),
    });
    await connection.close();
    give("late");
    await new Promise((resolve) => setImmediate(resolve));
    expect(connection.state).toBe("closed");
    expect(server.sessions.size).toBe(0);
  });

  test("by `await using`", async () => {
    const server = createServer({ routes: echoRoutes() });
    const { url } = await server.listen({ port: 0, host: "127.0.0.1" });
    onTestFinished(() => server.close());
    let kept: { readonly state: string };
    {
      await using connection = connect(url);
      kept = connection;
      await connection.ready();
    }
    expect(kept.state).toBe("closed");
  });

  test("inside a listener of the connection", async () => {
    const server = createServer({ routes: echoRoutes() });
    const { url } = await server.listen({ port: 0, host: "127.0.0.1" });
    onTestFinished(() => server.close());
    const connection = open(url);
    const states: string[] = [];
    const gone = new Promise<void>((resolve) => {
      connection.on("state", ({ state }) => {
        states.push(state);
        if (state === "open") connection.close().then(resolve, resolve);
      });
    });
    await gone;
    expect(states).toEqual(["open", "closed"]);
  });
});

test("a listener that was taken off hears nothing", async () => {
  const connection = open(`ws://127.0.0.1:${await silentPort()}/rpc`);
  const heard: unknown[] = [];
  const off = connection.on("state", (event) => heard.push(event));
  off();
  off();
  await connection.close();
  expect(heard).toEqual([]);
});

describe("backoff", () => {
  const settings = { initialDelayMs: 1_000, maxDelayMs: 30_000 };

  test("has a bound that doubles up to the longest delay", () => {
    const bounds = [1, 2, 3, 4, 5, 6, 7, 100, 5_000].map((attempt) =>
      backoffDelay(attempt, settings, () => 1),
    );
    expect(bounds).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000]);
  });

  test("spreads clients over all of the time below its bound", () => {
    const random = new SeededRandom(7);
    const delays = Array.from({ length: 10_000 }, () => backoffDelay(2, settings, () => random.next()));
    for (let slot = 0; slot < 10; slot++) {
      const share = delays.filter((delay) => Math.floor(delay / 200) === slot).length;
      expect(share).toBeGreaterThan(850);
      expect(share).toBeLessThan(1_150);
    }
  });
});

test("closed connections leave no handle and no timer: the process ends by itself", async () => {
  const child = fork(fileURLToPath(new URL("../support/leaks-client.ts", import.meta.url)), {
    execArgv: ["--import", "tsx"],
  });
  onTestFinished(() => void child.kill());
  const left = await new Promise<string[]>((resolve, reject) => {
    child.once("message", (message) => resolve(message as string[]));
    child.once("exit", (code) => reject(new Error(`it ended with ${code} before it said anything`)));
  });
  const code = await new Promise((resolve) => child.once("exit", resolve));
  expect(code).toBe(0);
  expect(left).toEqual([]);
});
