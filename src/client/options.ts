import { checkDuration, checkFunction, checkInteger, checkKeys } from "../base/check.js";
import { combineObservers, type Observer } from "../base/observer.js";
import type { CompressionOptions, CompressionProfile } from "../compression/settings.js";
import { checkStore } from "../idempotency/check.js";
import { type RetryOptions, type RetrySettings, resolveRetryOptions } from "../retry/options.js";
import type { HandlerErrorLog } from "../rpc/answer.js";
import { collectRoutes, type Routes, type RouteTable } from "../rpc/router.js";
import type { Interceptor } from "../rpc/transport.js";
import {
  resolveSettings,
  SESSION_OPTION_KEYS,
  type SessionOptions,
  type SessionSettings,
} from "../session/settings.js";
import type { FallbackOptions } from "./detour.js";

/** How a connection comes back after a break. */
export interface ReconnectOptions {
  /** Upper bound of the first delay, in milliseconds. The delay is random between 0 and the bound (full jitter). Default 1,000. */
  readonly initialDelayMs?: number;
  /** The bound doubles with every attempt, up to this many milliseconds. Default 30,000. */
  readonly maxDelayMs?: number;
  /** A link that stood this long makes the bound start over, in milliseconds. Default 5,000. */
  readonly stableAfterMs?: number;
  /**
   * Attempts in a row that may fail before the connection is closed and its calls fail with UNAVAILABLE. Default
   * `Infinity`: never; calls still fail by their deadline, or after `maxWaitMs`.
   */
  readonly maxAttempts?: number;
}

/** TLS of `wss:` URLs, as in `tls.connect`. Node only; browsers have their own store of certificates. */
export interface TlsOptions {
  /** Certificates of authorities to trust instead of the usual ones, in PEM. */
  readonly ca?: string | Uint8Array | readonly (string | Uint8Array)[];
  /** Certificate of this client with its chain, and its key, in PEM, for servers that ask for one. */
  readonly cert?: string | Uint8Array;
  readonly key?: string | Uint8Array;
  readonly passphrase?: string;
  /** Name that the server's certificate must have. Default: the host of the URL. */
  readonly servername?: string;
  /** `false` trusts any certificate: for tests only, since anybody on the way can then read and change everything. */
  readonly rejectUnauthorized?: boolean;
}

/** Where the credentials travel. */
export type CredentialsIn = "hello" | "subprotocol" | "header";

/** Options of `connect`. Those of the session (timers, limits) are given beside them. */
export interface ConnectOptions extends SessionOptions {
  /**
   * What the server's authentication asks for, a bearer token as a rule; a function is called before every connection
   * and may return a promise. It is called again when the server asks for fresh ones, and once more when the server has
   * closed with 4401. Sent inside the first packet, not in the URL. Default: none.
   */
  readonly credentials?: string | (() => string | Promise<string>);
  /**
   * Where the credentials travel when the link is opened. `"hello"` (the default): in the first packet only. For gateways
   * that check a bearer token before they let a WebSocket through, also in the upgrade request: `"subprotocol"` offers
   * `hawser.bearer.` and the token, in base64url, as a subprotocol, which browsers can do; `"header"` sends
   * `Authorization: Bearer`, which only Node can.
   */
  readonly credentialsIn?: CredentialsIn;
  /**
   * How packets are compressed, where the server takes part. Node only: browsers offer it by themselves. Default `"off"`; see
   * docs/compression.md.
   */
  readonly compression?: CompressionProfile | CompressionOptions;
  /** TLS of `wss:` URLs. Node only. */
  readonly tls?: TlsOptions;
  /** Services that this client serves to the server. */
  readonly routes?: Routes;
  /** For all calls of this client. */
  readonly interceptors?: readonly Interceptor[];
  /** For all calls that this client answers. */
  readonly handlerInterceptors?: readonly Interceptor[];
  /** How the connection comes back. */
  readonly reconnect?: ReconnectOptions;
  /**
   * How calls are attempted again; `false`: only those that certainly did not run. Default: calls of methods that the
   * schema marks IDEMPOTENT or NO_SIDE_EFFECTS, and calls with an idempotency key, have up to five attempts.
   */
  readonly retry?: RetryOptions | false;
  /** What the connection reports to: metrics, traces, logs. Default: nothing, which costs nothing. */
  readonly observer?: Observer | readonly Observer[];
  /** Calls that may wait for a connection; more fail with RESOURCE_EXHAUSTED. Default 1,000. */
  readonly maxWaitingCalls?: number;
  /** Longest time that a call waits for a connection before it fails with UNAVAILABLE, in milliseconds. Default 30,000. */
  readonly maxWaitMs?: number;
  /** Told of what handlers of this client throw. Default: `console.error`. */
  readonly onHandlerError?: (error: unknown, method: string) => void;
  /** HTTP headers of the upgrade request. Node only; browsers do not allow them. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Whether the connection goes over HTTP requests while WebSockets do not get through, and the server answers over HTTP; see
   * docs/fallback.md. Default: yes. `false`: never.
   */
  readonly fallback?: boolean | FallbackOptions;
}

const CREDENTIALS_IN: readonly CredentialsIn[] = ["hello", "subprotocol", "header"];

/** {@link ConnectOptions}, complete and checked. */
export interface ConnectSettings {
  readonly session: SessionSettings;
  readonly credentials: () => string | Promise<string>;
  /** Whether asking for credentials again may give others. */
  readonly renewable: boolean;
  readonly credentialsIn: CredentialsIn;
  readonly routes: RouteTable;
  readonly interceptors: readonly Interceptor[];
  readonly handlerInterceptors: readonly Interceptor[];
  readonly reconnect: Required<ReconnectOptions>;
  readonly retry: RetrySettings;
  readonly observer: Observer | undefined;
  readonly maxWaitingCalls: number;
  readonly maxWaitMs: number;
  readonly onHandlerError: (error: unknown, method: string) => void;
  readonly headers: Readonly<Record<string, string>>;
  /** `undefined`: WebSockets only. */
  readonly fallback: Required<FallbackOptions> | undefined;
}

const KEYS = [
  "credentials",
  "credentialsIn",
  "tls",
  "compression",
  "routes",
  "interceptors",
  "handlerInterceptors",
  "reconnect",
  "retry",
  "observer",
  "maxWaitingCalls",
  "maxWaitMs",
  "onHandlerError",
  "headers",
  "fallback",
  ...SESSION_OPTION_KEYS,
] as const;

/**
 * Checks options and fills in the defaults.
 *
 * @throws TypeError or RangeError that names the option.
 */
export function resolveConnectOptions(options: ConnectOptions): ConnectSettings {
  checkKeys("connect()", options, KEYS);
  const { credentials, reconnect = {} } = options;
  checkKeys("connect() reconnect", reconnect, [
    "initialDelayMs",
    "maxDelayMs",
    "stableAfterMs",
    "maxAttempts",
  ]);
  if (credentials !== undefined && typeof credentials !== "string" && typeof credentials !== "function") {
    throw new TypeError(
      `credentials must be a string or a function that gives one, not ${typeof credentials}`,
    );
  }
  const { credentialsIn = "hello" } = options;
  if (!CREDENTIALS_IN.includes(credentialsIn)) {
    throw new RangeError(
      `credentialsIn must be one of ${CREDENTIALS_IN.join(", ")}, not ${String(credentialsIn)}`,
    );
  }
  checkFunction("routes", options.routes);
  checkFunction("onHandlerError", options.onHandlerError);
  const maxAttempts = reconnect.maxAttempts ?? Number.POSITIVE_INFINITY;
  if (maxAttempts !== Number.POSITIVE_INFINITY) checkInteger("reconnect.maxAttempts", maxAttempts, 1);
  const initialDelayMs = checkDuration("reconnect.initialDelayMs", reconnect.initialDelayMs ?? 1_000);
  const routes = collectRoutes(options.routes);
  checkStore(routes, undefined, "only servers can serve it, since they keep the keys");
  return {
    session: resolveSettings(options),
    credentials: typeof credentials === "function" ? credentials : () => credentials ?? "",
    renewable: typeof credentials === "function",
    credentialsIn,
    routes,
    retry: resolveRetryOptions(options.retry),
    observer: combineObservers(options.observer, (error) => {
      // biome-ignore lint/suspicious/noConsole: a connection has no other log.
      console.error("hawser: an observer failed:", error);
    }),
    interceptors: options.interceptors ?? [],
    handlerInterceptors: options.handlerInterceptors ?? [],
    reconnect: {
      initialDelayMs,
      maxDelayMs: Math.max(
        initialDelayMs,
        checkDuration("reconnect.maxDelayMs", reconnect.maxDelayMs ?? 30_000),
      ),
      stableAfterMs: checkDuration("reconnect.stableAfterMs", reconnect.stableAfterMs ?? 5_000),
      maxAttempts,
    },
    maxWaitingCalls: checkInteger("maxWaitingCalls", options.maxWaitingCalls ?? 1_000, 0),
    maxWaitMs: checkDuration("maxWaitMs", options.maxWaitMs ?? 30_000, true),
    onHandlerError: handlerErrorLog(options.onHandlerError),
    headers: options.headers ?? {},
    fallback: resolveFallback(options.fallback),
  };
}

function handlerErrorLog(given: HandlerErrorLog | undefined): HandlerErrorLog {
  return (error, method) => {
    try {
      if (given !== undefined) return given(error, method);
      // biome-ignore lint/suspicious/noConsole: the documented default.
      console.error(`hawser: the handler of ${method} failed:`, error);
    } catch (fault) {
      // biome-ignore lint/suspicious/noConsole: a connection has no other log.
      console.error("hawser: onHandlerError failed:", fault);
    }
  };
}

function resolveFallback(fallback: boolean | FallbackOptions = true): Required<FallbackOptions> | undefined {
  if (fallback === false) return undefined;
  const options = fallback === true ? {} : fallback;
  if (typeof options !== "object" || options === null)
    throw new TypeError(`fallback must be true, false or options, not ${String(options)}`);
  checkKeys("connect() fallback", options, ["retryWebSocketMs"]);
  const retryWebSocketMs = checkDuration(
    "fallback.retryWebSocketMs",
    options.retryWebSocketMs ?? 15_000,
    true,
  );
  return { retryWebSocketMs };
}

/**
 * Checks a WebSocket URL; `http:` and `https:` are taken for `ws:` and `wss:`.
 *
 * @throws TypeError when it is none.
 */
export function checkUrl(url: string | URL): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw new TypeError(`connect() needs a full URL like "ws://localhost:8080/rpc", not "${String(url)}"`, {
      cause,
    });
  }
  if (parsed.protocol === "http:") parsed.protocol = "ws:";
  if (parsed.protocol === "https:") parsed.protocol = "wss:";
  if (parsed.protocol !== "ws:" && parsed.protocol !== "wss:") {
    // "localhost:8080" is a URL, too.
    const meant = /^[\w.-]+:\d+(\/|$)/.test(String(url)) ? `; write "ws://${String(url)}"` : "";
    throw new TypeError(`connect() speaks ws: and wss:, not ${parsed.protocol}${meant}`);
  }
  parsed.hash = "";
  return parsed.href;
}
