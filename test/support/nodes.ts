// Three servers in this process, as nodes behind a proxy.
import type { Connection } from "../../src/client/index.js";
import { createServer, type Server, type ServerOptions } from "../../src/server/index.js";
import { echoRoutes } from "./echo.js";

/** One of the nodes. */
export interface Node {
  readonly port: number;
  readonly server: Server;
  /** Starts a new server on the port of the old one, which is closed. */
  restart(): Promise<void>;
}

/** Starts three nodes that serve the EchoService. */
export function startNodes(options: Partial<ServerOptions> = {}): Promise<Node[]> {
  return Promise.all([1, 2, 3].map(() => startNode(options)));
}

async function startNode(options: Partial<ServerOptions>): Promise<Node> {
  // As in examples/deploy: the proxy says whose address it is.
  const create = () => createServer({ routes: echoRoutes(), trustedProxies: 1, ...options });
  let server = create();
  const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
  return {
    port,
    get server() {
      return server;
    },
    async restart() {
      server = create();
      await server.listen({ port, host: "127.0.0.1" });
    },
  };
}

/** The node that has a connection's session; `undefined` when none has. */
export function nodeOf(nodes: readonly Node[], { sessionId }: Connection): Node | undefined {
  return nodes.find(({ server }) => [...server.sessions].some(({ id }) => id === sessionId));
}
