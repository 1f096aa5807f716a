/**
 * Messages of a trunk: a WebSocket that carries several links, each with a lane of its own. The schema is
 * `hawser.v1.Carried`; a packet is carried as it is, without a look into it.
 */

import { readCloseReason } from "../base/close-reason.js";
import type { EncodedPacket } from "./encode.js";
import { malformed } from "./error.js";
import { cursor, readSpan, readTag, readUint32, skipField } from "./read.js";
import { uint32Bytes, uintBytes, writeUint } from "./varint.js";

/** WebSocket subprotocol of trunks. */
export const TRUNK_SUBPROTOCOL = "hawser.trunk.v1";

/** A carried packet is longer than the packet alone by at most this many bytes: two tags, a uint32 and a length. */
export const CARRIED_BYTES = 16;

/** Room that is left for the head of a WebSocket frame, as packets leave it. */
const ROOM_BYTES = 10;

const LANE = 0x08;
const PACKET = 0x12;
const CLOSED = 0x1a;
const CODE = 0x08;
const REASON = 0x12;

/** A message of a trunk. */
export type Carried =
  | { readonly kind: "packet"; readonly lane: number; readonly packet: Uint8Array }
  | { readonly kind: "closed"; readonly lane: number; readonly code: number; readonly reason: string };

/**
 * A packet as a message of a trunk.
 *
 * @param lane 1 to 2^32-1
 * @param allocate gives memory whose content does not matter
 */
export function carryPacket(
  lane: number,
  packet: Pick<EncodedPacket, "head" | "body" | "plain">,
  allocate: (bytes: number) => Uint8Array,
): EncodedPacket {
  const { head, body, plain } = packet;
  const length = head.length + (body?.length ?? 0);
  const own = 2 + uint32Bytes(lane) + uintBytes(length);
  const buffer = allocate(ROOM_BYTES + own + head.length);
  const at = writePacketHead(buffer, ROOM_BYTES, lane, length);
  buffer.set(head, at);
  return { head: buffer.subarray(ROOM_BYTES), body, bytes: own + length, room: ROOM_BYTES, plain };
}

/** The same for a packet in one piece, as one message. */
export function carryBytes(lane: number, packet: Uint8Array): Uint8Array<ArrayBuffer> {
  const own = 2 + uint32Bytes(lane) + uintBytes(packet.length);
  const message = new Uint8Array(own + packet.length);
  message.set(packet, writePacketHead(message, 0, lane, packet.length));
  return message;
}

/** A message that closes a lane. */
export function carryClose(lane: number, code: number, reason: string): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(reason);
  const inner = 2 + uint32Bytes(code) + uintBytes(text.length) + text.length;
  const message = new Uint8Array(2 + uint32Bytes(lane) + uintBytes(inner) + inner);
  message[0] = LANE;
  let at = writeUint(message, 1, lane);
  message[at] = CLOSED;
  at = writeUint(message, at + 1, inner);
  message[at] = CODE;
  at = writeUint(message, at + 1, code);
  message[at] = REASON;
  at = writeUint(message, at + 1, text.length);
  message.set(text, at);
  return message;
}

/**
 * Reads a message of a trunk. The packet is a view of the message.
 *
 * @throws WireError (1007) when it is none, or names no lane.
 */
export function readCarried(bytes: Uint8Array): Carried {
  const end = bytes.length;
  let lane = 0;
  let packet: Uint8Array | undefined;
  let closed: { code: number; reason: string } | undefined;
  let pos = 0;
  while (pos < end) {
    const tag = readTag(bytes, pos, end);
    pos = cursor;
    if (tag === LANE) {
      lane = readUint32(bytes, pos, end);
      pos = cursor;
    } else if (tag === PACKET || tag === CLOSED) {
      const stop = readSpan(bytes, pos, end);
      const start = cursor;
      // Of several, the last one counts.
      packet = tag === PACKET ? bytes.subarray(start, stop) : undefined;
      closed = tag === CLOSED ? readClosed(bytes, start, stop) : undefined;
      pos = stop;
    } else {
      pos = skipField(bytes, pos, end, tag, 1);
    }
  }
  if (lane === 0) throw malformed("no lane", 0);
  if (packet !== undefined) return { kind: "packet", lane, packet };
  if (closed !== undefined) return { kind: "closed", lane, ...closed };
  throw malformed("neither a packet nor the end of a lane", end);
}

function readClosed(bytes: Uint8Array, start: number, end: number): { code: number; reason: string } {
  let code = 0;
  let reason = "";
  let pos = start;
  while (pos < end) {
    const tag = readTag(bytes, pos, end);
    pos = cursor;
    if (tag === CODE) {
      code = readUint32(bytes, pos, end);
      pos = cursor;
    } else if (tag === REASON) {
      const stop = readSpan(bytes, pos, end);
      reason = readCloseReason(bytes.subarray(cursor, stop));
      pos = stop;
    } else {
      pos = skipField(bytes, pos, end, tag, 2);
    }
  }
  return { code, reason };
}

function writePacketHead(into: Uint8Array, start: number, lane: number, length: number): number {
  into[start] = LANE;
  const at = writeUint(into, start + 1, lane);
  into[at] = PACKET;
  return writeUint(into, at + 1, length);
}
