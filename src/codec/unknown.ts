import type { UnknownField } from "@bufbuild/protobuf";
import { cursor, readSpan, readUint32, setCursor } from "./read.js";
import { unusual } from "./unusual.js";

/** How deep messages and unknown groups may nest in protobuf-es. */
const MAX_DEPTH = 100;

/** Gives up when there are too many messages around a message. */
export function checkDepth(depth: number): void {
  if (depth >= MAX_DEPTH) unusual();
}

/**
 * Reads a field that a message type does not know, its tag included.
 *
 * @param known the numbers of the fields that are known: these come here with another wire type, which is unusual
 * @param depth how many messages are around the one that holds the field
 */
export function readUnknown(
  bytes: Uint8Array,
  at: number,
  to: number,
  depth: number,
  known: readonly number[],
): UnknownField {
  const tag = readTag(bytes, at);
  const no = tag >>> 3;
  if (known.includes(no)) unusual();
  const start = cursor;
  const end = skip(bytes, start, to, tag, depth + 1);
  setCursor(end);
  return { no, wireType: tag & 7, data: bytes.subarray(start, end) };
}

/** The tag at a position; {@link cursor} is behind it. */
export function readTag(bytes: Uint8Array, at: number): number {
  const tag = readUint32(bytes, at);
  const size = cursor - at;
  if (tag >>> 3 === 0 || size > 5 || (size === 5 && (bytes[at + 4] as number) > 0x0f)) unusual();
  return tag;
}

/** Where the group ends whose content begins at a position; {@link cursor} is behind its end tag. */
export function groupEnd(bytes: Uint8Array, at: number, to: number, no: number, depth: number): number {
  let pos = at;
  while (pos < to) {
    const tag = readTag(bytes, pos);
    if ((tag & 7) === 4) {
      if (tag >>> 3 !== no) unusual();
      return pos;
    }
    pos = skip(bytes, cursor, to, tag, depth);
  }
  return unusual();
}

function skip(bytes: Uint8Array, at: number, to: number, tag: number, depth: number): number {
  let end = at;
  switch (tag & 7) {
    case 0:
      for (let i = 0; (bytes[end] as number) > 0x7f; i++, end++) if (i === 9) unusual();
      end++;
      break;
    case 1:
      end += 8;
      break;
    case 2:
      return readSpan(bytes, at, to);
    case 3:
      checkDepth(depth);
      groupEnd(bytes, at, to, tag >>> 3, depth + 1);
      end = cursor;
      break;
    case 5:
      end += 4;
      break;
    default:
      unusual();
  }
  if (end > to) unusual();
  return end;
}
