/**
 * Writing values of protobuf's wire format. Every function takes the array, a position and a value, and returns the position
 * after it. It checks the value, and gives up on what protobuf-es would convert or refuse. Room is the caller's affair.
 */

import { high, low, splitInt64, splitUint64 } from "./long.js";
import { type Unchecked, unusual } from "./unusual.js";
import { viewOf } from "./view.js";

/** A varint of up to 32 bits that the caller knows: a tag or a length. */
export function writeVarint(into: Uint8Array, at: number, value: number): number {
  if (value < 0x80) {
    into[at] = value;
    return at + 1;
  }
  if (value < 0x4000) {
    into[at] = (value & 0x7f) | 0x80;
    into[at + 1] = value >>> 7;
    return at + 2;
  }
  return writeLongVarint(into, at, value);
}

function writeLongVarint(into: Uint8Array, at: number, value: number): number {
  let rest = value;
  let pos = at;
  while (rest > 0x7f) {
    into[pos++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  into[pos] = rest;
  return pos + 1;
}

/** uint32. */
export function writeUint32(into: Uint8Array, at: number, value: Unchecked): number {
  if (value >>> 0 !== value) unusual();
  return writeVarint(into, at, value);
}

/** int32, and enums; ten bytes when negative. */
export function writeInt32(into: Uint8Array, at: number, value: Unchecked): number {
  if ((value | 0) !== value) unusual();
  return value >= 0 ? writeVarint(into, at, value) : writeWords(into, at, value, -1);
}

/** sint32. */
export function writeSint32(into: Uint8Array, at: number, value: Unchecked): number {
  if ((value | 0) !== value) unusual();
  return writeVarint(into, at, ((value << 1) ^ (value >> 31)) >>> 0);
}

/** bool. */
export function writeBool(into: Uint8Array, at: number, value: Unchecked): number {
  if (value === true) into[at] = 1;
  else if (value === false) into[at] = 0;
  else unusual();
  return at + 1;
}

/** int64, of a bigint. */
export function writeInt64(into: Uint8Array, at: number, value: Unchecked): number {
  if (!splitInt64(value)) unusual();
  return writeWords(into, at, low(), high());
}

/** uint64, of a bigint. */
export function writeUint64(into: Uint8Array, at: number, value: Unchecked): number {
  if (!splitUint64(value)) unusual();
  return writeWords(into, at, low(), high());
}

/** sint64, of a bigint. */
export function writeSint64(into: Uint8Array, at: number, value: Unchecked): number {
  if (!splitInt64(value)) unusual();
  const lo = low();
  const hi = high();
  const sign = hi >> 31;
  return writeWords(into, at, (lo << 1) ^ sign, ((hi << 1) | (lo >>> 31)) ^ sign);
}

/** A varint of up to 64 bits. */
function writeWords(into: Uint8Array, at: number, lo: number, hi: number): number {
  let pos = at;
  let low = lo >>> 0;
  let high = hi >>> 0;
  while (high !== 0) {
    into[pos++] = (low & 0x7f) | 0x80;
    low = ((low >>> 7) | (high << 25)) >>> 0;
    high >>>= 7;
  }
  while (low > 0x7f) {
    into[pos++] = (low & 0x7f) | 0x80;
    low >>>= 7;
  }
  into[pos] = low;
  return pos + 1;
}

/** fixed32. */
export function writeFixed32(into: Uint8Array, at: number, value: Unchecked): number {
  if (value >>> 0 !== value) unusual();
  return writeWord(into, at, value);
}

/** sfixed32. */
export function writeSfixed32(into: Uint8Array, at: number, value: Unchecked): number {
  if ((value | 0) !== value) unusual();
  return writeWord(into, at, value);
}

/** fixed64, of a bigint. */
export function writeFixed64(into: Uint8Array, at: number, value: Unchecked): number {
  if (!splitUint64(value)) unusual();
  return writeWord(into, writeWord(into, at, low()), high());
}

/** sfixed64, of a bigint. */
export function writeSfixed64(into: Uint8Array, at: number, value: Unchecked): number {
  if (!splitInt64(value)) unusual();
  return writeWord(into, writeWord(into, at, low()), high());
}

function writeWord(into: Uint8Array, at: number, value: number): number {
  into[at] = value;
  into[at + 1] = value >>> 8;
  into[at + 2] = value >>> 16;
  into[at + 3] = value >>> 24;
  return at + 4;
}

/** double. */
export function writeDouble(into: Uint8Array, at: number, value: Unchecked): number {
  if (typeof value !== "number") unusual();
  viewOf(into).setFloat64(at, value, true);
  return at + 8;
}

/** float. What is finite and becomes infinite by rounding is an error of protobuf-es'. */
export function writeFloat(into: Uint8Array, at: number, value: Unchecked): number {
  if (typeof value !== "number") unusual();
  if (!Number.isFinite(Math.fround(value)) && Number.isFinite(value)) unusual();
  viewOf(into).setFloat32(at, value, true);
  return at + 4;
}

/** Up to here a loop beats the call of `set`. */
const COPY_LOOP = 8;

/** bytes: the length, then the bytes. */
export function writeBytes(into: Uint8Array, at: number, value: Unchecked): number {
  if (!(value instanceof Uint8Array)) unusual();
  const length: number = value.length;
  const start = writeVarint(into, at, length);
  if (length <= COPY_LOOP) for (let i = 0; i < length; i++) into[start + i] = value[i] as number;
  else into.set(value, start);
  return start + length;
}

/**
 * Writes the length of what was written from `start`, in front of which one byte is kept for it. When one byte is too few, all
 * of it moves.
 */
export function closeSpan(into: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length < 0x80) {
    into[start - 1] = length;
    return end;
  }
  const more = length < 0x4000 ? 1 : length < 0x20_0000 ? 2 : length < 0x1000_0000 ? 3 : 4;
  into.copyWithin(start + more, start, end);
  writeVarint(into, start - 1, length);
  return end + more;
}
