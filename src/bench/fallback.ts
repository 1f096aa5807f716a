// `npm run bench:fallback`: what a link over HTTP costs beside a WebSocket. The server is a process of its own on this machine.
import { fork } from "node:child_process";
import { once } from "node:events";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { type Connection, connect, createClient } from "hawser/client";
import { createServer } from "hawser/server";
import { BenchService } from "../../gen/hawser/bench/v1/bench_hawser.js";

const WAYS = ["websocket", "http-stream", "http-poll"] as const;
type Way = (typeof WAYS)[number];

const WARM_UP = 2_000;
const SEQUENTIAL = 5_000;
const IN_FLIGHT = 64;
const MEASURE_MS = 3_000;

/** A server for each way: the other ones are blocked in front of it. */
async function serve(): Promise<void> {
  const server = createServer({
    routes: (router) => router.service(BenchService, { echo: ({ id, name, body }) => ({ id, name, body }) }),
  });
  const ports: number[] = [];
  for (const way of WAYS) {
    const http = createHttpServer();
    server.attach(http);
    if (way !== "websocket") {
      http.removeAllListeners("upgrade");
      http.on("upgrade", (_request: IncomingMessage, socket: Duplex) =>
        socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n"),
      );
    }
    if (way === "http-poll") {
      const { emit } = http;
      http.emit = ((
        event: string,
        request: IncomingMessage,
        response: ServerResponse,
        ...more: unknown[]
      ) => {
        if (event !== "request" || request.headers["hawser-do"] !== "stream")
          return Reflect.apply(emit, http, [event, request, response, ...more]);
        response.writeHead(503).end();
        return true;
      }) as typeof http.emit;
    }
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    ports.push((http.address() as AddressInfo).port);
  }
  process.once("disconnect", () => process.exit(0));
  process.send?.(ports);
}

async function linked(way: Way, connection: Connection): Promise<void> {
  while (connection.linkKind !== way || connection.state !== "open")
    await new Promise((resolve) => setTimeout(resolve, 10));
}

async function measure(way: Way, port: number): Promise<void> {
  const connection = connect(`ws://127.0.0.1:${port}/rpc`, {
    fallback: { retryWebSocketMs: Number.POSITIVE_INFINITY },
  });
  const client = createClient(BenchService, connection);
  await linked(way, connection);
  const request = { body: new Uint8Array(32) };
  for (let i = 0; i < WARM_UP; i++) await client.echo(request);
  const times: number[] = [];
  for (let i = 0; i < SEQUENTIAL; i++) {
    const at = performance.now();
    await client.echo(request);
    times.push(performance.now() - at);
  }
  times.sort((a, b) => a - b);
  let calls = 0;
  const end = performance.now() + MEASURE_MS;
  const work = async () => {
    while (performance.now() < end) {
      await client.echo(request);
      calls++;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  const at = (part: number) => `${Math.round((times[Math.floor(times.length * part)] ?? 0) * 1_000)} us`;
  const rate = Math.round(calls / (MEASURE_MS / 1_000)).toLocaleString("en");
  console.log(
    `${way.padEnd(12)} p50 ${at(0.5)}, p99 ${at(0.99)}, ${rate} calls/s with ${IN_FLIGHT} in flight`,
  );
  await connection.close();
}

if (process.argv[2] === "serve") await serve();
else {
  const child = fork(fileURLToPath(import.meta.url), ["serve"]);
  const [ports] = (await once(child, "message")) as [number[]];
  for (const [index, way] of WAYS.entries()) await measure(way, ports[index] ?? 0);
  child.disconnect();
}
