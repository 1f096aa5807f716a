import { createServer as createHttpServer } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { Code, type Connection, connect, createClient } from "../../src/client/index.js";
import { createServer, type Server, type ServerOptions } from "../../src/server/index.js";
import { createFaultProxy } from "../../src/testing/index.js";
import { echoRoutes } from "../support/echo.js";
import { until } from "../support/until.js";

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function make(options: Partial<ServerOptions> = {}): Server {
  const server = createServer({ routes: echoRoutes(), ...options });
  closers.push(() => server.close());
  return server;
}

function open(url: string): Connection {
  const connection = connect(url, { reconnect: { initialDelayMs: 5, maxDelayMs: 20 } });
  closers.push(() => connection.close());
  return connection;
}

describe("sessions", () => {
  it("end after the grace time, and their handlers are told", async () => {
    let aborted: unknown;
    const server = make({
      graceMs: 50,
      routes: (router) =>
        router.service(EchoService, {
          echo: (_request, { signal }) =>
            new Promise((_resolve, reject) => {
              signal.addEventListener("abort", () => {
                aborted = signal.reason;
                reject(signal.reason);
              });
            }),
        }),
    });
    const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
    const link = await createFaultProxy({ target: { port: port } });
    const connection = connect(link.url, { reconnect: { initialDelayMs: 60_000, maxDelayMs: 60_000 } });
    const call = createClient(EchoService, connection).echo({});
    call.catch(() => undefined);
    await until(() => [...server.sessions].some(({ callsInFlight }) => callsInFlight === 1));
    link.cut("reset");
    await until(() => server.sessions.size === 0);
    expect(aborted).toMatchObject({ code: Code.Unavailable });
    await connection.close();
    await link.close();
  });

  it("without a link are bounded: the one detached longest goes first", async () => {
    const server = make({ maxDetachedSessions: 2 });
    const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
    const ids: string[] = [];
    for (let i = 0; i < 4; i++) {
      const link = await createFaultProxy({ target: { port: port } });
      const connection = connect(link.url, { reconnect: { initialDelayMs: 60_000, maxDelayMs: 60_000 } });
      closers.push(
        () => connection.close(),
        () => link.close(),
      );
      await connection.ready();
      ids.push(connection.sessionId);
      link.cut("reset");
      await until(() => [...server.sessions].every(({ connected }) => !connected));
    }
    expect([...server.sessions].map(({ id }) => id)).toEqual(ids.slice(2));
  });

  it("are gone at once when the client closes, and can be closed by the server", async () => {
    const server = make();
    const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
    const polite = open(`ws://127.0.0.1:${port}/rpc`);
    await polite.ready();
    expect(server.sessions.size).toBe(1);
    await polite.close();
    await until(() => server.sessions.size === 0);
    const unwanted = open(`ws://127.0.0.1:${port}/rpc`);
    await unwanted.ready();
    const closed = new Promise((resolve) => unwanted.on("closed", resolve));
    for (const session of server.sessions) session.close(1008, "not today");
    expect(await closed).toEqual({ code: 1008, reason: "not today" });
    const call = createClient(EchoService, unwanted).echo({});
    await expect(call).rejects.toMatchObject({ code: Code.PermissionDenied, executed: "no" });
  });
});

describe("options", () => {
  it.each([
    [{}, /needs routes/],
    [{ routes: echoRoutes(), route: 1 }, /no option "route"/],
    [{ routes: echoRoutes(), graceMs: Number.NaN }, /graceMs must be a number of milliseconds/],
    [{ routes: echoRoutes(), authenticate: "yes" }, /authenticate must be a function/],
    [{ routes: echoRoutes(), limits: { packetBytes: 10 } }, /limits.packetBytes must be a whole number from/],
    [{ routes: echoRoutes(), outboxBytes: 5 }, /outboxBytes must be a whole number from/],
    [
      {
        routes: ((router) =>
          router.service(EchoService, {}).service(EchoService, {})) as ServerOptions["routes"],
      },
      /EchoService is served already/,
    ],
    [
      { routes: ((router) => router.service(EchoService, { echo: 5 as never })) as ServerOptions["routes"] },
      /echo must be a function, not number/,
    ],
  ])("are checked when they are given: %#", (options, message) => {
    expect(() => createServer(options as ServerOptions)).toThrow(message);
  });

  it("of listen and attach are checked, too", async () => {
    const server = make();
    const http = createHttpServer();
    expect(() => server.attach(http, { path: "rpc" })).toThrow('path must be an absolute path like "/rpc"');
    expect(() => server.listen({ port: 0, pat: "/x" } as never)).toThrow('no option "pat"');
    await server.close();
    expect(() => server.attach(http)).toThrow("the server is closed");
  });
});
