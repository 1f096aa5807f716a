import { checkDuration, checkFunction, checkInteger, checkKeys } from "../base/check.js";
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

/** What `authenticate` gets to see. */
export interface AuthRequest {
  /** What the client's `credentials` gave; `""` when it gave nothing. */
  readonly credentials: string;
  /** HTTP headers of the upgrade request, lower-case names. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Path and query of the upgrade request. */
  readonly url: string;
  readonly remoteAddress: string | undefined;
}

/** Where the server reports what is no call's own matter. `console` is one. */
export interface Logger {
  warn(message: string, ...details: unknown[]): void;
  error(message: string, ...details: unknown[]): void;
}

/** Options of `createServer`. Those of the session (timers, limits) are given beside them. */
export interface ServerOptions extends SessionOptions {
  /** The services. */
  readonly routes: Routes;
  /** For all calls that the server answers. */
  readonly interceptors?: readonly Interceptor[];
  /** For all calls that the server makes to its clients. */
  readonly callInterceptors?: readonly Interceptor[];
  /**
   * Finds out who a client is, at every connection, resumed or not. Throw an `RpcError` with UNAUTHENTICATED or
   * PERMISSION_DENIED to turn it away. Default: everybody is let in without an identity.
   */
  readonly authenticate?: (request: AuthRequest) => Identity | Promise<Identity>;
  /**
   * Where handlers keep what has run under an idempotency key: `memoryIdempotencyStore()`, `sqliteIdempotencyStore()`.
   * Without it, calls with a key are refused, and methods with `option (hawser.v1.once) = true` cannot be served.
   */
  readonly idempotencyStore?: IdempotencyStore | undefined;
  /** How long a session is kept without a link, in milliseconds. Default 60,000. */
  readonly graceMs?: number;
  /** Sessions without a link that are kept; beyond, the oldest goes first. Default 10,000. */
  readonly maxDetachedSessions?: number;
  /** What sessions without a link may hold together, in bytes; beyond, the oldest goes first. Default 256 MiB. */
  readonly maxDetachedBytes?: number;
  /** Default: `console`. */
  readonly logger?: Logger;
}

/** {@link ServerOptions}, complete and checked. */
export interface ServerSettings {
  readonly session: SessionSettings;
  readonly routes: RouteTable;
  readonly interceptors: readonly Interceptor[];
  readonly callInterceptors: readonly Interceptor[];
  readonly authenticate: ((request: AuthRequest) => Identity | Promise<Identity>) | undefined;
  readonly idempotencyStore: IdempotencyStore | undefined;
  readonly graceMs: number;
  readonly maxDetachedSessions: number;
  readonly maxDetachedBytes: number;
  readonly logger: Logger;
}

const KEYS = [
  "routes",
  "interceptors",
  "callInterceptors",
  "authenticate",
  "idempotencyStore",
  "graceMs",
  "maxDetachedSessions",
  "maxDetachedBytes",
  "logger",
  ...SESSION_OPTION_KEYS,
] as const;

/**
 * Checks options and fills in the defaults.
 *
 * @throws TypeError or RangeError that names the option.
 */
export function resolveServerOptions(options: ServerOptions): ServerSettings {
  checkKeys("createServer()", options, KEYS);
  if (typeof options.routes !== "function") {
    throw new TypeError("createServer() needs routes: (router) => router.service(MyService, { … })");
  }
  checkFunction("authenticate", options.authenticate);
  const routes = collectRoutes(options.routes);
  const missing = "give createServer() an idempotencyStore, such as memoryIdempotencyStore()";
  checkStore(routes, options.idempotencyStore, missing);
  return {
    session: resolveSettings(options),
    routes,
    interceptors: options.interceptors ?? [],
    callInterceptors: options.callInterceptors ?? [],
    authenticate: options.authenticate,
    idempotencyStore: options.idempotencyStore,
    graceMs: checkDuration("graceMs", options.graceMs ?? 60_000),
    maxDetachedSessions: checkInteger("maxDetachedSessions", options.maxDetachedSessions ?? 10_000, 0),
    maxDetachedBytes: checkInteger("maxDetachedBytes", options.maxDetachedBytes ?? 256 * 1024 * 1024, 0),
    logger: options.logger ?? console,
  };
}
