/** What a client does after its link was closed with a code. */
export type AfterClose =
  /** Connects again at once (within the jitter the server asked for). */
  | "reconnect"
  /** Connects again after exponential backoff. */
  | "backoff"
  /** Gives up: the connection is closed and the error surfaces. */
  | "stop";

/** One row of the table of close codes. */
export interface CloseRow {
  readonly code: number;
  readonly name: string;
  /** Who sends it. */
  readonly by: "client" | "server" | "both" | "nobody";
  readonly after: AfterClose;
  readonly meaning: string;
}

/**
 * Every close code that Hawser sends or obeys: RFC 6455 section 7.4 and the application range 4400 to 4499, whose
 * last two digits follow HTTP's status codes where there is one.
 */
export const CLOSE_TABLE: readonly CloseRow[] = [
  {
    code: 1000,
    name: "normal",
    by: "client",
    after: "stop",
    meaning: "The client closed the connection and its session.",
  },
  {
    code: 1001,
    name: "goingAway",
    by: "both",
    after: "reconnect",
    meaning: "The server is shutting down, or the page was left.",
  },
  {
    code: 1002,
    name: "protocolError",
    by: "both",
    after: "backoff",
    meaning: "A rule of the protocol was broken; the session is over.",
  },
  {
    code: 1003,
    name: "textMessage",
    by: "both",
    after: "stop",
    meaning: "A text message arrived; Hawser speaks binary only.",
  },
  {
    code: 1005,
    name: "noStatus",
    by: "nobody",
    after: "backoff",
    meaning: "The other side closed without a code.",
  },
  {
    code: 1006,
    name: "abnormal",
    by: "nobody",
    after: "backoff",
    meaning: "The link broke without a closing handshake.",
  },
  {
    code: 1007,
    name: "malformed",
    by: "both",
    after: "backoff",
    meaning: "A packet could not be decoded; nothing of it was used.",
  },
  {
    code: 1008,
    name: "policy",
    by: "server",
    after: "stop",
    meaning: "The server does not want this client; the reason says why.",
  },
  {
    code: 1009,
    name: "tooBig",
    by: "both",
    after: "backoff",
    meaning: "A packet was larger than the limit.",
  },
  { code: 1011, name: "internal", by: "server", after: "backoff", meaning: "A fault in the server." },
  { code: 1012, name: "restart", by: "server", after: "reconnect", meaning: "The server restarts." },
  {
    code: 1013,
    name: "tryLater",
    by: "server",
    after: "backoff",
    meaning: "The server has no room for another connection now.",
  },
  {
    code: 4400,
    name: "badHello",
    by: "server",
    after: "stop",
    meaning: "The first packet was not a Hello of a version this server speaks.",
  },
  {
    code: 4401,
    name: "unauthenticated",
    by: "server",
    after: "stop",
    meaning: "Credentials are missing, wrong or expired.",
  },
  {
    code: 4403,
    name: "permissionDenied",
    by: "server",
    after: "stop",
    meaning: "The credentials are good, but not for this server or this session.",
  },
  {
    code: 4408,
    name: "handshakeTimeout",
    by: "both",
    after: "backoff",
    meaning: "No Hello, or no Welcome, within the handshake time.",
  },
  {
    code: 4409,
    name: "replaced",
    by: "server",
    after: "stop",
    meaning: "The session went on over another link.",
  },
  {
    code: 4410,
    name: "silent",
    by: "both",
    after: "backoff",
    meaning: "Nothing was heard in time: no answer to a ping, or no acknowledgement.",
  },
];

/** Close codes by their names in {@link CLOSE_TABLE}. */
export const CloseCode = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  textMessage: 1003,
  noStatus: 1005,
  abnormal: 1006,
  malformed: 1007,
  policy: 1008,
  tooBig: 1009,
  internal: 1011,
  restart: 1012,
  tryLater: 1013,
  badHello: 4400,
  unauthenticated: 4401,
  permissionDenied: 4403,
  handshakeTimeout: 4408,
  replaced: 4409,
  silent: 4410,
} as const;

/** What the client does after a close with this code. Codes that are not in the table: back off. */
export function afterClose(code: number): AfterClose {
  return CLOSE_TABLE.find((row) => row.code === code)?.after ?? "backoff";
}
