import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { PageFiles } from "./bundle.js";

/** The HTTP server of the demo: the page, and the socket that the RPC server attaches to. */
export interface WebServer {
  readonly http: Server;
  /** `http://127.0.0.1:<port>/`, once it listens. */
  readonly url: string;
  readonly port: number;
  /** From now on these files are served. */
  servePage(files: PageFiles): void;
  /** Listens on this machine only: what the service tells is nobody else's business. */
  listen(port: number): Promise<void>;
  close(): Promise<void>;
}

/** Path of the RPC server's WebSocket. */
export const RPC_PATH = "/rpc";

/** Query parameter of the page's WebSocket by which its link is found again when the page asks for a cut. */
const LINK_PARAMETER = "link";

/** What the page may load: its own files and its own socket, nothing from elsewhere. */
const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'",
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
};

/** Makes the HTTP server. It serves no page yet. */
export function createWebServer(): WebServer {
  let files: PageFiles = new Map();
  const links = new Map<string, Duplex>();

  const http = createServer((request, response) => {
    const { pathname, searchParams } = target(request);
    const file = files.get(pathname);
    if (!isLocal(request.headers)) return answer(response, 403, "this server answers to its own name only");
    if (request.method === "POST" && pathname === "/cut") {
      const link = links.get(searchParams.get(LINK_PARAMETER) ?? "");
      link?.destroy();
      return answer(response, link === undefined ? 404 : 204);
    }
    if (file === undefined) return answer(response, 404, "no such page");
    if (request.method !== "GET" && request.method !== "HEAD") return answer(response, 405, "GET only");
    response.writeHead(200, { ...HEADERS, "content-type": file.type, "content-length": file.body.length });
    response.end(request.method === "HEAD" ? undefined : file.body);
  });

  // Beside the listener of the RPC server, which answers the upgrade.
  http.on("upgrade", (request, socket) => {
    const { pathname, searchParams } = target(request);
    const id = searchParams.get(LINK_PARAMETER);
    // Nobody else is there to turn away what asks for another path.
    if (pathname !== RPC_PATH) socket.destroy();
    if (id === null || socket.destroyed) return;
    links.set(id, socket);
    socket.once("close", () => {
      if (links.get(id) === socket) links.delete(id);
    });
  });

  let port = 0;
  return {
    http,
    get port() {
      return port;
    },
    get url() {
      return `http://127.0.0.1:${port}/`;
    },
    servePage(built) {
      files = built;
    },
    async listen(wanted) {
      port = await listen(http, wanted);
    },
    close: () =>
      new Promise((resolve) => {
        http.close(() => resolve());
        http.closeAllConnections();
      }),
  };
}

/**
 * Whether the request was made to this machine by its own name, and by this page. Otherwise a page from elsewhere
 * could read what runs here, through a name of its own that leads to 127.0.0.1.
 */
export function isLocal({ host, origin }: Readonly<Record<string, string | string[] | undefined>>): boolean {
  const named = typeof host === "string" && /^(127\.0\.0\.1|localhost)(:\d+)?$/.test(host);
  return named && (origin === undefined || origin === `http://${host}`);
}

function target(request: IncomingMessage): URL {
  return new URL(request.url ?? "/", "http://127.0.0.1");
}

function answer(response: ServerResponse, status: number, text?: string): void {
  response.writeHead(status, { ...HEADERS, "content-type": "text/plain; charset=utf-8" });
  response.end(text === undefined ? undefined : `${text}\n`);
}

function listen(http: Server, wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    http.once("error", (error: NodeJS.ErrnoException) => {
      const taken = error.code === "EADDRINUSE" || error.code === "EACCES";
      const advice = `port ${wanted} cannot be used (${error.code}). Choose another one: --port <n>`;
      reject(taken ? new Error(advice, { cause: error }) : error);
    });
    http.listen(wanted, "127.0.0.1", () => {
      const address = http.address();
      resolve(typeof address === "object" && address !== null ? address.port : wanted);
    });
  });
}
