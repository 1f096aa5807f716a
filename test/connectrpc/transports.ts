// The same routes behind Connect's own transports and behind Hawser.
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import {
  type ConnectRouter,
  type ConnectRouterOptions,
  createRouterTransport,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { connect } from "../../src/client/index.js";
import { connectRoutes, createHawserTransport } from "../../src/connectrpc/index.js";
import { createServer } from "../../src/server/index.js";

/** What a case wants of its transport. */
export interface Setting {
  readonly routes: (router: ConnectRouter) => void;
  readonly router?: ConnectRouterOptions;
  readonly transport?: { readonly interceptors?: Interceptor[]; readonly defaultTimeoutMs?: number };
}

/** `intercepted`: Hawser with an interceptor on each side that changes nothing, behind which calls take other paths. */
export type TransportName = "router" | "http2" | "hawser" | "intercepted";

const passing: Interceptor = (next) => next;

/** Opens a transport to a server with these routes; `end` leaves nothing of either. */
export async function open(
  name: TransportName,
  { routes, router = {}, transport = {} }: Setting,
): Promise<{ transport: Transport; end(): Promise<void> }> {
  if (name === "router") {
    return { transport: createRouterTransport(routes, { router, transport }), end: async () => undefined };
  }
  if (name === "http2") {
    const server = createHttp2Server(connectNodeAdapter({ ...router, routes }));
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const sessionManager = new Http2SessionManager(baseUrl);
    return {
      transport: createConnectTransport({ baseUrl, httpVersion: "2", sessionManager, ...transport }),
      end: async () => {
        sessionManager.abort();
        await new Promise((done) => server.close(done));
      },
    };
  }
  if (name === "intercepted") {
    return open("hawser", {
      routes,
      router: { ...router, interceptors: [...(router.interceptors ?? []), passing] },
      transport: { ...transport, interceptors: [...(transport.interceptors ?? []), passing] },
    });
  }
  const logger = { warn: () => undefined, error: () => undefined };
  const server = createServer({ routes: connectRoutes(routes, router), logger, reflection: false });
  const { url } = await server.listen({ port: 0, host: "127.0.0.1" });
  const connection = connect(url);
  return {
    transport: createHawserTransport(connection, transport),
    end: async () => {
      await connection.close();
      await server.close();
    },
  };
}
