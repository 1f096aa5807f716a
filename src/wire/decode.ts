/**
 * Bytes to packets.
 *
 * One function per message of `wire.proto`. A field is known by its whole tag, number and wire type together, so a
 * known number with another wire type falls through to the unknown fields and is skipped like them. Each function
 * takes a `base`: the value of the same field that came before it in the same message, which protobuf merges with.
 * Lists of the base go on growing in the new value; copying them would let a hostile packet take quadratic time.
 */

import { decodeCancel, decodeCredit, decodeData, decodeEnd, decodeOpen } from "./decode-calls.js";
import {
  decodeGoAway,
  decodeHello,
  decodePing,
  decodePong,
  decodeRefresh,
  decodeWelcome,
} from "./decode-control.js";
import { beginEntries, FRAME, PACKET } from "./decode-entries.js";
import { decodeAttached, decodePosition, decodePublication } from "./decode-topics.js";
import { tooBig, WIRE_CLOSE, WireError } from "./error.js";
import type { Frame, Packet, UnknownFrame } from "./frame.js";
import { MAX_FRAMES_PER_PACKET } from "./limits.js";
import { cursor, readSpan, readTag, readUint, skipField } from "./read.js";

const UNKNOWN: UnknownFrame = { kind: "unknown" };

/**
 * Decodes one binary WebSocket message.
 *
 * Payloads, ids, epochs and detail values are views into `bytes`, so `bytes` must not be written to afterwards.
 * Throws a {@link WireError} and nothing else, whatever the bytes are. What the frames say (which calls exist, whether
 * the sequence number is due) is for the session and the calls to judge.
 */
export function decodePacket(bytes: Uint8Array): Packet {
  const end = bytes.length;
  let pos = 0;
  let seq = 0;
  let ack = 0;
  const frames: Frame[] = [];
  beginEntries();
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    switch (tag) {
      case 0x08:
        seq = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x10:
        ack = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x1a: {
        if (frames.length === MAX_FRAMES_PER_PACKET)
          throw tooBig(`more than ${MAX_FRAMES_PER_PACKET} frames`, pos);
        const frameEnd = readSpan(bytes, pos, end);
        frames.push(decodeFrame(bytes, cursor, frameEnd));
        pos = frameEnd;
        break;
      }
      default:
        pos = skipField(bytes, pos, end, tag, PACKET);
    }
  }
  return { seq, ack, frames };
}

/** The error for a text message, which no packet can be. */
export function textMessage(): WireError {
  return new WireError("text message where only binary ones are allowed", WIRE_CLOSE.text);
}

function decodeFrame(bytes: Uint8Array, start: number, end: number): Frame {
  let pos = start;
  let frame: Frame = UNKNOWN;
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    if ((tag & 7) !== 2 || tag > 0x72 || tag < 0x0a) {
      pos = skipField(bytes, pos, end, tag, FRAME);
      continue;
    }
    const kindEnd = readSpan(bytes, pos, end);
    pos = cursor;
    switch (tag >>> 3) {
      case 1:
        frame = decodeData(bytes, pos, kindEnd, frame.kind === "data" ? frame : undefined);
        break;
      case 2:
        frame = decodeOpen(bytes, pos, kindEnd, frame.kind === "open" ? frame : undefined);
        break;
      case 3:
        frame = decodeEnd(bytes, pos, kindEnd, frame.kind === "end" ? frame : undefined);
        break;
      case 4:
        frame = decodeCancel(bytes, pos, kindEnd, frame.kind === "cancel" ? frame : undefined);
        break;
      case 5:
        frame = decodeCredit(bytes, pos, kindEnd, frame.kind === "credit" ? frame : undefined);
        break;
      case 6:
        frame = decodePing(bytes, pos, kindEnd, frame.kind === "ping" ? frame : undefined);
        break;
      case 7:
        frame = decodePong(bytes, pos, kindEnd, frame.kind === "pong" ? frame : undefined);
        break;
      case 8:
        frame = decodeHello(bytes, pos, kindEnd, frame.kind === "hello" ? frame : undefined);
        break;
      case 9:
        frame = decodeWelcome(bytes, pos, kindEnd, frame.kind === "welcome" ? frame : undefined);
        break;
      case 10:
        frame = decodeGoAway(bytes, pos, kindEnd, frame.kind === "goAway" ? frame : undefined);
        break;
      case 11:
        frame = decodeRefresh(bytes, pos, kindEnd, frame.kind === "refresh" ? frame : undefined);
        break;
      case 12:
        frame = decodePublication(bytes, pos, kindEnd, frame.kind === "publication" ? frame : undefined);
        break;
      case 13:
        frame = decodeAttached(bytes, pos, kindEnd, frame.kind === "attached" ? frame : undefined);
        break;
      default:
        frame = decodePosition(bytes, pos, kindEnd, frame.kind === "position" ? frame : undefined);
    }
    pos = kindEnd;
  }
  return frame;
}
