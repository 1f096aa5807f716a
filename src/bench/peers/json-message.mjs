// The message as peers without schemas send it, after protobuf's own JSON mapping: 64-bit numbers as text, bytes in base64. Each
// end has the typed message in hand: numbers, text and bytes.
import { NAME } from "../payload.ts";

/** A message with this id, ready for JSON. */
export function toJson(id, body) {
  return { id: id.toString(), name: NAME, body: base64(body) };
}

/** What JSON has carried, as a typed message. */
export function fromJson({ id, name, body }) {
  return { id: BigInt(id), name, body: Buffer.from(body, "base64") };
}

/** The server's part: takes the message as its users want it, and gives it back. */
export function echoJson(received) {
  const { id, name, body } = fromJson(received);
  return { id: id.toString(), name, body: base64(body) };
}

/** Whether this is the message with this id and a body of this length. */
export function isMessage({ id, body }, expectedId, bytes) {
  return id === BigInt(expectedId) && body.length === bytes;
}

function base64(bytes) {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
