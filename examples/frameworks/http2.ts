// Pages over HTTP/2, and the WebSocket beside them over HTTP/1.1, on one port.
import { createSecureServer } from "node:http2";
import { createServer } from "hawser/server";
import { routes } from "../deploy/routes.js";
import { closed, listening, type Running } from "./running.js";

export async function start(port: number, tls: { key: string; cert: string }): Promise<Running> {
  const server = createServer({ routes });
  const http = createSecureServer({ ...tls, allowHTTP1: true }, (request, response) => {
    response.end(`Hello over HTTP/${request.httpVersion}.`);
  });
  server.attach(http, { path: "/rpc" });

  return {
    port: await listening(http, port),
    async stop() {
      await server.drain();
      await closed(http);
    },
  };
}
