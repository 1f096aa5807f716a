/** Decoding of what frames are made of: headers, details, names, ids. */

import { tooBig } from "./error.js";
import type { Detail, Header } from "./frame.js";
import { MAX_ENTRIES_PER_PACKET, MAX_ID_BYTES, MAX_NAME_BYTES } from "./limits.js";
import { cursor, readSpan, readTag, skipField } from "./read.js";
import { readText } from "./text.js";

/** Levels of nesting, for the depth limit of unknown groups. */
export const PACKET = 1;
export const FRAME = 2;
export const KIND = 3;
export const ENTRY = 4;

/** What an absent id or value is. */
export const EMPTY: Uint8Array = new Uint8Array(0);

/** Headers, trailers and details so far in the packet that is being decoded. */
let entries = 0;

/** Begins a packet. */
export function beginEntries(): void {
  entries = 0;
}

export function addHeader(
  headers: Header[] | undefined,
  bytes: Uint8Array,
  start: number,
  end: number,
): Header[] {
  countEntry(start);
  let pos = start;
  let name = "";
  let value = "";
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    switch (tag) {
      case 0x0a:
        pos = readSpan(bytes, pos, end);
        name = readText(bytes, cursor, pos);
        break;
      case 0x12:
        pos = readSpan(bytes, pos, end);
        value = readText(bytes, cursor, pos);
        break;
      default:
        pos = skipField(bytes, pos, end, tag, ENTRY);
    }
  }
  const header: Header = [name, value];
  if (headers === undefined) return [header];
  headers.push(header);
  return headers;
}

export function addDetail(
  details: Detail[] | undefined,
  bytes: Uint8Array,
  start: number,
  end: number,
): Detail[] {
  countEntry(start);
  let pos = start;
  let type = "";
  let value = EMPTY;
  while (pos < end) {
    let tag = bytes[pos++] as number;
    if (tag > 0x7f) {
      tag = readTag(bytes, pos - 1, end);
      pos = cursor;
    }
    switch (tag) {
      case 0x0a:
        pos = readSpan(bytes, pos, end);
        type = readText(bytes, cursor, pos);
        break;
      case 0x12:
        pos = readSpan(bytes, pos, end);
        value = view(bytes, cursor, pos);
        break;
      default:
        pos = skipField(bytes, pos, end, tag, ENTRY);
    }
  }
  const detail: Detail = { type, value };
  if (details === undefined) return [detail];
  details.push(detail);
  return details;
}

export function countEntry(pos: number): void {
  if (++entries > MAX_ENTRIES_PER_PACKET) {
    throw tooBig(`more than ${MAX_ENTRIES_PER_PACKET} headers and details`, pos);
  }
}

export function readName(bytes: Uint8Array, start: number, end: number, what = "name"): string {
  if (end - start > MAX_NAME_BYTES) throw tooBig(`${what} of ${end - start} bytes`, start);
  return readText(bytes, start, end);
}

export function readId(bytes: Uint8Array, start: number, end: number): Uint8Array {
  if (end - start > MAX_ID_BYTES) throw tooBig(`session id or epoch of ${end - start} bytes`, start);
  return view(bytes, start, end);
}

/** A plain `Uint8Array`, whatever subclass `bytes` is: `Buffer`'s own `subarray` costs several times as much. */
export function view(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
}
