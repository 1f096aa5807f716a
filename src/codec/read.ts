/**
 * Reading values of protobuf's wire format. Every function takes the bytes and a position, and leaves the position after the
 * value in {@link cursor}, unless all values of the type have the same size. Numbers are read without looking at where the
 * message ends: who reads past it, finds the position behind the end of the message when the message is over, and gives up.
 */

import { joinInt64, joinUint64 } from "./long.js";
import { unusual } from "./unusual.js";
import { viewOf } from "./view.js";

/** Position after what was read last. */
export let cursor = 0;

/** For readers in other files. */
export function setCursor(to: number): void {
  cursor = to;
}

/** uint32, and tags. Bits above the 32nd are dropped, as protobuf does. */
export function readUint32(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number;
  if (first < 0x80) {
    cursor = at + 1;
    return first;
  }
  const second = bytes[at + 1] as number;
  if (second < 0x80) {
    cursor = at + 2;
    return (first & 0x7f) | (second << 7);
  }
  return readLong32(bytes, at);
}

function readLong32(bytes: Uint8Array, at: number): number {
  let value = (bytes[at] as number) & 0x7f;
  for (let i = 1; i < 10; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) break;
    if (i < 5) value |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      cursor = at + i + 1;
      return value >>> 0;
    }
  }
  return unusual();
}

/** int32, and enums. */
export function readInt32(bytes: Uint8Array, at: number): number {
  return readUint32(bytes, at) | 0;
}

/** sint32. */
export function readSint32(bytes: Uint8Array, at: number): number {
  const value = readUint32(bytes, at);
  return (value >>> 1) ^ -(value & 1);
}

/** bool: whether any bit of the number is set. */
export function readBool(bytes: Uint8Array, at: number): boolean {
  const first = bytes[at] as number;
  if (first < 0x80) {
    cursor = at + 1;
    return first !== 0;
  }
  readWords(bytes, at);
  return (lo | hi) !== 0;
}

/** Halves of the 64-bit number that was read last. */
let lo = 0;
let hi = 0;

function readWords(bytes: Uint8Array, at: number): void {
  let low = 0;
  let high = 0;
  for (let i = 0; i < 10; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) break;
    const bits = byte & 0x7f;
    if (i < 4) low |= bits << (7 * i);
    else if (i === 4) {
      low |= bits << 28;
      high = bits >>> 4;
    } else high |= bits << (7 * i - 32);
    if (byte < 0x80) {
      lo = low;
      hi = high;
      cursor = at + i + 1;
      return;
    }
  }
  unusual();
}

/** int64. */
export function readInt64(bytes: Uint8Array, at: number): bigint {
  readWords(bytes, at);
  return joinInt64(lo, hi);
}

/** uint64. */
export function readUint64(bytes: Uint8Array, at: number): bigint {
  const first = bytes[at] as number;
  if (first < 0x80) {
    cursor = at + 1;
    return joinUint64(first, 0);
  }
  readWords(bytes, at);
  return joinUint64(lo, hi);
}

/** sint64. */
export function readSint64(bytes: Uint8Array, at: number): bigint {
  readWords(bytes, at);
  const sign = -(lo & 1);
  return joinInt64(((lo >>> 1) | (hi << 31)) ^ sign, (hi >>> 1) ^ sign);
}

/** sfixed32. It has four bytes, so the cursor stays where it is; those of eight bytes below do the same. */
export function readSfixed32(bytes: Uint8Array, at: number): number {
  if (at + 4 > bytes.length) unusual();
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

/** fixed32. */
export function readFixed32(bytes: Uint8Array, at: number): number {
  return readSfixed32(bytes, at) >>> 0;
}

/** sfixed64. */
export function readSfixed64(bytes: Uint8Array, at: number): bigint {
  const low = readSfixed32(bytes, at);
  return joinInt64(low, readSfixed32(bytes, at + 4));
}

/** fixed64. */
export function readFixed64(bytes: Uint8Array, at: number): bigint {
  const low = readSfixed32(bytes, at);
  return joinUint64(low, readSfixed32(bytes, at + 4));
}

/** double. */
export function readDouble(bytes: Uint8Array, at: number): number {
  return viewOf(bytes).getFloat64(at, true);
}

/** float. */
export function readFloat(bytes: Uint8Array, at: number): number {
  return viewOf(bytes).getFloat32(at, true);
}

/** The length in front of a text, bytes or a message: returns where that ends; {@link cursor} is where it begins. */
export function readSpan(bytes: Uint8Array, at: number, to: number): number {
  const length = readUint32(bytes, at);
  const end = cursor + length;
  if (end > to) unusual();
  return end;
}

/** bytes, with their length in front: a view. */
export function readBytes(bytes: Uint8Array, at: number, to: number): Uint8Array {
  const end = readSpan(bytes, at, to);
  const value = bytes.subarray(cursor, end);
  cursor = end;
  return value;
}
