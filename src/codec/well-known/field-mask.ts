import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import type { MessageCodec, Unchecked, UnknownField } from "../runtime.js";
import {
  checkDepth,
  cursor,
  elements,
  isCreated,
  messageCodec,
  readText,
  readUnknown,
  registerCodec,
  textBound,
  unusual,
  writeText,
} from "../runtime.js";

// Written by `npm run write:well-known` from google/protobuf/field_mask.proto.
function boundFieldMask(message: Unchecked): number {
  let bound = 0;
  const paths = message.paths;
  const pathsLength = elements(paths, false);
  for (let i = 0; i < pathsLength; i++) bound += 1 + textBound(paths[i]);
  return bound;
}

function writeFieldMask(message: Unchecked, into: Uint8Array, at: number, strict: boolean): number {
  const created = isCreated(message, "google.protobuf.FieldMask", strict);
  // repeated string paths = 1
  const paths = message.paths;
  const pathsLength = elements(paths, created);
  for (let i = 0; i < pathsLength; i++) {
    into[at++] = 10;
    at = writeText(into, at, paths[i]);
  }
  return at;
}

function readFieldMask(bytes: Uint8Array, from: number, to: number, depth: number): Unchecked {
  checkDepth(depth);
  const paths: Unchecked[] = [];
  let unknown: UnknownField[] | undefined;
  let at = from;
  while (at < to) {
    switch (bytes[at++]) {
      // repeated string paths = 1
      case 10: {
        paths.push(readText(bytes, at, to));
        at = cursor;
        break;
      }
      default:
        unknown ??= [];
        unknown.push(readUnknown(bytes, at - 1, to, depth, [1]));
        at = cursor;
    }
  }
  if (at !== to) unusual();
  const message: Unchecked = {
    $typeName: "google.protobuf.FieldMask",
    paths,
  };
  if (unknown !== undefined) message.$unknown = unknown;
  return message;
}

/** Encodes and decodes google.protobuf.FieldMask. */
export const FieldMaskCodec: MessageCodec = /*@__PURE__*/ messageCodec({
  bound: boundFieldMask,
  write: writeFieldMask,
  read: readFieldMask,
});
registerCodec(FieldMaskSchema, FieldMaskCodec);
