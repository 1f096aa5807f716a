// Whether a server can take calls, for probes over HTTP and for clients over the health service.
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../gen/grpc/health/v1/health_pb.js";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { Code, connect, createClient } from "../../src/client/index.js";
import { createServer, type ServerOptions } from "../../src/server/index.js";
import { echoHandlers, echoRoutes } from "../support/echo.js";
import { until } from "../support/until.js";

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(options: Partial<ServerOptions> = {}) {
  const server = createServer({ routes: echoRoutes(), ...options });
  closers.push(() => server.close());
  const { port, url } = await server.listen({ port: 0, host: "127.0.0.1" });
  const get = async (path: string, method = "GET") => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method });
    return `${response.status} ${(await response.text()).trim()}`.trim();
  };
  return { server, url, get };
}

function open(url: string) {
  const connection = connect(url);
  closers.push(() => connection.close());
  return connection;
}

describe("over HTTP", () => {
  test("/healthz and /readyz answer beside the WebSocket", async () => {
    const { server, get } = await serve();
    expect(server.health.ready).toBe(true);
    expect(await get("/healthz")).toBe("200 ok");
    expect(await get("/readyz?verbose")).toBe("200 ok");
    expect(await get("/readyz", "HEAD")).toBe("200");
    expect(await get("/readyz", "POST")).toBe("405 GET only");
    expect(await get("/readyz/more")).toMatch(/^404 This is a Hawser server/);
    server.health.set("", false);
    expect(await get("/readyz")).toBe("503 serving");
    expect(await get("/healthz")).toBe("200 ok");
    server.health.set("", true);
    expect(await get("/readyz")).toBe("200 ok");
  });

  test("a server that drains is alive and not ready, until its last call is done", async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    let entered = false;
    const { server, url, get } = await serve({
      routes: (router) =>
        router.service(EchoService, {
          ...echoHandlers(),
          echo: async ({ name }) => {
            entered = true;
            await gate;
            return { name };
          },
        }),
    });
    const call = createClient(EchoService, open(url)).echo({ name: "last" });
    await until(() => entered);
    const drained = server.drain({ spreadMs: 0 });
    expect(await get("/readyz")).toBe("503 draining");
    expect(await get("/healthz")).toBe("200 ok");
    release();
    expect((await call).name).toBe("last");
    await drained;
    expect(server.health.ready).toBe(false);
  });

  test("an HTTP server of the user's asks for it", async () => {
    const server = createServer({ routes: echoRoutes() });
    const http = createHttpServer((request, response) => {
      if (!server.health.answer(request, response)) response.writeHead(200).end("the page");
    });
    expect(server.health.ready).toBe(false);
    server.attach(http);
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    closers.push(async () => {
      await server.close();
      http.close();
      http.closeAllConnections();
    });
    const { port } = http.address() as AddressInfo;
    const get = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status;
    expect([await get("/readyz"), await get("/"), await get("/healthz")]).toEqual([200, 200, 200]);
    server.health.set("", false);
    expect(await get("/readyz")).toBe(503);
  });
});

describe("grpc.health.v1.Health", () => {
  const ECHO = "hawser.test.v1.EchoService";

  test("checks the server and each service", async () => {
    const { server, url } = await serve();
    const health = createClient(Health, open(url));
    expect((await health.check({})).status).toBe(Status.SERVING);
    expect((await health.check({ service: ECHO })).status).toBe(Status.SERVING);
    await expect(health.check({ service: "nobody.Knows" })).rejects.toMatchObject({ code: Code.NotFound });
    server.health.set(ECHO, false);
    expect((await health.check({ service: ECHO })).status).toBe(Status.NOT_SERVING);
    expect((await health.check({})).status).toBe(Status.SERVING);
    server.health.set("my.Worker", true);
    expect((await health.check({ service: "my.Worker" })).status).toBe(Status.SERVING);
    expect(() => server.health.set(ECHO, "yes" as never)).toThrow(TypeError);
  });

  test("tells every change, once, and the end of a drain", async () => {
    const { server, url } = await serve();
    const health = createClient(Health, open(url));
    const seen: Status[] = [];
    const watching = (async () => {
      for await (const { status } of health.watch({ service: "my.Worker" })) seen.push(status);
    })();
    await until(() => seen.length === 1);
    for (const serving of [true, true, false, true]) server.health.set("my.Worker", serving);
    await until(() => seen.at(-1) === Status.SERVING);
    server.health.set("other", true);
    server.health.set("my.Worker", false);
    await until(() => seen.at(-1) === Status.NOT_SERVING);
    server.health.set("my.Worker", true);
    await until(() => seen.at(-1) === Status.SERVING);
    await server.drain({ spreadMs: 0 });
    await watching;
    expect(seen.slice(0, 1)).toEqual([Status.SERVICE_UNKNOWN]);
    expect(seen.at(-1)).toBe(Status.NOT_SERVING);
    for (const [index, status] of seen.entries()) if (index > 0) expect(status).not.toBe(seen[index - 1]);
  });

  test("is the user's where the user serves it", async () => {
    const { url } = await serve({
      routes: (router) => router.service(Health, { check: () => ({ status: Status.UNKNOWN }) }),
    });
    expect((await createClient(Health, open(url)).check({})).status).toBe(Status.UNKNOWN);
  });

  test("watchers that leave are forgotten", async () => {
    const { server, url } = await serve();
    const health = createClient(Health, open(url));
    for (let i = 0; i < 20; i++) for await (const _ of health.watch({})) break;
    const [session] = server.sessions;
    await until(() => session?.callsInFlight === 0);
  });
});
