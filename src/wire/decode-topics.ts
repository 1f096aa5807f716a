/** Decoding of the frames of topics; see `decode.ts` for how these functions are made. */

import { EMPTY, KIND, readName, view } from "./decode-entries.js";
import type { AttachedFrame, PositionFrame, PublicationFrame } from "./frame.js";
import { cursor, readBool, readSpan, readTag, readUint, readUint32, skipField } from "./read.js";

export function decodePublication(
  bytes: Uint8Array,
  start: number,
  end: number,
  base: PublicationFrame | undefined,
): PublicationFrame {
  let pos = start;
  let topic = base?.topic ?? 0;
  let offset = base?.offset ?? 0;
  let step = base?.step ?? 0;
  let size = base?.size ?? 0;
  let payload: Uint8Array = base?.payload ?? EMPTY;
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    switch (tag) {
      case 0x08:
        topic = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x10:
        offset = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x18:
        step = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x20:
        size = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x2a:
        pos = readSpan(bytes, pos, end);
        payload = view(bytes, cursor, pos);
        break;
      default:
        pos = skipField(bytes, pos, end, tag, KIND);
    }
  }
  return { kind: "publication", topic, offset, step, size, payload };
}

export function decodeAttached(
  bytes: Uint8Array,
  start: number,
  end: number,
  base: AttachedFrame | undefined,
): AttachedFrame {
  let pos = start;
  let call = base?.call ?? 0;
  let topic = base?.topic ?? 0;
  let epoch = base?.epoch ?? "";
  let offset = base?.offset ?? 0;
  let answers = base?.answers ?? 0;
  let gap = base?.gap ?? 0;
  let asks = base?.asks ?? false;
  let stale = base?.stale ?? false;
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    switch (tag) {
      case 0x08:
        call = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x10:
        topic = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x1a:
        pos = readSpan(bytes, pos, end);
        epoch = readName(bytes, cursor, pos);
        break;
      case 0x20:
        offset = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x28:
        answers = readUint32(bytes, pos, end);
        pos = cursor;
        break;
      case 0x30:
        gap = readUint32(bytes, pos, end) | 0; // enums are int32
        pos = cursor;
        break;
      case 0x38:
        asks = readBool(bytes, pos, end);
        pos = cursor;
        break;
      case 0x40:
        stale = readBool(bytes, pos, end);
        pos = cursor;
        break;
      default:
        pos = skipField(bytes, pos, end, tag, KIND);
    }
  }
  return { kind: "attached", call, topic, epoch, offset, answers, gap, asks, stale };
}

export function decodePosition(
  bytes: Uint8Array,
  start: number,
  end: number,
  base: PositionFrame | undefined,
): PositionFrame {
  let pos = start;
  let call = base?.call ?? 0;
  let epoch = base?.epoch ?? "";
  let offset = base?.offset ?? 0;
  let id = base?.id ?? 0;
  let room = base?.room ?? 0;
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    switch (tag) {
      case 0x08:
        call = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x12:
        pos = readSpan(bytes, pos, end);
        epoch = readName(bytes, cursor, pos);
        break;
      case 0x18:
        offset = readUint(bytes, pos, end);
        pos = cursor;
        break;
      case 0x20:
        id = readUint32(bytes, pos, end);
        pos = cursor;
        break;
      case 0x28:
        room = readUint(bytes, pos, end);
        pos = cursor;
        break;
      default:
        pos = skipField(bytes, pos, end, tag, KIND);
    }
  }
  return { kind: "position", call, epoch, offset, id, room };
}
