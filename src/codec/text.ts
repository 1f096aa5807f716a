/** UTF-8, fast for the short texts that most fields hold. */

import { utf8Slice, utf8Write } from "./native.js";
import { cursor, readSpan, setCursor } from "./read.js";
import { type Unchecked, unusual } from "./unusual.js";
import { writeVarint } from "./write.js";

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const looseDecoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Up to these lengths a loop beats the call of the platform's encoder or decoder (Node 24). */
const WRITE_LOOP = utf8Write === undefined ? 28 : 10;
const READ_LOOP = utf8Slice === undefined ? 36 : 20;

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
  const start = at + guess;
  const written =
    utf8Write === undefined
      ? encoder.encodeInto(text, into.subarray(start)).written
      : utf8Write.call(into, text, start, text.length * 3);
  if (guess === 1 && written < 0x80) {
    into[at] = written;
    return start + written;
  }
  const actual = spanBytes(written);
  if (actual !== guess) into.copyWithin(at + actual, start, start + written);
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
  if (end - start <= READ_LOOP) {
    const text = shortText(bytes, start, end);
    if (text !== undefined) return text;
  }
  return decode(bytes, start, end) ?? strictDecoder.decode(bytes.subarray(start, end));
}

/** string of a field without UTF-8 validation, with its length in front: what is not UTF-8 becomes U+FFFD. */
export function readLooseText(bytes: Uint8Array, at: number, to: number): string {
  const end = readSpan(bytes, at, to);
  const start = cursor;
  setCursor(end);
  if (end - start <= READ_LOOP) {
    const text = shortText(bytes, start, end);
    if (text !== undefined) return text;
  }
  return decode(bytes, start, end) ?? looseDecoder.decode(bytes.subarray(start, end));
}

/** What Node makes of it; `undefined` where it is not UTF-8, or holds a U+FFFD of its own. */
function decode(bytes: Uint8Array, start: number, end: number): string | undefined {
  const text = utf8Slice?.call(bytes, start, end);
  return text?.includes("\ufffd") ? undefined : text;
}

/** One array for each length: they are handed to a function that wants one argument per character. */
const units: number[][] = Array.from({ length: READ_LOOP + 1 }, (_, length) => new Array(length).fill(0));

/** A text that is short and ASCII. */
function shortText(bytes: Uint8Array, start: number, end: number): string | undefined {
  const length = end - start;
  const codes = units[length] as number[];
  for (let i = 0; i < length; i++) {
    const byte = bytes[start + i] as number;
    if (byte > 0x7f) return undefined;
    codes[i] = byte;
  }
  return String.fromCharCode.apply(null, codes);
}
