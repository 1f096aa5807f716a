// Plain node:http, with a WebSocket server of another kind and a last word on everybody else's upgrades.
import { createServer as createHttpServer } from "node:http";
import { createServer } from "hawser/server";
import { WebSocketServer } from "ws";
import { routes } from "../deploy/routes.js";
import { closed, listening, type Running } from "./running.js";

export async function start(port: number): Promise<Running> {
  const server = createServer({ routes });
  const http = createHttpServer((request, response) => {
    if (server.health.answer(request, response)) return;
    response.end("Hello from http.");
  });
  server.attach(http, { path: "/rpc" });

  const news = new WebSocketServer({ noServer: true });
  http.on("upgrade", (request, socket, head) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    if (pathname === "/rpc") return;
    if (pathname === "/news") news.handleUpgrade(request, socket, head, (ws) => ws.send("Hello from ws."));
    else socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n");
  });

  return {
    port: await listening(http, port),
    async stop() {
      await server.drain();
      for (const ws of news.clients) ws.close(1001);
      await closed(http);
    },
  };
}
