// Hono on Node.
import { createAdaptorServer } from "@hono/node-server";
import { createServer } from "hawser/server";
import { Hono } from "hono";
import { routes } from "../deploy/routes.js";
import { closed, listening, type Running } from "./running.js";

export async function start(port: number): Promise<Running> {
  const app = new Hono();
  app.get("/hello", (context) => context.text("Hello from Hono."));

  const server = createServer({ routes });
  const http = createAdaptorServer(app); // what serve(app) would make, before it listens
  server.attach(http, { path: "/rpc" });

  return {
    port: await listening(http, port),
    async stop() {
      await server.drain();
      await closed(http);
    },
  };
}
