// A server whose WebSockets are blocked on the way, as by a proxy that answers upgrades with 403.
import { createHash } from "node:crypto";
import { createServer as createHttpServer, request as httpRequest, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { onTestFinished } from "vitest";
import { connect as connectWeb } from "../../src/client/browser.js";
import { type Connection, type ConnectOptions, connect as connectNode } from "../../src/client/index.js";
import { createServer, type Server, type ServerOptions } from "../../src/server/index.js";
import { echoRoutes } from "../support/echo.js";
import { topicRoutes } from "../support/topics.js";

/** The two ways in which clients make requests: Node's own HTTP, and `fetch`. */
export const CLIENTS: [string, typeof connectNode][] = [
  ["Node", connectNode],
  ["fetch", connectWeb],
];

/** A server behind something that refuses upgrades as long as it is told to. */
export interface Blocked {
  readonly server: Server;
  readonly port: number;
  readonly url: string;
  /** Upgrades are refused with 403, or by silence; are let through and cut at the first frame; or nothing happens to them. */
  block: "403" | "silence" | "first frame" | false;
  /** Upgrade requests so far. */
  readonly upgrades: number;
  /** Requests of links over HTTP so far, by what they were for. */
  readonly requests: string[];
}

/** @param create of another version, to see whether it is understood */
export async function blockedServer(
  options: Partial<ServerOptions> = {},
  create: typeof createServer = createServer,
): Promise<Blocked> {
  const http = createHttpServer((_request, response) => response.writeHead(404).end("nothing here\n"));
  const requests: string[] = [];
  const server = create({
    routes: (router) => {
      echoRoutes()(router);
      topicRoutes(router);
    },
    ...options,
  });
  server.attach(http);
  const [upgrade] = http.listeners("upgrade") as ((...values: unknown[]) => void)[];
  http.removeAllListeners("upgrade");
  const { emit } = http;
  http.emit = function (this: typeof http, event: string, ...values: unknown[]) {
    const [request] = values as [IncomingMessage];
    if (event === "request") requests.push(String(request.headers["hawser-do"]));
    return Reflect.apply(emit, this, [event, ...values]) as boolean;
  } as typeof http.emit;
  const silent = new Set<Duplex>();
  let upgrades = 0;
  const blocked = {
    server,
    port: 0,
    url: "",
    block: "403" as Blocked["block"],
    requests,
    get upgrades() {
      return upgrades;
    },
  };
  http.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgrades++;
    socket.on("error", () => undefined);
    if (blocked.block === false) upgrade?.(request, socket, head);
    else if (blocked.block === "silence") silent.add(socket);
    else if (blocked.block === "first frame") {
      const accept = createHash("sha1")
        .update(`${String(request.headers["sec-websocket-key"])}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
        .digest("base64");
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: hawser.v1\r\n\r\n`,
      );
      socket.once("data", () => socket.destroy());
    } else socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const { port } = http.address() as AddressInfo;
  onTestFinished(async () => {
    await server.close();
    for (const socket of silent) socket.destroy();
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  });
  return Object.assign(blocked, { port, url: `ws://127.0.0.1:${port}/rpc` });
}

/** Comes back soon, and does not try WebSockets again unless it is told to. */
export const SOON: ConnectOptions = {
  reconnect: { initialDelayMs: 5, maxDelayMs: 20 },
  fallback: { retryWebSocketMs: Number.POSITIVE_INFINITY },
};

/** A connection that is closed when the test is over. */
export function open(connect: typeof connectNode, url: string, options: ConnectOptions = {}): Connection {
  const connection = connect(url, { ...SOON, ...options });
  onTestFinished(() => connection.close());
  return connection;
}

/** An answer to a request that a test makes itself. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

/** A request of a link over HTTP, as a test wants it; an empty header is left out. */
export function rawPost(
  port: number,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array = new Uint8Array(0),
  method = "POST",
): Promise<RawAnswer> {
  const all = {
    "content-type": "application/vnd.hawser.v1",
    "content-length": String(body.length),
    ...headers,
  };
  const sent = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ""));
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { host: "127.0.0.1", port, path: "/rpc", method, headers: sent, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks),
          }),
        );
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}
