import { Server as HttpServer, type IncomingMessage } from "node:http";
import { Server as NetServer } from "node:net";
import type { Duplex } from "node:stream";
import { Server as TlsServer } from "node:tls";
import type { AttachableServer } from "./server.js";
import { pathOf, refuseUpgrade } from "./upgrade.js";

type TakeUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

const pathsOf = new WeakMap<AttachableServer, UpgradePaths>();

/**
 * Takes upgrade requests for a path of an HTTP server.
 *
 * @returns how to stop. Who comes later is turned away until the path is served again: the HTTP server may go on, or be
 * about to close, which waits for every request that nobody has answered.
 * @throws Error when the path is served already; TypeError for a server that never has such requests.
 */
export function serveUpgrades(server: AttachableServer, path: string, take: TakeUpgrade): () => void {
  checkUpgrades(server);
  let paths = pathsOf.get(server);
  if (paths === undefined) {
    paths = new UpgradePaths(server);
    pathsOf.set(server, paths);
  }
  return paths.serve(path, take);
}

/** All that is attached to one HTTP server, with one listener. */
class UpgradePaths {
  /** `undefined`: it was served once. */
  readonly #takers = new Map<string, TakeUpgrade | undefined>();

  constructor(server: AttachableServer) {
    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      const path = pathOf(request);
      const take = this.#takers.get(path);
      if (take !== undefined) take(request, socket, head);
      else if (this.#takers.has(path)) refuseUpgrade(socket, 503, `the server of ${path} is closed`);
      // Any other path may be that of another listener.
      else if (server.listenerCount("upgrade") === 1)
        refuseUpgrade(socket, 404, `no WebSocket is served at ${path}`);
    });
  }

  serve(path: string, take: TakeUpgrade): () => void {
    if (this.#takers.get(path) !== undefined) {
      throw new Error(`another server is attached at ${path} already; close it first, or take another path`);
    }
    this.#takers.set(path, take);
    return () => {
      if (this.#takers.get(path) === take) this.#takers.set(path, undefined);
    };
  }
}

/** Without TLS, HTTP/2 is all that such a server speaks: nobody could ever open a WebSocket. */
function checkUpgrades(server: AttachableServer): void {
  if (server instanceof NetServer && !(server instanceof HttpServer) && !(server instanceof TlsServer)) {
    throw new TypeError(
      "attach() cannot open WebSockets on a server of HTTP/2 without TLS; give it one of node:http or node:https, or " +
        "http2.createSecureServer({ allowHTTP1: true })",
    );
  }
}
