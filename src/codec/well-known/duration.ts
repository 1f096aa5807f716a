import { DurationSchema } from "@bufbuild/protobuf/wkt";
import type { MessageCodec, Unchecked, UnknownField } from "../runtime.js";
import {
  absent,
  checkDepth,
  cursor,
  isCreated,
  messageCodec,
  readInt32,
  readInt64,
  readUnknown,
  registerCodec,
  unusual,
  writeInt32,
  writeInt64,
  ZERO,
} from "../runtime.js";

// Written by `npm run write:well-known` from google/protobuf/duration.proto.
function writeDuration(message: Unchecked, into: Uint8Array, at: number, strict: boolean): number {
  const created = isCreated(message, "google.protobuf.Duration", strict);
  // int64 seconds = 1
  const seconds = message.seconds;
  if (seconds) {
    into[at++] = 8;
    at = writeInt64(into, at, seconds);
  } else if (seconds !== ZERO) {
    absent(seconds, created);
  }
  // int32 nanos = 2
  const nanos = message.nanos;
  if (nanos) {
    into[at++] = 16;
    at = writeInt32(into, at, nanos);
  } else if (nanos !== 0) {
    absent(nanos, created);
  }
  return at;
}

function readDuration(bytes: Uint8Array, from: number, to: number, depth: number): Unchecked {
  checkDepth(depth);
  let seconds: Unchecked = ZERO;
  let nanos: Unchecked = 0;
  let unknown: UnknownField[] | undefined;
  let at = from;
  while (at < to) {
    switch (bytes[at++]) {
      // int64 seconds = 1
      case 8: {
        seconds = readInt64(bytes, at);
        at = cursor;
        break;
      }
      // int32 nanos = 2
      case 16: {
        nanos = readInt32(bytes, at);
        at = cursor;
        break;
      }
      default:
        unknown ??= [];
        unknown.push(readUnknown(bytes, at - 1, to, depth, [1, 2]));
        at = cursor;
    }
  }
  if (at !== to) unusual();
  const message: Unchecked = {
    $typeName: "google.protobuf.Duration",
    seconds,
    nanos,
  };
  if (unknown !== undefined) message.$unknown = unknown;
  return message;
}

/** Encodes and decodes google.protobuf.Duration. */
export const DurationCodec: MessageCodec = /*@__PURE__*/ messageCodec({
  bound: () => 22,
  write: writeDuration,
  read: readDuration,
});
registerCodec(DurationSchema, DurationCodec);
