import { AnySchema } from "@bufbuild/protobuf/wkt";
import type { MessageCodec, Unchecked, UnknownField } from "../runtime.js";
import {
  absent,
  bytesBound,
  checkDepth,
  cursor,
  isCreated,
  messageCodec,
  NO_BYTES,
  readBytes,
  readText,
  readUnknown,
  registerCodec,
  textBound,
  unusual,
  writeBytes,
  writeText,
} from "../runtime.js";

// Written by `npm run write:well-known` from google/protobuf/any.proto.
function boundAny(message: Unchecked): number {
  let bound = 0;
  bound += 1 + textBound(message.typeUrl);
  bound += 1 + bytesBound(message.value);
  return bound;
}

function writeAny(message: Unchecked, into: Uint8Array, at: number, strict: boolean): number {
  const created = isCreated(message, "google.protobuf.Any", strict);
  // string type_url = 1
  const typeUrl = message.typeUrl;
  if (typeUrl) {
    into[at++] = 10;
    at = writeText(into, at, typeUrl);
  } else if (typeUrl !== "") {
    absent(typeUrl, created);
  }
  // bytes value = 2
  const value$ = message.value;
  if (value$ === undefined || value$ === null) {
    absent(value$, created);
  } else if (value$.length !== 0) {
    into[at++] = 18;
    at = writeBytes(into, at, value$);
  }
  return at;
}

function readAny(bytes: Uint8Array, from: number, to: number, depth: number): Unchecked {
  checkDepth(depth);
  let typeUrl: Unchecked = "";
  let value$: Unchecked = NO_BYTES;
  let unknown: UnknownField[] | undefined;
  let at = from;
  while (at < to) {
    switch (bytes[at++]) {
      // string type_url = 1
      case 10: {
        typeUrl = readText(bytes, at, to);
        at = cursor;
        break;
      }
      // bytes value = 2
      case 18: {
        value$ = readBytes(bytes, at, to);
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
    $typeName: "google.protobuf.Any",
    typeUrl,
    value: value$,
  };
  if (unknown !== undefined) message.$unknown = unknown;
  return message;
}

/** Encodes and decodes google.protobuf.Any. */
export const AnyCodec: MessageCodec = /*@__PURE__*/ messageCodec({
  bound: boundAny,
  write: writeAny,
  read: readAny,
});
registerCodec(AnySchema, AnyCodec);
