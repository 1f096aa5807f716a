import type { ServerSession } from "./session.js";

/** Which limit a session without a link went over. */
export type EvictionLimit = "graceMs" | "maxDetachedSessions" | "maxDetachedBytes" | "maxSessionsPerIdentity";

/** Events of a `Server`, and what their listeners get. */
export interface ServerEvents {
  /** A client has a new session. */
  opened: { readonly session: ServerSession };
  /** The link of a session is gone; the session waits for its client. */
  detached: { readonly session: ServerSession; readonly code: number; readonly reason: string };
  /** The client has come back, and its session goes on. */
  resumed: {
    readonly session: ServerSession;
    /** How long there was no link, in milliseconds; 0 when the new one came before the old one was gone. */
    readonly downMs: number;
  };
  /** A session without a link had to go; `ended` follows. The longest detached goes first. */
  evicted: {
    readonly session: ServerSession;
    readonly limit: EvictionLimit;
    /** How long it had no link, in milliseconds. */
    readonly detachedMs: number;
    /** What it held, in bytes, about. */
    readonly bytes: number;
  };
  /** A session is over, and its calls have failed. */
  ended: {
    readonly session: ServerSession;
    /** Who ended it: the client by closing, the server, a rule of the protocol that was broken, or a limit. */
    readonly by: "client" | "server" | "violation" | "eviction";
    readonly message: string;
  };
}

/** Why a session ended. */
export type EndedBy = ServerEvents["ended"]["by"];
