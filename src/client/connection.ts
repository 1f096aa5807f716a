import type { LinkKind } from "../base/observer.js";
import type { Transport } from "../rpc/transport.js";

/** Where a connection stands. */
export type ConnectionState =
  /** Never open so far; the first attempts are under way. */
  | "connecting"
  /** Calls go out. */
  | "open"
  /** The link broke; calls in flight wait for it to come back. */
  | "reconnecting"
  /** The server is going away: calls in flight finish, new ones wait for the next link. */
  | "draining"
  /** The server closed the link for want of calls; the next call opens another one. */
  | "idle"
  /** For good. */
  | "closed";

/** Events of a {@link Connection}, and what their listeners get. */
export interface ConnectionEvents {
  /** The state has changed. */
  state: { readonly state: ConnectionState; readonly previous: ConnectionState };
  /** An attempt failed or the link broke; the next attempt comes after a delay. */
  reconnecting: {
    /** 1, 2, 3 …, since the link was stable. */
    readonly attempt: number;
    readonly delayMs: number;
    /** Close code of RFC 6455 or Hawser's own. */
    readonly code: number;
    readonly reason: string;
  };
  /** The session went on after a break: calls in flight did not notice. */
  resumed: {
    /** Packets that this side wrote again. */
    readonly resent: number;
    readonly attempts: number;
    /** How long there was no link, in milliseconds. */
    readonly downMs: number;
  };
  /** The server no longer had the session: calls that were in flight have failed, a new session has begun. */
  lost: { readonly attempts: number; readonly downMs: number };
  /** The connection is closed for good. */
  closed: { readonly code: number; readonly reason: string };
}

/** A connection to a server: a {@link Transport} that comes back by itself. */
export interface Connection extends Transport {
  readonly state: ConnectionState;
  /** The session's id in hexadecimal; `""` before the first. */
  readonly sessionId: string;
  /** What carries the connection at the moment; `undefined` without a link. */
  readonly linkKind: LinkKind | undefined;
  /** Last measured round-trip time in milliseconds; `undefined` before the first ping. */
  readonly rtt: number | undefined;
  /** Calls of both directions that have no outcome yet. */
  readonly callsInFlight: number;
  /** Adds a listener; returns how to remove it. */
  on<Name extends keyof ConnectionEvents>(
    name: Name,
    listener: (event: ConnectionEvents[Name]) => void,
  ): () => void;
  /**
   * Resolves when the connection is open; at once when it is.
   *
   * @throws RpcError UNAVAILABLE or UNAUTHENTICATED when it is closed, now or before it ever opens.
   */
  ready(): Promise<void>;
  /** Closes the connection and its session. Calls in flight fail with CANCELLED. Resolves when the link is gone. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
