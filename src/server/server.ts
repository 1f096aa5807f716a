import { createServer as createHttpServer, type Server as HttpServer, type IncomingMessage } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { checkDuration, checkKeys } from "../base/check.js";
import { CloseCode } from "../base/close.js";
import { Timers } from "../driver/timers.js";
import { wsLink } from "../driver/ws-link.js";
import type { ServerEvents } from "./events.js";
import { Greeting } from "./greeting.js";
import { resolveServerOptions, type ServerOptions, type ServerSettings } from "./options.js";
import type { ServerSession } from "./session.js";
import { Sessions } from "./sessions.js";
import { createUpgrader, pathOf, refuseUpgrade, type Upgrader } from "./upgrade.js";

/** Path that is served unless another one is given. */
const DEFAULT_PATH = "/rpc";

/** Where {@link Server.listen} listens. */
export interface ListenOptions {
  /** TCP port; 0 takes a free one. */
  readonly port: number;
  /** Address. Default: all of the machine, as in Node. */
  readonly host?: string;
  /** Path of the WebSocket. Default `/rpc`. */
  readonly path?: string;
}

/** Where a server came to listen. */
export interface Listening {
  readonly port: number;
  /** URL for clients on this machine. */
  readonly url: string;
}

/** How {@link Server.drain} goes about it. */
export interface DrainOptions {
  /** Longest wait for calls in flight, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
  /** Clients come back after a random part of this time, in milliseconds, so that they do not come all at once. Default 2,000. */
  readonly spreadMs?: number;
}

/** A Hawser server. */
export interface Server {
  /**
   * Starts an HTTP server of its own and listens.
   *
   * @throws Error when it listens already, is closed, or the port cannot be had.
   */
  listen(options: ListenOptions): Promise<Listening>;
  /**
   * Serves a path of an existing HTTP or HTTPS server, beside whatever else that serves. Upgrade requests for other
   * paths are left to other listeners, and answered with 404 when there are none.
   */
  attach(server: HttpServer | HttpsServer, options?: { readonly path?: string }): void;
  /** Adds a listener to what happens to sessions; returns how to remove it. */
  on<Name extends keyof ServerEvents>(name: Name, listener: (event: ServerEvents[Name]) => void): () => void;
  /** All sessions, with and without a link. */
  readonly sessions: Iterable<ServerSession> & { readonly size: number };
  /** Turns new connections away, asks clients to go elsewhere, waits for calls in flight, then closes as `close` does. */
  drain(options?: DrainOptions): Promise<void>;
  /**
   * Ends all sessions, closes all links with 1001, and stops listening. Handlers are aborted. Clients come back when
   * there is a server again and learn then that their session is lost: their calls fail with UNAVAILABLE, or at their
   * own deadline before. Resolves when nothing is left open.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Makes a server. It does nothing until {@link Server.listen} or {@link Server.attach}.
 *
 * @throws TypeError or RangeError for a wrong option.
 */
export function createServer(options: ServerOptions): Server {
  return new HawserServer(resolveServerOptions(options));
}

type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

class HawserServer implements Server {
  readonly sessions: Sessions;
  readonly #upgrader: Upgrader;
  readonly #timers: Timers;
  readonly #greetings = new Set<Greeting>();
  readonly #attached = new Map<HttpServer | HttpsServer, UpgradeListener>();
  #own: HttpServer | undefined;
  #draining = false;
  #closing: Promise<void> | undefined;

  constructor(settings: ServerSettings) {
    this.#timers = new Timers(() => performance.now());
    this.sessions = new Sessions(settings, this.#timers);
    this.#upgrader = createUpgrader(settings.session.limits.packetBytes);
  }

  on<Name extends keyof ServerEvents>(name: Name, listener: (event: ServerEvents[Name]) => void): () => void {
    return this.sessions.events.on(name, listener);
  }

  listen(options: ListenOptions): Promise<Listening> {
    checkKeys("listen()", options, ["port", "host", "path"]);
    if (this.#own !== undefined) throw new Error("listen() was called before; a server listens once");
    const path = checkPath(options.path);
    const http = createHttpServer((_request, response) => {
      response.writeHead(404, { "content-type": "text/plain; charset=utf-8" });
      response.end(`This is a Hawser server; connect a WebSocket client to ${path}\n`);
    });
    this.#own = http;
    this.attach(http, { path });
    return new Promise((resolve, reject) => {
      http.once("error", (error: NodeJS.ErrnoException) => {
        this.#own = undefined;
        this.#detach(http);
        reject(
          error.code === "EADDRINUSE"
            ? new Error(`port ${options.port} is in use; choose another, or 0 for any free one`, {
                cause: error,
              })
            : error,
        );
      });
      http.listen(
        { port: options.port, ...(options.host === undefined ? {} : { host: options.host }) },
        () => {
          if (this.#closing !== undefined) return reject(new Error("the server is closed"));
          const { port } = http.address() as AddressInfo;
          resolve({ port, url: `ws://localhost:${port}${path}` });
        },
      );
    });
  }

  attach(server: HttpServer | HttpsServer, options: { readonly path?: string } = {}): void {
    checkKeys("attach()", options, ["path"]);
    if (this.#closing !== undefined) throw new Error("the server is closed");
    if (this.#attached.has(server)) throw new Error("this server is attached already");
    const path = checkPath(options.path);
    const listener: UpgradeListener = (request, socket, head) => {
      if (pathOf(request) === path) this.#upgrade(request, socket, head);
      else if (server.listenerCount("upgrade") === 1)
        refuseUpgrade(socket, 404, `no WebSocket is served at ${pathOf(request)}`);
    };
    this.#attached.set(server, listener);
    server.on("upgrade", listener);
  }

  async drain(options: DrainOptions = {}): Promise<void> {
    checkKeys("drain()", options, ["timeoutMs", "spreadMs"]);
    const timeoutMs = checkDuration("timeoutMs", options.timeoutMs ?? 10_000);
    const spreadMs = checkDuration("spreadMs", options.spreadMs ?? 2_000);
    if (!this.#draining) {
      this.#draining = true;
      for (const session of this.sessions) session.goAway("the server is going away", spreadMs);
      const until = this.#timers.clock() + timeoutMs;
      while (this.#timers.clock() < until && ![...this.sessions].every((session) => session.isDone)) {
        await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
      }
    }
    await this.close();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const reason = "the server is going away";
    const gone = [...this.#greetings].map((greeting) => greeting.closed);
    this.sessions.close(CloseCode.goingAway, reason);
    for (const greeting of this.#greetings) greeting.close(CloseCode.goingAway, reason);
    for (const server of [...this.#attached.keys()]) this.#detach(server);
    const own = this.#own;
    const stopped = new Promise<void>((resolve) => {
      if (own === undefined) return resolve();
      const stop = () => {
        own.close(() => resolve());
        own.closeIdleConnections();
      };
      if (own.listening) return stop();
      // It is still on its way to listen.
      own.once("listening", stop);
      own.once("error", () => resolve());
    });
    await Promise.all(gone);
    own?.closeAllConnections();
    await stopped;
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#draining || this.#closing !== undefined)
      return refuseUpgrade(socket, 503, "the server is going away");
    this.#upgrader.upgrade(request, socket, head, (ws) => {
      const { headers, url = "" } = request;
      const { remoteAddress } = request.socket;
      const greeting = new Greeting(this.sessions, (events) => wsLink(ws, socket, events), {
        headers,
        url,
        remoteAddress,
      });
      this.#greetings.add(greeting);
      void greeting.closed.then(() => this.#greetings.delete(greeting));
    });
  }

  #detach(server: HttpServer | HttpsServer): void {
    const listener = this.#attached.get(server);
    if (listener !== undefined) server.off("upgrade", listener);
    this.#attached.delete(server);
  }
}

/** A drain asks this often whether all clients are done. */
const DRAIN_POLL_MS = 20;

function checkPath(path: string = DEFAULT_PATH): string {
  if (typeof path !== "string" || !path.startsWith("/") || path.includes("?") || path.includes("#")) {
    throw new TypeError(`path must be an absolute path like "/rpc", not ${JSON.stringify(path)}`);
  }
  return path;
}
