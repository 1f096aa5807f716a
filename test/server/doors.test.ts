// Who is let in, who is put out, and how a server leaves.
import { afterEach, describe, expect, test } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { Code, connect, createClient, RpcError } from "../../src/client/index.js";
import { type AuthRequest, createServer, type Server, type ServerOptions } from "../../src/server/index.js";
import { echoHandlers, echoRoutes } from "../support/echo.js";
import { frames, packet } from "../support/frames.js";
import { rawConnect } from "../support/raw.js";
import { until } from "../support/until.js";

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(
  options: Partial<ServerOptions> = {},
): Promise<{ server: Server; url: string; logged: unknown[][] }> {
  const logged: unknown[][] = [];
  const log = (...line: unknown[]) => void logged.push(line);
  const server = createServer({ routes: echoRoutes(), logger: { warn: log, error: log }, ...options });
  closers.push(() => server.close());
  const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
  return { server, url: `ws://127.0.0.1:${port}/rpc`, logged };
}

/** What a raw client that says Hello gets: a close. */
async function turnedAway(url: string) {
  const raw = await rawConnect(url);
  raw.send(packet(0, frames.hello()));
  return raw.closed;
}

describe("authenticate", () => {
  test("sees credentials, headers, URL and address", async () => {
    let request: AuthRequest | undefined;
    const { url } = await serve({
      authenticate: (seen) => {
        request = seen;
        return { id: "ada" };
      },
    });
    const connection = connect(`${url}?room=5`, { credentials: "token", headers: { "x-tenant": "blue" } });
    await connection.ready();
    await connection.close();
    expect(request).toMatchObject({ credentials: "token", url: "/rpc?room=5", remoteAddress: "127.0.0.1" });
    expect(request?.headers["x-tenant"]).toBe("blue");
  });

  test.each([
    ["UNAUTHENTICATED", new RpcError("who are you", Code.Unauthenticated), 4401, "who are you"],
    ["PERMISSION_DENIED", new RpcError("not you", Code.PermissionDenied), 4403, "not you"],
    ["UNAVAILABLE", new RpcError("no room", Code.Unavailable), 1013, "no room"],
    ["RESOURCE_EXHAUSTED", new RpcError("too many", Code.ResourceExhausted), 1013, "too many"],
  ])("that throws %s", async (_what, error, code, reason) => {
    const { url, server, logged } = await serve({ authenticate: () => Promise.reject(error) });
    expect(await turnedAway(url)).toEqual({ code, reason });
    expect(server.sessions.size).toBe(0);
    expect(logged).toEqual([]);
  });

  test.each([
    ["throws", () => Promise.reject(new Error("the password of the database"))],
    ["throws an RpcError of another kind", () => Promise.reject(new RpcError("the password", Code.NotFound))],
    ["returns nothing", () => undefined],
    ["returns an identity without an id", () => ({ id: 5 })],
  ])("that %s: 1011, and the details only in the log", async (_what, authenticate) => {
    const { url, server, logged } = await serve({ authenticate: authenticate as never });
    expect(await turnedAway(url)).toEqual({ code: 1011, reason: "authentication failed inside the server" });
    expect(server.sessions.size).toBe(0);
    expect(logged).toEqual([["hawser: authenticate() failed:", expect.any(Error)]]);
  });

  test("that takes too long: 4408, and what it finds later opens nothing", async () => {
    let answer: (identity: { id: string }) => void = () => undefined;
    const { url, server } = await serve({
      handshakeTimeoutMs: 50,
      authenticate: () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    });
    expect(await turnedAway(url)).toMatchObject({ code: 4408 });
    answer({ id: "late" });
    await new Promise((resolve) => setImmediate(resolve));
    expect(server.sessions.size).toBe(0);
  });

  test("for a client that has left meanwhile opens nothing", async () => {
    let answer: (identity: { id: string }) => void = () => undefined;
    let asked = false;
    const { url, server } = await serve({
      authenticate: () => {
        asked = true;
        return new Promise((resolve) => {
          answer = resolve;
        });
      },
    });
    const raw = await rawConnect(url);
    raw.send(packet(0, frames.hello()));
    await until(() => asked);
    raw.ws.close(1000);
    await raw.closed;
    answer({ id: "late" });
    await new Promise((resolve) => setImmediate(resolve));
    expect(server.sessions.size).toBe(0);
  });
});

describe("a session that is resumed over another link", () => {
  test("closes the older one with 4409, and hears nothing from it any more", async () => {
    const { url, server } = await serve();
    const old = await rawConnect(url);
    const { session, epoch } = await old.greet();
    const young = await rawConnect(url);
    expect(await young.greet({ mode: 2, session, epoch, received: 0 })).toMatchObject({ resumed: true });
    // A violation, if anybody listened.
    old.send(packet(99, frames.open()));
    expect(await old.closed).toEqual({ code: 4409, reason: "the session went on over another link" });
    await young.settled();
    expect([...server.sessions]).toMatchObject([{ connected: true }]);
    young.ws.close(1000);
    await until(() => server.sessions.size === 0);
  });

  test("is nobody else's: not with its id, not with another epoch", async () => {
    const { url, server } = await serve({ authenticate: ({ credentials }) => ({ id: credentials }) });
    const owner = await rawConnect(url);
    const { session, epoch } = await owner.greet({ credentials: "ada" });
    const resume = { mode: 2, session, epoch, received: 0 };
    for (const hello of [
      { ...resume, credentials: "mallory" },
      { ...resume, credentials: "" },
      { ...resume, credentials: "ada", epoch: new Uint8Array(16) },
      { ...resume, credentials: "ada", epoch: new Uint8Array(0) },
      { ...resume, credentials: "ada", session: new Uint8Array(0) },
    ]) {
      const thief = await rawConnect(url);
      const welcome = await thief.greet(hello);
      expect(welcome.resumed).toBe(false);
      expect(welcome.session).not.toEqual(session);
      thief.ws.close(1000);
      await thief.closed;
    }
    // The owner was not disturbed.
    await owner.settled();
    await until(() => server.sessions.size === 1);
    owner.ws.close(1000);
    await owner.closed;
  });
});

describe("close(code, reason) of a session", () => {
  test.each([
    [undefined, undefined, Code.PermissionDenied, "closed by the server (1008)"],
    [4401, "signed out", Code.Unauthenticated, "signed out (4401)"],
  ])("%s %s", async (code, reason, status, message) => {
    const { url, server } = await serve();
    const connection = connect(url);
    await connection.ready();
    for (const session of server.sessions) session.close(code, reason);
    await until(() => connection.state === "closed");
    const call = createClient(EchoService, connection).echo({});
    await expect(call).rejects.toMatchObject({
      code: status,
      executed: "no",
      message: expect.stringContaining(message),
    });
    expect(server.sessions.size).toBe(0);
  });

  test("a reason that is longer than a close frame holds is cut", async () => {
    const { url, server } = await serve();
    const raw = await rawConnect(url);
    await raw.greet();
    for (const session of server.sessions) session.close(4403, "é".repeat(100));
    expect(await raw.closed).toEqual({ code: 4403, reason: "é".repeat(61) });
  });
});

describe("drain", () => {
  function slowRoutes() {
    const state = { entered: 0, aborted: 0, release: () => {} };
    const gate = new Promise<void>((resolve) => {
      state.release = resolve;
    });
    const routes: ServerOptions["routes"] = (router) =>
      router.service(EchoService, {
        ...echoHandlers(),
        async echo(request, { signal }) {
          state.entered++;
          signal.addEventListener("abort", () => state.aborted++);
          await gate;
          return { name: request.name };
        },
      });
    return { state, routes };
  }

  test("turns new clients away with 503 and waits for calls in flight", async () => {
    const { state, routes } = slowRoutes();
    const { url, server } = await serve({ routes });
    const raw = await rawConnect(url);
    await raw.greet();
    raw.send(packet(1, frames.open()));
    await until(() => state.entered === 1);
    const drained = server.drain({ timeoutMs: 60_000, spreadMs: 5 });
    expect(await raw.hear("goAway")).toMatchObject({ code: 1001, reconnect: true, afterMs: 0 });
    await expect(rawConnect(url)).rejects.toThrow("503");
    state.release();
    expect(await raw.hear("end")).toMatchObject({ code: 0 });
    raw.send(packet(0, frames.pong()));
    raw.ws.close(1000);
    await drained;
    expect(state.aborted).toBe(0);
  });

  test("lets each client go when its own calls are done, whatever the others do", async () => {
    const { state, routes } = slowRoutes();
    const { url, server } = await serve({ routes });
    const busy = await rawConnect(url);
    await busy.greet();
    busy.send(packet(1, frames.open()));
    await until(() => state.entered === 1);
    const idle = await rawConnect(url);
    await idle.greet();
    const drained = server.drain({ timeoutMs: 60_000, spreadMs: 5 });
    await idle.hear("goAway");
    idle.send(packet(0, frames.pong()));
    expect(await idle.closed).toMatchObject({ code: 1001 });
    expect(state.aborted).toBe(0);
    state.release();
    await busy.hear("end");
    busy.send(packet(0, frames.pong()));
    expect(await busy.closed).toMatchObject({ code: 1001 });
    await drained;
  });

  test("sends on who was on the way in when it began", async () => {
    const { state, routes } = slowRoutes();
    let admit: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      admit = resolve;
    });
    const authenticate: ServerOptions["authenticate"] = async ({ credentials }) => {
      if (credentials === "late") await gate;
      return { id: credentials };
    };
    const { url, server } = await serve({ routes, authenticate });
    const busy = await rawConnect(url);
    await busy.greet({ credentials: "busy" });
    busy.send(packet(1, frames.open()));
    await until(() => state.entered === 1);
    const late = await rawConnect(url);
    late.send(packet(0, frames.hello({ credentials: "late" })));
    const drained = server.drain({ timeoutMs: 60_000, spreadMs: 0 });
    await busy.hear("goAway");
    admit();
    await late.hear("goAway");
    late.send(packet(0, frames.pong()));
    expect(await late.closed).toMatchObject({ code: 1001 });
    state.release();
    await busy.hear("end");
    busy.send(packet(0, frames.pong()));
    await drained;
  });

  test("gives up calls that take longer than its time", async () => {
    const { state, routes } = slowRoutes();
    const { url, server } = await serve({ routes });
    const raw = await rawConnect(url);
    await raw.greet();
    raw.send(packet(1, frames.open()));
    await until(() => state.entered === 1);
    await server.drain({ timeoutMs: 1, spreadMs: 0 });
    expect(await raw.closed).toMatchObject({ code: 1001 });
    expect(state.aborted).toBe(1);
  });

  test("is checked, and closes a server without clients", async () => {
    const { server } = await serve();
    await expect(server.drain({ timeout: 5 } as never)).rejects.toThrow('no option "timeout"');
    await expect(server.drain({ timeoutMs: -5 })).rejects.toThrow(
      "timeoutMs must be a number of milliseconds",
    );
    await server.drain();
    await expect((async () => server.listen({ port: 0 }))()).rejects.toThrow();
  });
});
