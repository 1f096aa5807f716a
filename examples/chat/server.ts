// One process of the chat: the page, and the service beside it on the same port.
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Broker, createServer, memoryBroker, type Server } from "hawser/server";
import { authenticate, chatRoutes } from "./service.js";
import { buildPage, servePage } from "./web.js";

/** A chat that runs. */
export interface Chat {
  readonly port: number;
  /** Of the page. */
  readonly url: string;
  readonly server: Server;
  /** Sends everybody away, as gently as there is time for, and stops. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts the chat. With `NATS_URL` in the environment, rooms are shared with all other processes that use the same NATS, and
 * history outlives them; without it, both are this process's own.
 *
 * @param port 0 takes a free one.
 * @param host Address to listen on. Default: this machine only.
 */
export async function start(port: number, host = "127.0.0.1"): Promise<Chat> {
  const page = await buildPage();
  const server = createServer({ routes: chatRoutes, authenticate, broker: await chooseBroker() });
  const http = createHttpServer((request, response) => {
    if (!server.health.answer(request, response)) servePage(page, request, response);
  });
  server.attach(http);
  await new Promise<void>((resolve, reject) => {
    http.once("error", reject);
    http.listen(port, host, resolve);
  });
  const stopHttp = () =>
    new Promise<void>((resolve) => {
      http.close(() => resolve());
      http.closeAllConnections();
    });
  const address = http.address() as AddressInfo;
  return {
    port: address.port,
    url: `http://localhost:${address.port}/`,
    server,
    async drain() {
      await server.drain();
      await stopHttp();
    },
    async close() {
      await server.close();
      await stopHttp();
    },
  };
}

async function chooseBroker(): Promise<Broker> {
  const { NATS_URL } = process.env;
  if (NATS_URL === undefined || NATS_URL === "") return memoryBroker();
  // Only here, because it brings the NATS client with it.
  const { natsBroker } = await import("hawser/nats");
  return natsBroker({ servers: NATS_URL });
}
