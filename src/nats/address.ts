import { headers, type Msg, type MsgHdrs } from "@nats-io/transport-node";
import { type Address, REST } from "../broker/bus.js";
import { encodeToken } from "./subject.js";

/** The last part of an address as it is, as JSON, where its token differs: a token cannot always be read back. */
const LAST_PART = "Hawser-Last";

/**
 * Longest subject in bytes. A server closes the connection of whoever sends a line of more than 4,096 bytes, and subjects
 * of a request and its answers are in one.
 */
const MAX_SUBJECT = 3_500;

/** Where a message goes. */
export interface Destination {
  readonly subject: string;
  readonly headers: MsgHdrs | undefined;
}

/** @throws RangeError for an address of too many parts. */
export function destination(root: string, address: Address): Destination {
  const last = address.at(-1) ?? "";
  const token = encodeToken(last);
  const subject = checked(`${join(root, address.slice(0, -1))}.${token}`);
  if (token === last) return { subject, headers: undefined };
  const made = headers();
  made.set(LAST_PART, JSON.stringify(last));
  return { subject, headers: made };
}

/** The subject to listen at. */
export function listenSubject(root: string, address: Address): string {
  if (address.at(-1) === REST) return checked(`${join(root, address.slice(0, -1))}.*`);
  return destination(root, address).subject;
}

/** The last part of the address that a message was sent to; `undefined` when it is not of ours. */
export function lastPart(message: Msg): string | undefined {
  const token = message.subject.slice(message.subject.lastIndexOf(".") + 1);
  if (!token.includes("=")) return token;
  try {
    const part: unknown = JSON.parse(message.headers?.get(LAST_PART) ?? "");
    return typeof part === "string" && encodeToken(part) === token ? part : undefined;
  } catch {
    return undefined;
  }
}

function join(root: string, parts: Address): string {
  let subject = root;
  for (const part of parts) subject += `.${encodeToken(part)}`;
  return subject;
}

function checked(subject: string): string {
  if (subject.length <= MAX_SUBJECT) return subject;
  throw new RangeError(`an address may take ${MAX_SUBJECT} bytes as a subject, not ${subject.length}`);
}
