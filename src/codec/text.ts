/** UTF-8, fast for the short texts that most fields hold. */

import { cursor, readSpan, setCursor } from "./read.js";
import { type Unchecked, unusual } from "./unusual.js";
import { writeVarint } from "./write.js";

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const looseDecoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Up to these lengths a loop beats the call of the platform's encoder or decoder. */
const WRITE_LOOP = 64;
const READ_LOOP = 40;

/** string: the length in UTF-8, then the text. Surrogates without their other half become U+FFFD, as in protobuf-es. */
export function writeText(into: Uint8Array, at: number, text: Unchecked): number {
  if (typeof text !== "string") unusual();
  const length: number = text.length;
  if (length > WRITE_LOOP) return writeLongText(into, at, text);
  const start = at + 1;
  for (let i = 0; i < length; i++) {
    const unit: number = text.charCodeAt(i);
    if (unit > 0x7f) return writeLongText(into, at, text);
    into[start + i] = unit;
  }
  into[at] = length;
  return start + length;
}

function writeLongText(into: Uint8Array, at: number, text: string): number {
  // Most texts take as many bytes as they have characters, so this is mostly where they begin.
  const guess = spanBytes(text.length);
  const { written } = encoder.encodeInto(text, into.subarray(at + guess));
  const actual = spanBytes(written);
  if (actual !== guess) into.copyWithin(at + actual, at + guess, at + guess + written);
  return writeVarint(into, at, written) + written;
}

function spanBytes(length: number): number {
  return length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x20_0000 ? 3 : length < 0x1000_0000 ? 4 : 5;
}

/** string, with its length in front. What is not UTF-8 is unusual. */
export function readText(bytes: Uint8Array, at: number, to: number): string {
  const end = readSpan(bytes, at, to);
  const start = cursor;
  setCursor(end);
  return shortText(bytes, start, end) ?? strictDecoder.decode(bytes.subarray(start, end));
}

/** string of a field without UTF-8 validation, with its length in front: what is not UTF-8 becomes U+FFFD. */
export function readLooseText(bytes: Uint8Array, at: number, to: number): string {
  const end = readSpan(bytes, at, to);
  const start = cursor;
  setCursor(end);
  return shortText(bytes, start, end) ?? looseDecoder.decode(bytes.subarray(start, end));
}

/** A text that is short and ASCII. */
function shortText(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (end - start > READ_LOOP) return undefined;
  let text = "";
  let pos = start;
  for (; pos + 4 <= end; pos += 4) {
    const a = bytes[pos] as number;
    const b = bytes[pos + 1] as number;
    const c = bytes[pos + 2] as number;
    const d = bytes[pos + 3] as number;
    if ((a | b | c | d) > 0x7f) return undefined;
    text += String.fromCharCode(a, b, c, d);
  }
  for (; pos < end; pos++) {
    const a = bytes[pos] as number;
    if (a > 0x7f) return undefined;
    text += String.fromCharCode(a);
  }
  return text;
}
