// examples/frameworks: each of them with its own routes, its own WebSockets, and a good end.
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { text } from "node:stream/consumers";
import { createAdaptorServer, upgradeWebSocket } from "@hono/node-server";
import { Hono } from "hono";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { routes } from "../../examples/deploy/routes.js";
import { start as startExpress } from "../../examples/frameworks/express.js";
import { start as startFastify } from "../../examples/frameworks/fastify.js";
import { start as startHono } from "../../examples/frameworks/hono.js";
import { start as startHttp } from "../../examples/frameworks/http.js";
import { start as startHttp2 } from "../../examples/frameworks/http2.js";
import { closed, listening, type Running } from "../../examples/frameworks/running.js";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { type Connection, type ConnectOptions, connect, createClient } from "../../src/client/index.js";
import { createServer } from "../../src/server/index.js";
import { selfSigned } from "../support/certificate.js";
import { until } from "../support/until.js";

/** ws says `undefined` where Hono's types have nothing. */
type WebSocketOptions = NonNullable<Parameters<typeof createAdaptorServer>[0]["websocket"]>;

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const { key, cert } = selfSigned();

interface Fit {
  readonly name: string;
  readonly start: () => Promise<Running>;
  /** What the framework itself answers. */
  readonly page: (port: number) => Promise<string>;
  readonly says: string;
  readonly url: (port: number) => string;
  readonly options?: ConnectOptions;
  /** What a WebSocket of another kind says at `/news`, where there is one. */
  readonly news?: string;
}

const fetched = (path: string) => (port: number) =>
  fetch(`http://127.0.0.1:${port}${path}`).then((response) => response.text());
const plain = (port: number) => `ws://127.0.0.1:${port}`;

const fits: readonly Fit[] = [
  {
    name: "http",
    start: () => startHttp(0),
    page: fetched("/"),
    says: "Hello from http.",
    url: plain,
    news: "Hello from ws.",
  },
  {
    name: "http2",
    start: () => startHttp2(0, { key, cert }),
    page: overHttp2,
    says: "Hello over HTTP/2.0.",
    url: (port) => `wss://localhost:${port}`,
    options: { tls: { ca: cert } },
  },
  {
    name: "Express",
    start: () => startExpress(0),
    page: fetched("/hello"),
    says: "Hello from Express.",
    url: plain,
  },
  {
    name: "Fastify",
    start: () => startFastify(0),
    page: fetched("/hello"),
    says: "Hello from Fastify.",
    url: plain,
  },
  {
    name: "Hono",
    start: () => startHono(0),
    page: fetched("/hello"),
    says: "Hello from Hono.",
    url: plain,
  },
];

async function overHttp2(port: number): Promise<string> {
  const session = connectHttp2(`https://localhost:${port}`, { ca: cert });
  try {
    // Resolves for a session only: an error of it is thrown here.
    await once(session, "connect");
    return await text(session.request({ ":path": "/" }).setEncoding("utf8"));
  } finally {
    session.close();
  }
}

function connected(url: string, options: ConnectOptions = {}): Connection {
  const connection = connect(`${url}/rpc`, { reconnect: { initialDelayMs: 20, maxDelayMs: 20 }, ...options });
  closers.push(() => connection.close());
  return connection;
}

/** An upgrade that is turned away; the status. */
function refusal(url: string): Promise<number | undefined> {
  const ws = new WebSocket(url, "hawser.v1", { ca: cert });
  return new Promise((resolve, reject) => {
    ws.on("error", () => undefined);
    ws.once("open", () => reject(new Error("it was let in")));
    ws.once("unexpected-response", (_request, response) => resolve(response.statusCode));
  });
}

describe.each(fits)("$name", ({ start, page, says, url, options, news }) => {
  it("serves its own routes, Hawser's path, and its own WebSockets on one port", async () => {
    const app = await start();
    closers.push(() => app.stop());
    expect(await page(app.port)).toBe(says);
    const echo = createClient(EchoService, connected(url(app.port), options));
    expect(await echo.echo({ name: "ada" })).toMatchObject({ name: "ada" });
    const numbers: number[] = [];
    for await (const { number } of echo.repeat({ count: 3 })) numbers.push(number);
    expect(numbers).toEqual([1, 2, 3]);
    if (news !== undefined) {
      const ws = new WebSocket(`${url(app.port)}/news`);
      closers.push(async () => ws.terminate());
      expect(await new Promise((resolve) => ws.once("message", (data) => resolve(String(data))))).toBe(news);
    }
    expect(await page(app.port)).toBe(says);
  });

  it("answers upgrades that are nobody's", async () => {
    const app = await start();
    closers.push(() => app.stop());
    expect(await refusal(`${url(app.port)}/nowhere`)).toBe(404);
    expect(await page(app.port)).toBe(says);
  });

  it("ends in order: calls in flight are answered, and then nothing is left", async () => {
    const app = await start();
    const connection = connected(url(app.port), options);
    await connection.ready();
    // The handler takes 300 ms.
    const call = createClient(EchoService, connection).echo({ id: 300n, name: "slow" });
    await until(() => connection.callsInFlight === 1);
    const states: string[] = [];
    connection.on("state", ({ state }) => states.push(state));
    const stopped = app.stop();
    expect(await call).toMatchObject({ name: "slow" });
    await stopped;
    expect(states[0]).toBe("draining");
    await expect(page(app.port)).rejects.toThrow();
  });
});

it("leaves Hono's own WebSockets alone", async () => {
  const app = new Hono();
  app.get(
    "/news",
    upgradeWebSocket(() => ({ onOpen: (_event, ws) => ws.send("Hello from Hono.") })),
  );
  const options = { server: new WebSocketServer({ noServer: true }) } as WebSocketOptions;
  const http = createAdaptorServer({ fetch: app.fetch, websocket: options });
  const server = createServer({ routes });
  server.attach(http);
  closers.push(() => closed(http));
  const port = await listening(http, 0);
  closers.push(() => server.close());
  const ws = new WebSocket(`ws://127.0.0.1:${port}/news`);
  const [first] = (await once(ws, "message")) as [Buffer];
  expect(String(first)).toBe("Hello from Hono.");
  ws.terminate();
  const echo = createClient(EchoService, connected(plain(port)));
  expect(await echo.echo({ name: "ada" })).toMatchObject({ name: "ada" });
});

it("says what is wrong with a server of HTTP/2 without TLS", async () => {
  const { createServer: createHttp2Server } = await import("node:http2");
  const server = createServer({ routes: () => undefined });
  closers.push(() => server.close());
  expect(() => server.attach(createHttp2Server())).toThrow("on a server of HTTP/2 without TLS");
});
