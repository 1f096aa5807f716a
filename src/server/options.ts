import { checkDuration, checkFunction, checkInteger, checkKeys } from "../base/check.js";
import { combineObservers, type Observer } from "../base/observer.js";
import type { Broker } from "../broker/broker.js";
import {
  type CompressionOptions,
  type CompressionProfile,
  type CompressionSettings,
  resolveCompression,
} from "../compression/settings.js";
import { checkStore } from "../idempotency/check.js";
import type { IdempotencyStore } from "../idempotency/store.js";
import type { Identity } from "../rpc/context.js";
import { collectRoutes, type Routes, type RouteTable } from "../rpc/router.js";
import type { Interceptor } from "../rpc/transport.js";
import {
  resolveSettings,
  SESSION_OPTION_KEYS,
  type SessionOptions,
  type SessionSettings,
} from "../session/settings.js";
import type { AuthRequest } from "./authentication.js";
import { type Inspection, inspectionOf, type ServerInspector } from "./inspection.js";
import { LIMIT_KEYS, type LimitOptions, type LimitSettings, resolveLimits } from "./limits.js";
import { memoryBroker } from "./memory-broker.js";
import { createSourceCheck } from "./origin.js";
import { reflectionRoutes } from "./reflection.js";

/** Where the server reports what is no call's own matter. `console` is one. */
export interface Logger {
  warn(message: string, ...details: unknown[]): void;
  error(message: string, ...details: unknown[]): void;
}

/** Options of `createServer`. Those of the session (timers, limits) are given beside them. */
export interface ServerOptions extends SessionOptions, LimitOptions {
  /** The services. */
  readonly routes: Routes;
  /** For all calls that the server answers. */
  readonly interceptors?: readonly Interceptor[];
  /** For all calls that the server makes to its clients. */
  readonly callInterceptors?: readonly Interceptor[];
  /**
   * Finds out who a client is, at every connection, resumed or not. Throw an `RpcError` with UNAUTHENTICATED or
   * PERMISSION_DENIED to turn it away, with UNAVAILABLE when it cannot be found out now. Until it has passed, a client has
   * `handshakeTimeoutMs` and may send 36 KiB. Default: everybody is let in without an identity.
   */
  readonly authenticate?: (request: AuthRequest) => Identity | Promise<Identity>;
  /**
   * `"hello"` (the default): asked when the first packet is there, so that credentials may come in it and a browser learns why
   * it was turned away. `"upgrade"`: asked before the WebSocket is opened, with cookies, headers and bearer token only; who is
   * turned away gets HTTP 401 or 403, which browsers do not show to pages.
   */
  readonly authenticateAt?: "hello" | "upgrade";
  /**
   * Name of a query parameter that may carry a bearer token, such as `"access_token"`. Default: none, because URLs are written
   * into logs of servers and proxies, and stay in histories: give out tokens for it that are good for seconds and once.
   */
  readonly queryToken?: string;
  /** How long before `Identity.expiresAt` a client is asked for fresh credentials, in milliseconds. Default 30,000. */
  readonly refreshBeforeMs?: number;
  /**
   * Pages that may connect, by their origins: `"https://app.example.com"`, `"https://*.example.com"`; `"*"` for all. Default:
   * those of the same host and port. Requests without an `Origin` do not come from pages, and are let in.
   */
  readonly allowedOrigins?: "*" | readonly string[];
  /**
   * Hosts that requests may name: `"example.com"`, `"*.example.com"`; `"*"` for any. Default: any, but connections from this
   * machine itself, without a proxy's headers, must name it by `localhost` or an address: a page whose name leads to
   * 127.0.0.1 could read everything otherwise (DNS rebinding). Pages can send a proxy's headers with requests that open no
   * WebSocket (the HTTP fallback, the inspector's page), where only `trustedProxies` makes them count.
   */
  readonly allowedHosts?: "*" | readonly string[];
  /**
   * Proxies in front of the server that add to `X-Forwarded-For`; the address that the farthest of them has seen counts as the
   * client's. Default 0: the header is not believed.
   */
  readonly trustedProxies?: number;
  /**
   * Whether links may also be opened by HTTP requests to the same path, for clients whose WebSockets are blocked on their way;
   * see docs/fallback.md. They are let in and limited as WebSockets are. Default: yes.
   */
  readonly httpFallback?: boolean;
  /**
   * Where handlers keep what has run under an idempotency key: `memoryIdempotencyStore()`, `sqliteIdempotencyStore()`.
   * Without it, calls with a key are refused, and methods with `option (hawser.v1.once) = true` cannot be served.
   */
  readonly idempotencyStore?: IdempotencyStore | undefined;
  /**
   * Carries topics: `memoryBroker()` (the default) on one node, `natsBroker()` from `hawser/nats` on many. One for each server.
   */
  readonly broker?: Broker;
  /**
   * Whether the server tells what it serves: `grpc.reflection.v1.ServerReflection`, for `hawser call`, `list`, `describe` and
   * other tools. Who may call services may read all their schemas then, and nobody else: authentication and interceptors apply
   * as to any call. Default: on, but off where `NODE_ENV` is `"production"`.
   */
  readonly reflection?: boolean;
  /**
   * A page and a service that show what the server does: `inspector({ path, allow })` from `hawser/inspector`. Default: none.
   */
  readonly inspector?: ServerInspector;
  /** How long a session is kept without a link, in milliseconds. Default 60,000. */
  readonly graceMs?: number;
  /** Sessions without a link that are kept; beyond, the oldest goes first. Default 10,000. */
  readonly maxDetachedSessions?: number;
  /** What sessions without a link may hold together, in bytes; beyond, the oldest goes first. Default 256 MiB. */
  readonly maxDetachedBytes?: number;
  /**
   * How packets are compressed, where the client takes part (browsers do, and Hawser clients with the same option). Default
   * `"off"`: see docs/compression.md for when to switch it on, and for what it may give away.
   */
  readonly compression?: CompressionProfile | CompressionOptions;
  /** Default: `console`. */
  readonly logger?: Logger;
  /** What the server reports to: metrics, traces, logs. Default: nothing, which costs nothing. */
  readonly observer?: Observer | readonly Observer[];
}

/** {@link ServerOptions}, complete and checked. */
export interface ServerSettings extends LimitSettings {
  readonly session: SessionSettings;
  readonly routes: RouteTable;
  readonly interceptors: readonly Interceptor[];
  readonly callInterceptors: readonly Interceptor[];
  readonly authenticate: ((request: AuthRequest) => Identity | Promise<Identity>) | undefined;
  readonly authenticateAt: "hello" | "upgrade";
  readonly queryToken: string | undefined;
  readonly refreshBeforeMs: number;
  readonly checkSource: ReturnType<typeof createSourceCheck>;
  readonly trustedProxies: number;
  readonly httpFallback: boolean;
  readonly compression: CompressionSettings | undefined;
  readonly idempotencyStore: IdempotencyStore | undefined;
  readonly broker: Broker;
  readonly inspector: Inspection | undefined;
  readonly graceMs: number;
  readonly maxDetachedSessions: number;
  readonly maxDetachedBytes: number;
  readonly logger: Logger;
  readonly observer: Observer | undefined;
}

const KEYS = [
  "routes",
  "interceptors",
  "callInterceptors",
  "authenticate",
  "authenticateAt",
  "queryToken",
  "refreshBeforeMs",
  "allowedOrigins",
  "allowedHosts",
  "trustedProxies",
  "httpFallback",
  "idempotencyStore",
  "broker",
  "reflection",
  "inspector",
  "graceMs",
  "maxDetachedSessions",
  "maxDetachedBytes",
  "compression",
  "logger",
  "observer",
  ...LIMIT_KEYS,
  ...SESSION_OPTION_KEYS,
] as const;

/** Strangers get less time than servers that clients have chosen themselves. */
const HANDSHAKE_TIMEOUT_MS = 5_000;

/**
 * Checks options and fills in the defaults.
 *
 * @param ownRoutes Services of the server itself; what the user serves comes first.
 * @throws TypeError or RangeError that names the option.
 */
export function resolveServerOptions(options: ServerOptions, ownRoutes?: Routes): ServerSettings {
  checkKeys("createServer()", options, KEYS);
  if (typeof options.routes !== "function") {
    throw new TypeError("createServer() needs routes: (router) => router.service(MyService, { … })");
  }
  checkFunction("authenticate", options.authenticate);
  const { authenticateAt = "hello", queryToken } = options;
  const logger = options.logger === undefined ? console : guardedLogger(options.logger);
  if (authenticateAt !== "hello" && authenticateAt !== "upgrade") {
    throw new RangeError(`authenticateAt must be "hello" or "upgrade", not ${String(authenticateAt)}`);
  }
  if (queryToken !== undefined && (typeof queryToken !== "string" || queryToken === "")) {
    throw new TypeError("queryToken must be the name of a query parameter");
  }
  const { reflection = process.env["NODE_ENV"] !== "production" } = options;
  if (typeof reflection !== "boolean")
    throw new TypeError(`reflection must be true or false, not ${String(reflection)}`);
  const inspector = inspectionOf(options.inspector, options.authenticate !== undefined);
  const trustedProxies = checkInteger("trustedProxies", options.trustedProxies ?? 0, 0);
  const { httpFallback = true } = options;
  if (typeof httpFallback !== "boolean")
    throw new TypeError(`httpFallback must be true or false, not ${String(httpFallback)}`);
  const routes: RouteTable = collectRoutes(options.routes, (router) => {
    ownRoutes?.(router);
    inspector?.routes(router);
    if (reflection) reflectionRoutes(() => routes)(router);
  });
  const missing = "give createServer() an idempotencyStore, such as memoryIdempotencyStore()";
  checkStore(routes, options.idempotencyStore, missing);
  if (queryToken !== undefined) {
    logger.warn(
      `hawser: tokens are taken from the query (${queryToken}); URLs end up in the logs of servers and proxies`,
    );
  }
  return {
    ...resolveLimits(options),
    session: resolveSettings({ handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS, ...options }),
    routes,
    interceptors: options.interceptors ?? [],
    callInterceptors: options.callInterceptors ?? [],
    authenticate: options.authenticate,
    authenticateAt,
    queryToken,
    refreshBeforeMs: checkDuration("refreshBeforeMs", options.refreshBeforeMs ?? 30_000),
    checkSource: createSourceCheck(options.allowedOrigins, options.allowedHosts, trustedProxies > 0),
    httpFallback,
    trustedProxies,
    compression: resolveCompression(options.compression),
    idempotencyStore: options.idempotencyStore,
    broker: checkBroker(options.broker) ?? memoryBroker(),
    inspector,
    graceMs: checkDuration("graceMs", options.graceMs ?? 60_000),
    maxDetachedSessions: checkInteger("maxDetachedSessions", options.maxDetachedSessions ?? 10_000, 0),
    maxDetachedBytes: checkInteger("maxDetachedBytes", options.maxDetachedBytes ?? 256 * 1024 * 1024, 0),
    logger,
    observer: observerOf(options, inspector, logger),
  };
}

function observerOf(
  { observer }: ServerOptions,
  inspector: Inspection | undefined,
  logger: Logger,
): Observer | undefined {
  // Alone it needs no guard around each call, which would cost more than it does itself.
  if (observer === undefined) return inspector?.observer;
  const all = [observer, inspector?.observer ?? []].flat();
  return combineObservers(all, (error) => logger.error("hawser: an observer failed:", error));
}

/** A log that fails has nowhere to say so, and what was to be logged must not come to harm by it. */
function guardedLogger(logger: Logger): Logger {
  const guarded =
    (level: keyof Logger) =>
    (message: string, ...details: unknown[]): void => {
      try {
        logger[level](message, ...details);
      } catch {
        // See above.
      }
    };
  return { warn: guarded("warn"), error: guarded("error") };
}

function checkBroker(broker: Broker | undefined): Broker | undefined {
  if (broker !== undefined && typeof (broker as Partial<Broker> | null)?.follow !== "function") {
    throw new TypeError("broker must be what memoryBroker() or natsBroker() returns");
  }
  return broker;
}
