import {
  BoolValueSchema,
  BytesValueSchema,
  DoubleValueSchema,
  FloatValueSchema,
  Int32ValueSchema,
  Int64ValueSchema,
  StringValueSchema,
  UInt32ValueSchema,
  UInt64ValueSchema,
} from "@bufbuild/protobuf/wkt";
import type { MessageCodec, Unchecked, UnknownField } from "../runtime.js";
import {
  absent,
  bytesBound,
  checkDepth,
  cursor,
  isCreated,
  messageCodec,
  NO_BYTES,
  readBool,
  readBytes,
  readDouble,
  readFloat,
  readInt32,
  readInt64,
  readText,
  readUint32,
  readUint64,
  readUnknown,
  registerCodec,
  textBound,
  unusual,
  writeBool,
  writeBytes,
  writeDouble,
  writeFloat,
  writeInt32,
  writeInt64,
  writeText,
  writeUint32,
  writeUint64,
  ZERO,
} from "../runtime.js";

// Written by `npm run write:well-known` from google/protobuf/wrappers.proto.
function writeDoubleValue(message: Unchecked, into: Uint8Array, at: number, strict: boolean): number {
  const created = isCreated(message, "google.protobuf.DoubleValue", strict);
  // double value = 1
  const value$ = message.value;
  if (typeof value$ === "number") {
    if (!Object.is(value$, 0)) {
      into[at++] = 9;
      at = writeDouble(into, at, value$);
    }
  } else {
    absent(value$, created);
  }
  return at;
}

function readDoubleValue(bytes: Uint8Array, from: number, to: number, depth: number): Unchecked {
  checkDepth(depth);
  let value$: Unchecked = 0;
  let unknown: UnknownField[] | undefined;
  let at = from;
  while (at < to) {
    switch (bytes[at++]) {
      // double value = 1
      case 9: {
        value$ = readDouble(bytes, at);
        at += 8;
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
    $typeName: "google.protobuf.DoubleValue",
    value: value$,
  };
  if (unknown !== undefined) message.$unknown = unknown;
  return message;
}

/** Encodes and decodes google.protobuf.DoubleValue. */
export const DoubleValueCodec: MessageCodec = /*@__PURE__*/ messageCodec({
  bound: () => 9,
  write: writeDoubleValue,
  read: readDoubleValue,
});
registerCodec(DoubleValueSchema, DoubleValueCodec);

function writeFloatValue(message: Unchecked, into: Uint8Array, at: number, strict: boolean): number {
  const created = isCreated(message, "google.protobuf.FloatValue", strict);
  // float value = 1
  const value$ = message.value;
  if (typeof value$ === "number") {
    if (!Object.is(value$, 0)) {
      into[at++] = 13;
      at = writeFloat(into, at, value$);
    }
  } else {
    absent(value$, created);
  }
  return at;
}

function readFloatValue(bytes: Uint8Array, from: number, to: number, depth: number): Unchecked {
  checkDepth(depth);
  let value$: Unchecked = 0;
  let unknown: UnknownField[] | undefined;
  let at = from;
  while (at < to) {
    switch (bytes[at++]) {
      // float value = 1
      case 13: {
        value$ = readFloat(bytes, at);
        at += 4;
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
    $typeName: "google.protobuf.FloatValue",
    value: value$,
  };
  if (unknown !== undefined) message.$unknown = unknown;
  return message;
}

/** Encodes and decodes google.protobuf.FloatValue. */
export const FloatValueCodec: MessageCodec = /*@__PURE__*/ messageCodec({
  bound: () => 5,
  write: writeFloatValue,
  read: readFloatValue,
});
registerCodec(FloatValueSchema, FloatValueCodec);

function writeInt64Value(message: Unchecked, into: Uint8Array, at: number, strict: boolean): number {
  const created = isCreated(message, "google.protobuf.Int64Value", strict);
  // int64 value = 1
  const value$ = message.value;
  if (value$) {
    into[at++] = 8;
    at = writeInt64(into, at, value$);
  } else if (value$ !== ZERO) {
    absent(value$, created);
  }
  return at;
}

function readInt64Value(bytes: Uint8Array, from: number, to: number, depth: number): Unchecked {
  checkDepth(depth);
  let value$: Unchecked = ZERO;
  let unknown: UnknownField[] | undefined;
  let at = from;
  while (at < to) {
    switch (bytes[at++]) {
      // int64 value = 1
      case 8: {
        value$ = readInt64(bytes, at);
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
    $typeName: "google.protobuf.Int64Value",
    value: value$,
  };
  if (unknown !== undefined) message.$unknown = unknown;
  return message;
}

/** Encodes and decodes google.protobuf.Int64Value. */
export const Int64ValueCodec: MessageCodec = /*@__PURE__*/ messageCodec({
  bound: () => 11,
  write: writeInt64Value,
  read: readInt64Value,
});
registerCodec(Int64ValueSchema, Int64ValueCodec);

function writeUInt64Value(message: Unchecked, into: Uint8Array, at: number, strict: boolean): number {
  const created = isCreated(message, "google.protobuf.UInt64Value", strict);
  // uint64 value = 1
  const value$ = message.value;
  if (value$) {
    into[at++] = 8;
    at = writeUint64(into, at, value$);
  } else if (value$ !== ZERO) {
    absent(value$, created);
  }
  return at;
}

function readUInt64Value(bytes: Uint8Array, from: number, to: number, depth: number): Unchecked {
  checkDepth(depth);
  let value$: Unchecked = ZERO;
  let unknown: UnknownField[] | undefined;
  let at = from;
  while (at < to) {
    switch (bytes[at++]) {
      // uint64 value = 1
      case 8: {
        value$ = readUint64(bytes, at);
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
    $typeName: "google.protobuf.UInt64Value",
    value: value$,
  };
  if (unknown !== undefined) message.$unknown = unknown;
  return message;
}

/** Encodes and decodes google.protobuf.UInt64Value. */
export const UInt64ValueCodec: MessageCodec = /*@__PURE__*/ messageCodec({
  bound: () => 11,
  write: writeUInt64Value,
  read: readUInt64Value,
});
registerCodec(UInt64ValueSchema, UInt64ValueCodec);

function writeInt32Value(message: Unchecked, into: Uint8Array, at: number, strict: boolean): number {
  const created = isCreated(message, "google.protobuf.Int32Value", strict);
  // int32 value = 1
  const value$ = message.value;
  if (value$) {
    into[at++] = 8;
    at = writeInt32(into, at, value$);
  } else if (value$ !== 0) {
    absent(value$, created);
  }
  return at;
}

function readInt32Value(bytes: Uint8Array, from: number, to: number, depth: number): Unchecked {
  checkDepth(depth);
  let value$: Unchecked = 0;
  let unknown: UnknownField[] | undefined;
  let at = from;
  while (at < to) {
    switch (bytes[at++]) {
      // int32 value = 1
      case 8: {
        value$ = readInt32(bytes, at);
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
    $typeName: "google.protobuf.Int32Value",
    value: value$,
  };
  if (unknown !== undefined) message.$unknown = unknown;
  return message;
}

/** Encodes and decodes google.protobuf.Int32Value. */
export const Int32ValueCodec: MessageCodec = /*@__PURE__*/ messageCodec({
  bound: () => 11,
  write: writeInt32Value,
  read: readInt32Value,
});
registerCodec(Int32ValueSchema, Int32ValueCodec);

function writeUInt32Value(message: Unchecked, into: Uint8Array, at: number, strict: boolean): number {
  const created = isCreated(message, "google.protobuf.UInt32Value", strict);
  // uint32 value = 1
  const value$ = message.value;
  if (value$) {
    into[at++] = 8;
    at = writeUint32(into, at, value$);
  } else if (value$ !== 0) {
    absent(value$, created);
  }
  return at;
}

function readUInt32Value(bytes: Uint8Array, from: number, to: number, depth: number): Unchecked {
  checkDepth(depth);
  let value$: Unchecked = 0;
  let unknown: UnknownField[] | undefined;
  let at = from;
  while (at < to) {
    switch (bytes[at++]) {
      // uint32 value = 1
      case 8: {
        value$ = readUint32(bytes, at);
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
    $typeName: "google.protobuf.UInt32Value",
    value: value$,
  };
  if (unknown !== undefined) message.$unknown = unknown;
  return message;
}

/** Encodes and decodes google.protobuf.UInt32Value. */
export const UInt32ValueCodec: MessageCodec = /*@__PURE__*/ messageCodec({
  bound: () => 6,
  write: writeUInt32Value,
  read: readUInt32Value,
});
registerCodec(UInt32ValueSchema, UInt32ValueCodec);

function writeBoolValue(message: Unchecked, into: Uint8Array, at: number, strict: boolean): number {
  const created = isCreated(message, "google.protobuf.BoolValue", strict);
  // bool value = 1
  const value$ = message.value;
  if (value$) {
    into[at++] = 8;
    at = writeBool(into, at, value$);
  } else if (value$ !== false) {
    absent(value$, created);
  }
  return at;
}

function readBoolValue(bytes: Uint8Array, from: number, to: number, depth: number): Unchecked {
  checkDepth(depth);
  let value$: Unchecked = false;
  let unknown: UnknownField[] | undefined;
  let at = from;
  while (at < to) {
    switch (bytes[at++]) {
      // bool value = 1
      case 8: {
        value$ = readBool(bytes, at);
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
    $typeName: "google.protobuf.BoolValue",
    value: value$,
  };
  if (unknown !== undefined) message.$unknown = unknown;
  return message;
}

/** Encodes and decodes google.protobuf.BoolValue. */
export const BoolValueCodec: MessageCodec = /*@__PURE__*/ messageCodec({
  bound: () => 2,
  write: writeBoolValue,
  read: readBoolValue,
});
registerCodec(BoolValueSchema, BoolValueCodec);

function boundStringValue(message: Unchecked): number {
  let bound = 0;
  bound += 1 + textBound(message.value);
  return bound;
}

function writeStringValue(message: Unchecked, into: Uint8Array, at: number, strict: boolean): number {
  const created = isCreated(message, "google.protobuf.StringValue", strict);
  // string value = 1
  const value$ = message.value;
  if (value$) {
    into[at++] = 10;
    at = writeText(into, at, value$);
  } else if (value$ !== "") {
    absent(value$, created);
  }
  return at;
}

function readStringValue(bytes: Uint8Array, from: number, to: number, depth: number): Unchecked {
  checkDepth(depth);
  let value$: Unchecked = "";
  let unknown: UnknownField[] | undefined;
  let at = from;
  while (at < to) {
    switch (bytes[at++]) {
      // string value = 1
      case 10: {
        value$ = readText(bytes, at, to);
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
    $typeName: "google.protobuf.StringValue",
    value: value$,
  };
  if (unknown !== undefined) message.$unknown = unknown;
  return message;
}

/** Encodes and decodes google.protobuf.StringValue. */
export const StringValueCodec: MessageCodec = /*@__PURE__*/ messageCodec({
  bound: boundStringValue,
  write: writeStringValue,
  read: readStringValue,
});
registerCodec(StringValueSchema, StringValueCodec);

function boundBytesValue(message: Unchecked): number {
  let bound = 0;
  bound += 1 + bytesBound(message.value);
  return bound;
}

function writeBytesValue(message: Unchecked, into: Uint8Array, at: number, strict: boolean): number {
  const created = isCreated(message, "google.protobuf.BytesValue", strict);
  // bytes value = 1
  const value$ = message.value;
  if (value$ === undefined || value$ === null) {
    absent(value$, created);
  } else if (value$.length !== 0) {
    into[at++] = 10;
    at = writeBytes(into, at, value$);
  }
  return at;
}

function readBytesValue(bytes: Uint8Array, from: number, to: number, depth: number): Unchecked {
  checkDepth(depth);
  let value$: Unchecked = NO_BYTES;
  let unknown: UnknownField[] | undefined;
  let at = from;
  while (at < to) {
    switch (bytes[at++]) {
      // bytes value = 1
      case 10: {
        value$ = readBytes(bytes, at, to);
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
    $typeName: "google.protobuf.BytesValue",
    value: value$,
  };
  if (unknown !== undefined) message.$unknown = unknown;
  return message;
}

/** Encodes and decodes google.protobuf.BytesValue. */
export const BytesValueCodec: MessageCodec = /*@__PURE__*/ messageCodec({
  bound: boundBytesValue,
  write: writeBytesValue,
  read: readBytesValue,
});
registerCodec(BytesValueSchema, BytesValueCodec);
