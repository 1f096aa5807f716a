// Fastify.
import type { AddressInfo } from "node:net";
import fastify from "fastify";
import { createServer } from "hawser/server";
import { routes } from "../deploy/routes.js";
import type { Running } from "./running.js";

export async function start(port: number): Promise<Running> {
  const app = fastify();
  app.get("/hello", () => "Hello from Fastify.");

  const server = createServer({ routes });
  server.attach(app.server, { path: "/rpc" });
  // Before Fastify stops listening, and waits for connections to end.
  app.addHook("preClose", () => server.drain());

  await app.listen({ port, host: "127.0.0.1" });
  return { port: (app.server.address() as AddressInfo).port, stop: () => app.close() };
}
