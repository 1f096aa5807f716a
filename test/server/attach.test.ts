// Where a server can be reached: on a port of its own, beside other things, over TLS, and nowhere else.
import {
  createServer as createHttpServer,
  get,
  type Server as HttpServer,
  type IncomingMessage,
} from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, connect as connectTcp, type Server as NetServer } from "node:net";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import express from "express";
import fastify from "fastify";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { connect, createClient } from "../../src/client/index.js";
import { createServer, memoryBroker, type Server } from "../../src/server/index.js";
import { selfSigned } from "../support/certificate.js";
import { echoRoutes, exchange, expectedResult } from "../support/echo.js";

const closers: (() => Promise<unknown> | unknown)[] = [];
const silent = { warn: () => undefined, error: () => undefined };

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function hawser(): Server {
  const server = createServer({ routes: echoRoutes() });
  closers.push(() => server.close());
  return server;
}

/** Listens on a free port; gives the port. */
async function listen(server: NetServer): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => new Promise((resolve) => server.close(resolve)));
  return (server.address() as AddressInfo).port;
}

/** Makes an exchange of all four kinds. */
async function works(url: string): Promise<void> {
  const connection = connect(url, { reconnect: { maxAttempts: 1 } });
  try {
    expect(await exchange(createClient(EchoService, connection), "attached")).toEqual(
      expectedResult("attached"),
    );
  } finally {
    await connection.close();
  }
}

/** A GET request; gives status and body. */
function fetched(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve(`${response.statusCode} ${body}`));
    }).on("error", reject);
  });
}

/** An upgrade that is refused; gives status and body. */
function refused(url: string, protocol: string | undefined = "hawser.v1"): Promise<string> {
  const ws = protocol === "" ? new WebSocket(url) : new WebSocket(url, protocol);
  return new Promise((resolve, reject) => {
    ws.on("error", () => undefined);
    ws.once("open", () => reject(new Error("it was let in")));
    ws.once("unexpected-response", (_request, response: IncomingMessage) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve(`${response.statusCode} ${body.trim()}`));
    });
  });
}

describe("a port of its own", () => {
  test("free, and told", async () => {
    const listening = await hawser().listen({ port: 0 });
    expect(listening).toEqual({ port: expect.any(Number), url: `ws://localhost:${listening.port}/rpc` });
    await works(listening.url);
    expect(await fetched(`http://localhost:${listening.port}/`)).toBe(
      "404 This is a Hawser server; connect a WebSocket client to /rpc\n",
    );
  });

  test("in use: an error that says so, and another port can be had", async () => {
    const { port } = await hawser().listen({ port: 0, host: "127.0.0.1" });
    const second = hawser();
    await expect(second.listen({ port, host: "127.0.0.1" })).rejects.toThrow(
      `port ${port} is in use; choose another, or 0 for any free one`,
    );
    await works((await second.listen({ port: 0, host: "127.0.0.1" })).url);
  });

  test("an address that cannot be had: the error of the system", async () => {
    await expect(hawser().listen({ port: 0, host: "192.0.2.1" })).rejects.toThrow("EADDRNOTAVAIL");
  });

  test("once only, and not after close()", async () => {
    const server = hawser();
    await server.listen({ port: 0, host: "127.0.0.1" });
    await expect((async () => server.listen({ port: 0 }))()).rejects.toThrow("a server listens once");
    await server.close();
    await expect(
      (async () => createdAndClosed().then((closed) => closed.listen({ port: 0 })))(),
    ).rejects.toThrow("the server is closed");
  });

  test("close() while it is on its way to listen", async () => {
    const server = hawser();
    const listening = server.listen({ port: 0, host: "localhost" }).then(
      ({ port }) => port,
      (error: unknown) => String(error),
    );
    await server.close();
    expect(await listening).toContain("the server is closed");
  });

  test("close() after a port that is none", async () => {
    const server = hawser();
    await expect(server.listen({ port: 70_000 })).rejects.toThrow(RangeError);
    await server.close();
  });

  test("close() after a broker that cannot be used", async () => {
    const start = () => Promise.reject(new Error("wrong password"));
    const broker = Object.assign(memoryBroker(), { start });
    const server = createServer({ routes: echoRoutes(), broker, logger: silent });
    await expect(server.listen({ port: 0 })).rejects.toThrow("wrong password");
    await server.close();
  });

  test("close() while the broker has not started yet: it is closed, and listen() says why it will not", async () => {
    let giveUp: (error: Error) => void = () => undefined;
    const broker = Object.assign(memoryBroker(), {
      start: () => new Promise<void>((_, reject) => (giveUp = reject)),
      close: async () => giveUp(new Error("the broker is closed")),
    });
    const server = createServer({ routes: echoRoutes(), broker, logger: silent });
    const listening = server.listen({ port: 0 }).catch((error: unknown) => String(error));
    await server.close();
    expect(await listening).toContain("the broker is closed");
  });

  test("close() while the broker has not started yet: should it start all the same, nothing listens", async () => {
    let start: () => void = () => undefined;
    const broker = Object.assign(memoryBroker(), {
      start: () => new Promise<void>((resolve) => (start = resolve)),
    });
    const server = createServer({ routes: echoRoutes(), broker, logger: silent });
    const listening = server.listen({ port: 0 }).catch((error: unknown) => String(error));
    await server.close();
    start();
    expect(await listening).toContain("the server is closed");
  });

  test.each([
    ["rpc", /path must be an absolute path like "\/rpc", not "rpc"/],
    ["/rpc?x=1", /path must be an absolute path/],
  ])("a path that is none: %s", async (path, message) => {
    const server = hawser();
    await expect((async () => server.listen({ port: 0, path }))()).rejects.toThrow(message);
  });

  async function createdAndClosed(): Promise<Server> {
    const server = hawser();
    await server.close();
    return server;
  }
});

describe("upgrades that are not for it", () => {
  test("another path: 404", async () => {
    const { port } = await hawser().listen({ port: 0, host: "127.0.0.1" });
    expect(await refused(`ws://127.0.0.1:${port}/other`)).toBe("404 no WebSocket is served at /other");
    expect(await refused(`ws://127.0.0.1:${port}/rpc/`)).toBe("404 no WebSocket is served at /rpc/");
    await works(`ws://127.0.0.1:${port}/rpc?token=x`);
  });

  test.each(["", "hawser.v2", "graphql-transport-ws"])("subprotocol %j: 400", async (protocol) => {
    const { port } = await hawser().listen({ port: 0, host: "127.0.0.1" });
    expect(await refused(`ws://127.0.0.1:${port}/rpc`, protocol)).toBe(
      "400 offer the WebSocket subprotocol hawser.v1",
    );
  });

  test("no WebSocket at all: 400", async () => {
    const { port } = await hawser().listen({ port: 0, host: "127.0.0.1" });
    const answer = await new Promise<string>((resolve) => {
      const socket = connectTcp(port, "127.0.0.1");
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk;
      });
      socket.on("close", () => resolve(text));
      socket.write(
        "GET /rpc HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
          "Sec-WebSocket-Protocol: hawser.v1\r\n\r\n",
      );
    });
    expect(answer).toMatch(/^HTTP\/1.1 400 /);
  });

  test.each(["/other", "/rpc"])("%s: clients that hang up, or never do, harm nobody", async (path) => {
    const server = hawser();
    const { port, url } = await server.listen({ port: 0, host: "127.0.0.1" });
    const request = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
    for (let index = 0; index < 50; index++) {
      await new Promise<void>((resolve) => {
        const socket = connectTcp(port, "127.0.0.1");
        socket.on("error", () => undefined);
        socket.on("close", () => resolve());
        // The reset overtakes the answer.
        socket.on("connect", () => socket.write(request, () => socket.resetAndDestroy()));
      });
    }
    const lingering = connectTcp({ port, host: "127.0.0.1", allowHalfOpen: true });
    lingering.on("error", () => undefined);
    lingering.write(request);
    await new Promise((resolve) => lingering.once("data", resolve));
    await works(url);
    // It would wait for this one for ever.
    await server.close();
    lingering.destroy();
  });
});

describe("beside other things", () => {
  test("routes of a plain HTTP server", async () => {
    const http = createHttpServer((_request, response) => response.end("plain"));
    const server = hawser();
    server.attach(http, { path: "/ws" });
    const port = await listen(http);
    await works(`ws://127.0.0.1:${port}/ws`);
    expect(await fetched(`http://127.0.0.1:${port}/anything`)).toBe("200 plain");
    expect(() => server.attach(http)).toThrow("this server is attached already");
    await server.close();
    // The HTTP server is its owner's: it goes on.
    expect(await fetched(`http://127.0.0.1:${port}/`)).toBe("200 plain");
    expect(() => server.attach(createHttpServer())).toThrow("the server is closed");
  });

  test("Express", async () => {
    const app = express();
    app.get("/hello", (_request, response) => void response.send("express"));
    const http: HttpServer = createHttpServer(app);
    hawser().attach(http);
    const port = await listen(http);
    await works(`ws://127.0.0.1:${port}/rpc`);
    expect(await fetched(`http://127.0.0.1:${port}/hello`)).toBe("200 express");
  });

  test("Fastify", async () => {
    const app = fastify();
    app.get("/hello", () => "fastify");
    hawser().attach(app.server);
    await app.listen({ port: 0, host: "127.0.0.1" });
    closers.push(() => app.close());
    const { port } = app.server.address() as AddressInfo;
    await works(`ws://127.0.0.1:${port}/rpc`);
    expect(await fetched(`http://127.0.0.1:${port}/hello`)).toBe("200 fastify");
  });

  test("another WebSocket server on another path, and a second Hawser server", async () => {
    const http = createHttpServer();
    hawser().attach(http, { path: "/one" });
    hawser().attach(http, { path: "/two" });
    const wss = new WebSocketServer({ noServer: true });
    wss.on("connection", (ws) => ws.send("hello from ws"));
    http.on("upgrade", (request, socket, head) => {
      if (request.url === "/ws") wss.handleUpgrade(request, socket, head, (ws) => wss.emit("connection", ws));
    });
    const port = await listen(http);
    await works(`ws://127.0.0.1:${port}/one`);
    await works(`ws://127.0.0.1:${port}/two`);
    const ws = new WebSocket(`ws://127.0.0.1:${port}/ws`);
    const greeting = await new Promise<string>((resolve) =>
      ws.once("message", (data) => resolve(String(data))),
    );
    expect(greeting).toBe("hello from ws");
    ws.terminate();
  });

  test("who comes when it is closed is turned away, until another server takes its place", async () => {
    const http = createHttpServer();
    const server = hawser();
    server.attach(http);
    // It looks after a path of its own, and would leave all others without an answer.
    http.on("upgrade", () => undefined);
    const port = await listen(http);
    const url = `ws://127.0.0.1:${port}/rpc`;
    await works(url);
    expect(() => hawser().attach(http)).toThrow("another server is attached at /rpc already");
    await server.close();
    expect(await refused(url)).toBe("503 the server of /rpc is closed");
    hawser().attach(http);
    await works(url);
  });

  test("HTTPS", async () => {
    const { key, cert } = selfSigned();
    const https = createHttpsServer({ key, cert });
    hawser().attach(https);
    const port = await listen(https);
    const before = getCACertificates("default");
    setDefaultCACertificates([...before, cert]);
    closers.push(() => setDefaultCACertificates(before));
    await works(`wss://localhost:${port}/rpc`);
    await works(`https://localhost:${port}/rpc`);
  });
});
