import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import type { Http2SecureServer, Http2Server } from "node:http2";
import type { Server as HttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import type { PresenceMember } from "../../gen/hawser/v1/presence_pb.js";
import { checkDuration, checkKeys } from "../base/check.js";
import { CloseCode } from "../base/close.js";
import { hex } from "../base/hex.js";
import type { TopicFigures } from "../base/observer.js";
import { Timers } from "../driver/timers.js";
import { REQUEST_TIMEOUT_MS } from "../fallback/protocol.js";
import type { PublishedAt, PublishOptions, Topic } from "../rpc/topic.js";
import type { Transport } from "../rpc/transport.js";
import { checkPresence } from "../topics/define.js";
import { Cluster, type Target } from "./cluster/cluster.js";
import { RemotePeer } from "./cluster/remote-peer.js";
import { Door } from "./door.js";
import type { ServerEvents } from "./events.js";
import { type Health, HealthState } from "./health.js";
import { HttpLinks } from "./http-links.js";
import { interceptRequests } from "./intercept.js";
import { resolveServerOptions, type ServerOptions } from "./options.js";
import type { LiveSession, ServerSession } from "./session.js";
import { Sessions } from "./sessions.js";
import { pathOf } from "./upgrade.js";
import { serveUpgrades } from "./upgrade-paths.js";

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
  /**
   * Clients are asked to go at random moments within this time, in milliseconds, so that they do not arrive elsewhere all at
   * once. At most half of `timeoutMs`. Default 2,000.
   */
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
   * paths are left to other listeners, and answered with 404 when there are none. Requests for links over HTTP
   * (`httpFallback`) do not reach the server's own listeners; all others do. A server of HTTP/2 must have TLS and
   * `allowHTTP1: true`: WebSockets are opened over HTTP/1.1. Once this server is closed, upgrade requests for the path are
   * answered with 503 until another one is attached there.
   *
   * @throws TypeError for a wrong path, and for a server of HTTP/2 without TLS; Error when it is attached already, another
   * server is attached at the path, or this one is closed.
   */
  attach(server: AttachableServer, options?: { readonly path?: string }): void;
  /** Adds a listener to what happens to sessions; returns how to remove it. */
  on<Name extends keyof ServerEvents>(name: Name, listener: (event: ServerEvents[Name]) => void): () => void;
  /** Whether the server and its services can take calls, as `/readyz` and `grpc.health.v1.Health` tell it. */
  readonly health: Health & {
    /**
     * For HTTP servers that a user brings: answers `/healthz` and `/readyz`, and says whether the request was for one of
     * them. With `listen` they are answered already.
     */
    readonly answer: (request: IncomingMessage, response: ServerResponse) => boolean;
  };
  /** All sessions, with and without a link. */
  readonly sessions: Iterable<ServerSession> & { readonly size: number };
  /**
   * Publishes a message to all subscribers of a topic, on all nodes. Resolves when the broker has it: with history, it will
   * not be lost any more.
   *
   * @throws RpcError UNAVAILABLE when the broker cannot be reached (`executed` says whether it may have been published),
   * RESOURCE_EXHAUSTED for a message over `limits.messageBytes` or over what the broker takes, INVALID_ARGUMENT for a message that
   * cannot be encoded.
   */
  publish<Desc extends DescMessage>(
    topic: Topic<Desc>,
    message: MessageInitShape<Desc>,
    options?: PublishOptions,
  ): Promise<PublishedAt>;
  /**
   * Who is subscribed to a topic that is defined with `presence`, on all nodes. Members of a node that has died are gone within
   * some seconds.
   *
   * @throws TypeError for a topic without presence.
   */
  presence(topic: Topic): Promise<readonly PresenceMember[]>;
  /**
   * Calls services that a client serves, whichever node it is connected to when the call is made:
   * `createClient(Service, server.peer({ session }))`. Of an identity with several sessions, one is called. Give each call a deadline.
   *
   * Calls fail with UNAVAILABLE and `executed: "no"` when the client is connected nowhere.
   */
  peer(target: { readonly session: string } | { readonly identity: string }): Transport;
  /** What this node's topics have done so far. */
  readonly topics: TopicFigures;
  /**
   * Turns new connections away (HTTP 503), asks clients to go elsewhere, each at a moment of its own, closes the link of each
   * with 1001 when its calls in flight are done, and in the end does as `close` does. Nothing is lost by it that is done in time.
   */
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
  return new HawserServer(options);
}

/** What {@link Server.attach} takes: what `node:http`, `node:https` and `node:http2` make, and so most frameworks. */
export type AttachableServer = HttpServer | HttpsServer | Http2SecureServer | Http2Server;

class HawserServer implements Server {
  readonly sessions: Sessions;
  readonly health: HealthState = new HealthState();
  readonly #timers: Timers;
  readonly #door: Door;
  readonly #httpLinks: HttpLinks;
  /** HTTP servers, and how to let go of them. */
  readonly #attached = new Map<AttachableServer, () => void>();
  #own: HttpServer | undefined;
  /** It was told to listen, so that it will, or will say why not. */
  #told = false;
  #draining = false;
  /** The broker can be used. */
  readonly #started: Promise<void>;
  #closing: Promise<void> | undefined;

  constructor(options: ServerOptions) {
    const settings = resolveServerOptions(options, this.health.routes);
    this.#timers = new Timers(() => performance.now());
    this.sessions = new Sessions(settings, this.#timers);
    this.#door = new Door(this.sessions);
    this.#httpLinks = new HttpLinks(this.sessions, this.#door);
    this.health.know(settings.routes);
    settings.inspector?.start({ settings, sessions: this.sessions });
    const { logger, broker } = settings;
    const started = broker.start({
      node: hex(this.sessions.epoch),
      onReady: (ready) => this.health.brokerReady(ready),
      warn: (message, ...details) => logger.warn(message, ...details),
    });
    this.#started = started.then(() => {
      if (broker.bus === undefined || this.#closing !== undefined) return;
      this.sessions.hub.presence.connect(broker.bus);
      this.sessions.cluster = new Cluster(broker.bus, this.sessions);
    });
    this.#started.catch((error: unknown) => logger.error("hawser: the broker cannot be used:", error));
  }

  publish<Desc extends DescMessage>(
    topic: Topic<Desc>,
    message: MessageInitShape<Desc>,
    options?: PublishOptions,
  ): Promise<PublishedAt> {
    return this.sessions.hub.publish(topic, message, options);
  }

  peer(target: Target): Transport {
    return new RemotePeer(target, this.sessions, () => this.sessions.cluster);
  }

  presence(topic: Topic): Promise<readonly PresenceMember[]> {
    checkPresence(topic);
    return this.sessions.hub.presence.list(topic.name);
  }

  get topics(): TopicFigures {
    return this.sessions.hub.counters;
  }

  on<Name extends keyof ServerEvents>(name: Name, listener: (event: ServerEvents[Name]) => void): () => void {
    return this.sessions.events.on(name, listener);
  }

  listen(options: ListenOptions): Promise<Listening> {
    checkKeys("listen()", options, ["port", "host", "path"]);
    if (this.#own !== undefined) throw new Error("listen() was called before; a server listens once");
    const path = checkPath(options.path);
    const { maxConnections, session } = this.sessions.settings;
    const { handshakeTimeoutMs } = session;
    // Slow requests (Slowloris) end when a handshake would have had to. Bodies are those of links over HTTP, whose greeting
    // has its own time, and which may be on a slow network.
    const timeouts = {
      headersTimeout: handshakeTimeoutMs,
      requestTimeout: Math.max(handshakeTimeoutMs, REQUEST_TIMEOUT_MS),
      connectionsCheckingInterval: Math.min(1_000, handshakeTimeoutMs),
    };
    const http = createHttpServer(timeouts, (request, response) => {
      if (this.health.answer(request, response)) return;
      if (this.sessions.settings.inspector?.answer(request, response) === true) return;
      response.writeHead(404, { "content-type": "text/plain; charset=utf-8" });
      response.end(`This is a Hawser server; connect a WebSocket client to ${path}\n`);
    });
    if (Number.isFinite(maxConnections))
      http.maxConnections = maxConnections * SOCKETS_PER_LINK + SPARE_SOCKETS;
    this.#own = http;
    this.attach(http, { path });
    return this.#started.then(() => this.#listen(http, options, path));
  }

  #listen(http: HttpServer, options: ListenOptions, path: string): Promise<Listening> {
    return new Promise((resolve, reject) => {
      if (this.#closing !== undefined) return reject(new Error("the server is closed"));
      const fail = (error: NodeJS.ErrnoException) => {
        this.#own = undefined;
        this.#told = false;
        this.#detach(http);
        reject(
          error.code === "EADDRINUSE"
            ? new Error(`port ${options.port} is in use; choose another, or 0 for any free one`, {
                cause: error,
              })
            : error,
        );
      };
      http.once("error", fail);
      const onListening = () => {
        if (this.#closing !== undefined) return reject(new Error("the server is closed"));
        const { port } = http.address() as AddressInfo;
        this.health.enter("serving");
        resolve({ port, url: `ws://localhost:${port}${path}` });
      };
      const { port, host } = options;
      try {
        http.listen({ port, ...(host === undefined ? {} : { host }) }, onListening);
        this.#told = true;
      } catch (error) {
        // A port that is none.
        fail(error as Error);
      }
    });
  }

  attach(server: AttachableServer, options: { readonly path?: string } = {}): void {
    checkKeys("attach()", options, ["path"]);
    if (this.#closing !== undefined) throw new Error("the server is closed");
    if (this.#attached.has(server)) throw new Error("this server is attached already");
    const path = checkPath(options.path);
    const refuse = serveUpgrades(server, path, (...request) => this.#door.upgrade(...request));
    this.sessions.settings.inspector?.serving(path);
    const letGo = interceptRequests(
      server,
      (request, response) => pathOf(request) === path && this.#httpLinks.take(request, response),
    );
    this.#attached.set(server, () => {
      refuse();
      letGo();
    });
    if (server !== this.#own) this.health.enter("serving");
  }

  async drain(options: DrainOptions = {}): Promise<void> {
    checkKeys("drain()", options, ["timeoutMs", "spreadMs"]);
    const timeoutMs = checkDuration("timeoutMs", options.timeoutMs ?? 10_000);
    const spreadMs = Math.min(checkDuration("spreadMs", options.spreadMs ?? 2_000), timeoutMs / 2);
    if (!this.#draining) {
      this.#draining = true;
      this.#door.shut(GOING_AWAY);
      this.sessions.cluster?.drain();
      this.health.enter("draining");
      await this.#sendAway(timeoutMs, spreadMs);
    }
    await this.close();
  }

  /** Asks each client to go at a moment of its own; one whose calls are done then goes at once, whatever the others do. */
  async #sendAway(timeoutMs: number, spreadMs: number): Promise<void> {
    const now = this.#timers.clock();
    const waiting = new Map(
      [...this.sessions].map((session) => [session, now + this.sessions.random() * spreadMs]),
    );
    const told = new Set<LiveSession>();
    // Links whose sessions are on other nodes lose nothing by going at once, but not all at one moment.
    for (const relayed of this.sessions.cluster?.relayed ?? []) {
      const leave = () => relayed.leave(CloseCode.goingAway, GOING_AWAY);
      this.#timers.after(this.sessions.random() * spreadMs, leave);
    }
    const seen = new Set(waiting.keys());
    const isRelaying = () => [...(this.sessions.cluster?.relayed ?? [])].length > 0;
    while ((waiting.size + told.size > 0 || isRelaying()) && this.#timers.clock() < now + timeoutMs) {
      // Who was on the way in when the door was shut goes again at once.
      for (const session of this.sessions) {
        if (seen.has(session)) continue;
        seen.add(session);
        waiting.set(session, now);
      }
      for (const [session, at] of waiting) {
        if (this.#timers.clock() < at) continue;
        waiting.delete(session);
        told.add(session);
        session.goAway(GOING_AWAY, 0);
      }
      for (const session of told) {
        if (!session.isDone) continue;
        told.delete(session);
        session.close(CloseCode.goingAway, GOING_AWAY);
      }
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.health.enter("closed");
    this.sessions.close(CloseCode.goingAway, GOING_AWAY);
    const gone = this.#door.close(CloseCode.goingAway, GOING_AWAY);
    const own = this.#own;
    const stopped = new Promise<void>((resolve) => {
      if (own === undefined || !this.#told) return resolve();
      const stop = () => {
        own.close(() => resolve());
        own.closeIdleConnections();
      };
      if (own.listening) return stop();
      // It is still on its way to listen.
      own.once("listening", stop);
      own.once("error", () => resolve());
    });
    this.sessions.cluster?.close(CloseCode.goingAway, GOING_AWAY);
    await gone;
    // Up to here, requests brought links over HTTP to their end.
    for (const server of [...this.#attached.keys()]) this.#detach(server);
    own?.closeAllConnections();
    await stopped;
    this.sessions.settings.inspector?.close();
    await this.sessions.settings.broker.close();
  }

  #detach(server: AttachableServer): void {
    this.#attached.get(server)?.();
    this.#attached.delete(server);
  }
}

/** What a client keeps open for a link over HTTP: a poll, a stream, and two requests that bring something. */
const SOCKETS_PER_LINK = 4;
/** For whoever is turned away, with an answer, and for questions after the server's health. */
const SPARE_SOCKETS = 100;

/** Reason of closes and refusals. */
const GOING_AWAY = "the server is going away";

/** A drain asks this often whether all clients are done. */
const DRAIN_POLL_MS = 20;

function checkPath(path: string = DEFAULT_PATH): string {
  if (typeof path !== "string" || !path.startsWith("/") || path.includes("?") || path.includes("#")) {
    throw new TypeError(`path must be an absolute path like "/rpc", not ${JSON.stringify(path)}`);
  }
  return path;
}
