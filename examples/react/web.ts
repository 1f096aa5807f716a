// The built page and the poll on one port.
import { readFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import type { Server } from "hawser/server";
import { createPollServer } from "./poll.js";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
};

/** A page that is served. */
export interface Web {
  readonly url: string;
  readonly server: Server;
  close(): Promise<void>;
}

/**
 * @param folder What Vite has built.
 * @param port 0 takes a free one.
 */
export async function startWeb(folder: string, port: number): Promise<Web> {
  const server = await createPollServer();
  const http = createHttpServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    // Absolute after normalizing, so that no ".." leads out of the folder.
    const path = join(folder, normalize(pathname === "/" ? "/index.html" : pathname));
    const body = await readFile(path).catch(() => undefined);
    response.writeHead(body === undefined ? 404 : 200, {
      "content-type": TYPES[extname(path)] ?? "text/plain",
    });
    response.end(body);
  });
  server.attach(http);
  await new Promise<void>((resolve) => http.listen(port, "127.0.0.1", resolve));
  return {
    url: `http://localhost:${(http.address() as AddressInfo).port}/`,
    server,
    async close() {
      await server.close();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}
