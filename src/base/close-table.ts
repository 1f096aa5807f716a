import type { CloseCode } from "./close.js";

/** One row of the table of close codes. */
export interface CloseRow {
  readonly name: keyof typeof CloseCode;
  /** Who sends it. */
  readonly by: "client" | "server" | "both" | "nobody";
  readonly meaning: string;
}

/**
 * Every close code that Hawser sends or obeys: RFC 6455 section 7.4 and the application range 4400 to 4499, whose
 * last two digits follow HTTP's status codes where there is one.
 */
export const CLOSE_TABLE: readonly CloseRow[] = [
  {
    name: "normal",
    by: "client",
    meaning: "The client closed the connection and its session.",
  },
  {
    name: "goingAway",
    by: "both",
    meaning: "The server is shutting down, or the page was left.",
  },
  {
    name: "protocolError",
    by: "both",
    meaning: "A rule of the protocol was broken; the session is over.",
  },
  {
    name: "textMessage",
    by: "both",
    meaning: "A text message arrived; Hawser speaks binary only.",
  },
  {
    name: "noStatus",
    by: "nobody",
    meaning: "The other side closed without a code.",
  },
  {
    name: "abnormal",
    by: "nobody",
    meaning: "The link broke without a closing handshake.",
  },
  {
    name: "malformed",
    by: "both",
    meaning: "A packet could not be decoded; nothing of it was used.",
  },
  {
    name: "policy",
    by: "server",
    meaning: "The server does not want this client; the reason says why.",
  },
  {
    name: "tooBig",
    by: "both",
    meaning: "A packet was larger than the limit.",
  },
  { name: "internal", by: "server", meaning: "A fault in the server." },
  { name: "restart", by: "server", meaning: "The server restarts." },
  {
    name: "tryLater",
    by: "server",
    meaning: "The server has no room for another connection now.",
  },
  {
    name: "badHello",
    by: "server",
    meaning: "The first packet was not a Hello of a version this server speaks.",
  },
  {
    name: "unauthenticated",
    by: "server",
    meaning: "Credentials are missing, wrong or expired.",
  },
  {
    name: "permissionDenied",
    by: "server",
    meaning: "The credentials are good, but not for this server or this session.",
  },
  {
    name: "handshakeTimeout",
    by: "both",
    meaning: "No Hello, or no Welcome, within the handshake time.",
  },
  {
    name: "replaced",
    by: "server",
    meaning: "The session went on over another link.",
  },
  {
    name: "silent",
    by: "both",
    meaning: "Nothing was heard in time: no answer to a ping, or no acknowledgement.",
  },
  {
    name: "idle",
    by: "server",
    meaning: "No call was made for the idle time; the session is kept for the grace time.",
  },
  {
    name: "moved",
    by: "nobody",
    meaning: "The tab or worker that held a shared connection is gone; the link goes on through another.",
  },
  {
    name: "tooMany",
    by: "server",
    meaning: "Too much of something: sessions of one identity, or frames that cost the sender nothing.",
  },
];
