/** UTF-8, fast for the short ASCII strings that names and metadata are. */

import { malformed } from "./error.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Where texts of medium length are encoded just to learn their size: several times faster than a loop over them. */
const scratch = new Uint8Array(4_096);

/** Up to these lengths a loop beats the call of the platform's encoder or decoder (Node 20 and 24). */
const MEASURE_LOOP = 12;
const WRITE_LOOP = 24;
const READ_LOOP = 28;

/**
 * Sizes of the texts of the frame that is being encoded, in the order of their fields. Measuring costs as much as
 * writing, so what the size pass found is kept for the write pass.
 */
const measured: number[] = [];
let count = 0;
let taken = 0;

/** Begins a frame: forgets the sizes of the one before. */
export function beginTexts(): void {
  count = 0;
  taken = 0;
}

/** Length in UTF-8, kept for {@link takeTextBytes}. */
export function measureText(text: string): number {
  const bytes = textBytes(text);
  measured[count++] = bytes;
  return bytes;
}

/** The next of the sizes that {@link measureText} kept. */
export function takeTextBytes(): number {
  return measured[taken++] as number;
}

/** Length in UTF-8. A surrogate without its other half counts three bytes, as `TextEncoder` writes U+FFFD for it. */
export function textBytes(text: string): number {
  const length = text.length;
  if (length > MEASURE_LOOP && length * 3 <= scratch.length) return encoder.encodeInto(text, scratch).written;
  let bytes = 0;
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800) bytes += 2;
    else if (unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
      bytes += 4;
      i++;
    } else bytes += 3;
  }
  return bytes;
}

/** Writes `text`, which takes `bytes` bytes; returns the position after it. */
export function writeText(into: Uint8Array, at: number, text: string, bytes: number): number {
  if (bytes === text.length && bytes <= WRITE_LOOP) {
    for (let i = 0; i < bytes; i++) into[at + i] = text.charCodeAt(i);
  } else {
    encoder.encodeInto(text, into.subarray(at, at + bytes));
  }
  return at + bytes;
}

/** Reads the string in `[start, end)`. Throws a `WireError` when it is not UTF-8. */
export function readText(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > READ_LOOP) return readLongText(bytes, start, end);
  let text = "";
  let pos = start;
  for (; pos + 4 <= end; pos += 4) {
    const a = bytes[pos] as number;
    const b = bytes[pos + 1] as number;
    const c = bytes[pos + 2] as number;
    const d = bytes[pos + 3] as number;
    if ((a | b | c | d) > 0x7f) return readLongText(bytes, start, end);
    text += String.fromCharCode(a, b, c, d);
  }
  for (; pos < end; pos++) {
    const a = bytes[pos] as number;
    if (a > 0x7f) return readLongText(bytes, start, end);
    text += String.fromCharCode(a);
  }
  return text;
}

function readLongText(bytes: Uint8Array, start: number, end: number): string {
  try {
    return decoder.decode(bytes.subarray(start, end));
  } catch (cause) {
    throw malformed("string is not UTF-8", start, { cause });
  }
}
