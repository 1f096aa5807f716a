import { parseCookie } from "cookie";
import { CloseCode } from "../base/close.js";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import { BEARER_SUBPROTOCOL } from "../driver/link.js";
import type { Identity } from "../rpc/context.js";
import type { ServerSettings } from "./options.js";

/** What `authenticate` gets to see. */
export interface AuthRequest {
  /** What the client's `credentials` gave, from its first packet or its answer to Refresh; `""` when it gave nothing. */
  readonly credentials: string;
  /**
   * The bearer token of the upgrade request: from `Authorization: Bearer`, else from the subprotocol `hawser.bearer.…`,
   * else from the query, where `queryToken` allows it.
   */
  readonly bearer: string | undefined;
  /** Cookies of the upgrade request. Check the origin where they count: see `allowedOrigins`. */
  readonly cookies: Readonly<Record<string, string | undefined>>;
  /** HTTP headers of the upgrade request, lower-case names. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Path and query of the upgrade request. */
  readonly url: string;
  /** Address of the client, as far as `trustedProxies` lets it be known. */
  readonly remoteAddress: string | undefined;
  /**
   * Why it is asked for: `"upgrade"`: before the WebSocket is there (`authenticateAt: "upgrade"`); `"connect"`: a first
   * packet has come, of a new session or of one that is to be resumed; `"refresh"`: fresh credentials for a link that is
   * up. The identity of `"upgrade"` is not asked for again at `"connect"`.
   */
  readonly reason: "upgrade" | "connect" | "refresh";
}

/** What is known of the request that a link came from. */
export interface UpgradeInfo {
  readonly headers: AuthRequest["headers"];
  readonly url: string;
  readonly remoteAddress: string | undefined;
}

/** Why a client is turned away. */
export interface Refusal {
  readonly closeCode: number;
  /** Status for an upgrade request. */
  readonly httpStatus: 401 | 403 | 500 | 503;
  readonly reason: string;
}

/**
 * Asks the user's `authenticate`.
 *
 * @param wallClock milliseconds since the epoch
 * @returns the identity; `undefined` when there is no such hook
 * @throws whatever the hook throws; {@link refusalOf} makes sense of it
 */
export async function authenticate(
  settings: ServerSettings,
  wallClock: number,
  info: UpgradeInfo,
  credentials: string,
  reason: AuthRequest["reason"],
): Promise<Identity | undefined> {
  if (settings.authenticate === undefined) return undefined;
  const { headers, url, remoteAddress } = info;
  let cookies: AuthRequest["cookies"] | undefined;
  const identity: unknown = await settings.authenticate({
    credentials,
    bearer: bearerOf(info, settings.queryToken),
    get cookies() {
      cookies ??= typeof headers["cookie"] === "string" ? parseCookie(headers["cookie"]) : {};
      return cookies;
    },
    headers,
    url,
    remoteAddress,
    reason,
  });
  checkIdentity(identity);
  if (identity.expiresAt !== undefined && identity.expiresAt <= wallClock) {
    throw new RpcError("the credentials have expired", Code.Unauthenticated);
  }
  return identity;
}

/** What a client is told when `authenticate` has thrown. */
export function refusalOf(error: unknown, settings: ServerSettings): Refusal {
  if (error instanceof RpcError) {
    const { code, rawMessage } = error;
    if (code === Code.Unauthenticated) {
      const reason = rawMessage || "unauthenticated";
      return { closeCode: CloseCode.unauthenticated, httpStatus: 401, reason };
    }
    if (code === Code.PermissionDenied) {
      const reason = rawMessage || "permission denied";
      return { closeCode: CloseCode.permissionDenied, httpStatus: 403, reason };
    }
    if (code === Code.Unavailable || code === Code.ResourceExhausted) {
      return { closeCode: CloseCode.tryLater, httpStatus: 503, reason: rawMessage || "try later" };
    }
  }
  settings.logger.error("hawser: authenticate() failed:", error);
  const reason = "authentication failed inside the server";
  return { closeCode: CloseCode.internal, httpStatus: 500, reason };
}

function checkIdentity(value: unknown): asserts value is Identity {
  const { id, expiresAt } = (value ?? {}) as Partial<Identity>;
  if (typeof value !== "object" || typeof id !== "string")
    throw new TypeError("authenticate() must return an identity with an id that is a string, or throw");
  if (expiresAt !== undefined && !Number.isFinite(expiresAt)) {
    throw new TypeError(`identity.expiresAt must be milliseconds since the epoch, not ${String(expiresAt)}`);
  }
}

/** The bearer token of an upgrade request (RFC 6750 section 2). */
function bearerOf({ headers, url }: UpgradeInfo, queryToken: string | undefined): string | undefined {
  const { authorization } = headers;
  if (typeof authorization === "string") {
    const [, token] = /^Bearer +(\S+) *$/i.exec(authorization) ?? [];
    if (token !== undefined) return token;
  }
  const offered = headers["sec-websocket-protocol"];
  for (const name of typeof offered === "string" ? offered.split(",") : []) {
    const subprotocol = name.trim();
    if (subprotocol.startsWith(BEARER_SUBPROTOCOL))
      return Buffer.from(subprotocol.slice(BEARER_SUBPROTOCOL.length), "base64url").toString();
  }
  if (queryToken === undefined) return undefined;
  const query = url.indexOf("?");
  return query < 0 ? undefined : (new URLSearchParams(url.slice(query)).get(queryToken) ?? undefined);
}
