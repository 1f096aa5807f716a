// Express.
import { createServer as createHttpServer } from "node:http";
import express from "express";
import { createServer } from "hawser/server";
import { routes } from "../deploy/routes.js";
import { closed, listening, type Running } from "./running.js";

export async function start(port: number): Promise<Running> {
  const app = express();
  app.get("/hello", (_request, response) => void response.send("Hello from Express."));

  const server = createServer({ routes });
  const http = createHttpServer(app); // what app.listen() would make
  server.attach(http, { path: "/rpc" });

  return {
    port: await listening(http, port),
    async stop() {
      await server.drain();
      await closed(http);
    },
  };
}
