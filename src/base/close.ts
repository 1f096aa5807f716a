/** What a client does after its link was closed with a code. */
export type AfterClose =
  /** Connects again at once: the way to the server has changed, and nothing is wrong with it. */
  | "atOnce"
  /** Connects again soon, at a random moment within the time that the server asked for. */
  | "reconnect"
  /** Connects again after exponential backoff. */
  | "backoff"
  /** Asks its `credentials` function anew and connects again; gives up when that does not help, or there is none. */
  | "reauthenticate"
  /** Connects again when there is a call to make. */
  | "wait"
  /** Gives up: the connection is closed and the error surfaces. */
  | "stop";

/** Close codes by their names in `close-table.ts`, which says what each means. */
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
  idle: 4411,
  moved: 4421,
  tooMany: 4429,
} as const;

/** Codes after which the client does not back off. */
const AFTER: Readonly<Record<number, AfterClose>> = {
  [CloseCode.normal]: "stop",
  [CloseCode.goingAway]: "reconnect",
  [CloseCode.textMessage]: "stop",
  [CloseCode.policy]: "stop",
  [CloseCode.restart]: "reconnect",
  [CloseCode.badHello]: "stop",
  [CloseCode.unauthenticated]: "reauthenticate",
  [CloseCode.permissionDenied]: "stop",
  [CloseCode.replaced]: "stop",
  [CloseCode.idle]: "wait",
  [CloseCode.moved]: "atOnce",
};

/** What the client does after a close with this code. Codes that are not in the table: back off. */
export function afterClose(code: number): AfterClose {
  return AFTER[code] ?? "backoff";
}
