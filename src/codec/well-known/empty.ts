import { EmptySchema } from "@bufbuild/protobuf/wkt";
import type { MessageCodec, Unchecked, UnknownField } from "../runtime.js";
import {
  checkDepth,
  cursor,
  isCreated,
  messageCodec,
  readUnknown,
  registerCodec,
  unusual,
} from "../runtime.js";

// Written by `npm run write:well-known` from google/protobuf/empty.proto.
function writeEmpty(message: Unchecked, _into: Uint8Array, at: number, strict: boolean): number {
  isCreated(message, "google.protobuf.Empty", strict);
  return at;
}

function readEmpty(bytes: Uint8Array, from: number, to: number, depth: number): Unchecked {
  checkDepth(depth);
  let unknown: UnknownField[] | undefined;
  let at = from;
  while (at < to) {
    switch (bytes[at++]) {
      default:
        unknown ??= [];
        unknown.push(readUnknown(bytes, at - 1, to, depth, []));
        at = cursor;
    }
  }
  if (at !== to) unusual();
  const message: Unchecked = {
    $typeName: "google.protobuf.Empty",
  };
  if (unknown !== undefined) message.$unknown = unknown;
  return message;
}

/** Encodes and decodes google.protobuf.Empty. */
export const EmptyCodec: MessageCodec = /*@__PURE__*/ messageCodec({
  bound: () => 0,
  write: writeEmpty,
  read: readEmpty,
});
registerCodec(EmptySchema, EmptyCodec);
