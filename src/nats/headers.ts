import { headers, type Msg, type MsgHdrs } from "@nats-io/transport-node";

/** The key of a publication, as JSON: so it has no line ends, and no blanks at its ends that would be cut off. */
const KEY = "Hawser-Key";

/** Who published, and how often before: `<run>.<count>`. */
const FROM = "Hawser-From";

const MESSAGE_ID = "Nats-Msg-Id";

/** Headers of a publication with history. */
export function storedHeaders(id: string, key: string): MsgHdrs {
  const made = headers();
  made.set(MESSAGE_ID, id);
  if (key !== "") made.set(KEY, JSON.stringify(key));
  return made;
}

/** Headers of a publication without. */
export function plainHeaders(run: string, count: number, key: string): MsgHdrs {
  const made = headers();
  made.set(FROM, `${run}.${count}`);
  if (key !== "") made.set(KEY, JSON.stringify(key));
  return made;
}

/** The publisher's run and its count, of a publication without history; `undefined` when it is not of ours. */
export function readFrom(message: Msg): { readonly run: string; readonly count: number } | undefined {
  const text = message.headers?.get(FROM) ?? "";
  const dot = text.lastIndexOf(".");
  const count = Number(text.slice(dot + 1));
  return dot > 0 && Number.isSafeInteger(count) && count > 0 ? { run: text.slice(0, dot), count } : undefined;
}

/** The key of a publication. */
export function readKey(found: MsgHdrs | undefined): string {
  return parseKey(found?.get(KEY) ?? "");
}

/** The key, out of headers as they are stored: text in which every line is one. */
export function keyInText(text: string): string {
  const start = text.indexOf(`\r\n${KEY}:`);
  if (start === -1) return "";
  const end = text.indexOf("\r\n", start + 2);
  return parseKey(text.slice(start + KEY.length + 3, end === -1 ? undefined : end).trim());
}

function parseKey(text: string): string {
  if (text === "") return "";
  try {
    const key: unknown = JSON.parse(text);
    return typeof key === "string" ? key : "";
  } catch {
    // Somebody else's header.
    return "";
  }
}

/** Its place in the stream, and that of the message before it on its subject, of a message that the stream has sent on. */
export function readSequences(
  message: Msg,
): { readonly sequence: number; readonly last: number } | undefined {
  const found = message.headers;
  const sequence = Number(found?.get("Nats-Sequence") ?? "");
  if (!Number.isSafeInteger(sequence) || sequence < 1) return undefined;
  return { sequence, last: Number(found?.get("Nats-Last-Sequence") ?? "") || 0 };
}

/** A payload that does not keep the bytes around it from being freed: the client's are parts of what the socket gave. */
export function ownPayload({ data }: Msg): Uint8Array {
  return data.byteLength === data.buffer.byteLength ? data : data.slice();
}
