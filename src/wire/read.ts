/**
 * Reading protobuf's wire format without an object per field: every function takes the bytes, a position and the end
 * of the message around it, and leaves the position after what it read in {@link cursor}. Nothing is read at or
 * beyond `end`, and `end` never exceeds the array.
 */

import { malformed, tooBig } from "./error.js";
import { MAX_DEPTH } from "./limits.js";

/** Position after what was read last. */
export let cursor = 0;

/** A uint64. Larger than 2^53-1 is an error. */
export function readUint(bytes: Uint8Array, pos: number, end: number): number {
  if (pos < end) {
    const first = bytes[pos] as number;
    if (first < 0x80) {
      cursor = pos + 1;
      return first;
    }
  }
  return readLong(bytes, pos, end);
}

function readLong(bytes: Uint8Array, pos: number, end: number): number {
  let low = 0;
  // Up to 28 bits stay a small integer for the engine, which matters for the fields it ends up in.
  for (let i = 0; i < 4; i++) {
    if (pos + i >= end) throw malformed("number is cut off", end);
    const byte = bytes[pos + i] as number;
    low |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      cursor = pos + i + 1;
      return low;
    }
  }
  let high = 0;
  for (let i = 4; i < 10; i++) {
    if (pos + i >= end) throw malformed("number is cut off", end);
    const byte = bytes[pos + i] as number;
    const bits = byte & 0x7f;
    if (i < 8) high |= bits << (7 * (i - 4));
    else if (bits !== 0) throw malformed("number above 2^53-1", pos);
    if (byte < 0x80) {
      if (high > 0x1ff_ffff) throw malformed("number above 2^53-1", pos);
      cursor = pos + i + 1;
      return high * 0x1000_0000 + low;
    }
  }
  throw malformed("number longer than 10 bytes", pos);
}

/** A uint32. Bits above the 32nd are dropped, as protobuf does. */
export function readUint32(bytes: Uint8Array, pos: number, end: number): number {
  if (pos < end) {
    const first = bytes[pos] as number;
    if (first < 0x80) {
      cursor = pos + 1;
      return first;
    }
  }
  let value = 0;
  for (let i = 0; i < 10; i++) {
    if (pos + i >= end) throw malformed("number is cut off", end);
    const byte = bytes[pos + i] as number;
    if (i < 5) value |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      cursor = pos + i + 1;
      return value >>> 0;
    }
  }
  throw malformed("number longer than 10 bytes", pos);
}

/** A bool: whether any bit of the number is set. */
export function readBool(bytes: Uint8Array, pos: number, end: number): boolean {
  let bits = 0;
  for (let i = 0; i < 10; i++) {
    if (pos + i >= end) throw malformed("number is cut off", end);
    const byte = bytes[pos + i] as number;
    bits |= byte & 0x7f;
    if (byte < 0x80) {
      cursor = pos + i + 1;
      return bits !== 0;
    }
  }
  throw malformed("number longer than 10 bytes", pos);
}

/** The tag at `pos`, whose first byte is 0x80 or above. */
export function readTag(bytes: Uint8Array, pos: number, end: number): number {
  let tag = 0;
  for (let i = 0; i < 5; i++) {
    if (pos + i >= end) throw malformed("tag is cut off", end);
    const byte = bytes[pos + i] as number;
    if (i === 4 && byte > 0x0f) break;
    tag |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      cursor = pos + i + 1;
      return tag >>> 0;
    }
  }
  throw malformed("tag above 2^32-1", pos);
}

/** The length in front of a message, string or bytes: returns where it ends; {@link cursor} is where it begins. */
export function readSpan(bytes: Uint8Array, pos: number, end: number): number {
  const length = readUint(bytes, pos, end);
  if (length > end - cursor) throw malformed(`length ${length} where ${end - cursor} bytes are left`, pos);
  return cursor + length;
}

/**
 * Skips the value of a field that is not known, or is known with another wire type.
 *
 * @param pos position after the tag
 * @param depth level of the message that holds the field, the packet being 1
 * @returns position after the value
 */
export function skipField(bytes: Uint8Array, pos: number, end: number, tag: number, depth: number): number {
  if (tag >>> 3 === 0) throw malformed("field number 0", pos);
  switch (tag & 7) {
    case 0:
      readBool(bytes, pos, end); // any ten bytes will do
      return cursor;
    case 1:
      return fixed(pos, end, 8);
    case 2:
      return readSpan(bytes, pos, end);
    case 3:
      return skipGroup(bytes, pos, end, tag, depth + 1);
    case 4:
      throw malformed("end of a group that did not begin", pos);
    case 5:
      return fixed(pos, end, 4);
    default:
      throw malformed(`wire type ${tag & 7}`, pos);
  }
}

function fixed(pos: number, end: number, size: number): number {
  if (end - pos < size) throw malformed("fixed-size number is cut off", end);
  return pos + size;
}

function skipGroup(bytes: Uint8Array, start: number, end: number, tag: number, depth: number): number {
  if (depth > MAX_DEPTH) throw tooBig(`groups nested deeper than ${MAX_DEPTH}`, start);
  let pos = start;
  while (pos < end) {
    let inner = bytes[pos++] as number;
    if (inner > 0x7f) {
      inner = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    if ((inner & 7) === 4) {
      if (inner >>> 3 !== tag >>> 3) throw malformed("end of another group", pos);
      return pos;
    }
    pos = skipField(bytes, pos, end, inner, depth);
  }
  throw malformed("group is cut off", end);
}
