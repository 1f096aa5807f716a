import { ListValueSchema, StructSchema, ValueSchema } from "@bufbuild/protobuf/wkt";
import type { MessageCodec, Unchecked, UnknownField } from "../runtime.js";
import {
  checkDepth,
  closeSpan,
  cursor,
  elements,
  isCreated,
  mapKeys,
  messageCodec,
  oneof,
  readBool,
  readDouble,
  readInt32,
  readSpan,
  readText,
  readUnknown,
  registerCodec,
  setEntry,
  textBound,
  unusual,
  writeBool,
  writeDouble,
  writeInt32,
  writeText,
} from "../runtime.js";

// Written by `npm run write:well-known` from google/protobuf/struct.proto.
function boundStruct(message: Unchecked): number {
  let bound = 0;
  const fields = message.fields;
  for (const key of mapKeys(fields, false)) bound += 18 + key.length * 3 + boundValue(fields[key]);
  return bound;
}

function writeStruct(message: Unchecked, into: Uint8Array, at: number, strict: boolean): number {
  const created = isCreated(message, "google.protobuf.Struct", strict);
  // map<string, google.protobuf.Value> fields = 1
  const fields = message.fields;
  for (const key of mapKeys(fields, created)) {
    into[at++] = 10;
    const entry = ++at;
    into[at++] = 10;
    at = writeText(into, at, key);
    into[at++] = 18;
    const start = ++at;
    at = closeSpan(into, start, writeValue(fields[key], into, start, created));
    at = closeSpan(into, entry, at);
  }
  return at;
}

function readStruct(bytes: Uint8Array, from: number, to: number, depth: number): Unchecked {
  checkDepth(depth);
  const fields: Unchecked = {};
  let unknown: UnknownField[] | undefined;
  let at = from;
  while (at < to) {
    switch (bytes[at++]) {
      // map<string, google.protobuf.Value> fields = 1
      case 10: {
        const stop = readSpan(bytes, at, to);
        at = cursor;
        let key: Unchecked = "";
        let value: Unchecked;
        while (at < stop) {
          switch (bytes[at++]) {
            case 10: {
              key = readText(bytes, at, stop);
              at = cursor;
              break;
            }
            case 18: {
              if (value !== undefined) unusual();
              const end = readSpan(bytes, at, stop);
              value = readValue(bytes, cursor, end, depth + 1);
              at = end;
              break;
            }
            default:
              unusual();
          }
        }
        if (at !== stop) unusual();
        value ??= readValue(bytes, 0, 0, depth + 1);
        setEntry(fields, key, value);
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
    $typeName: "google.protobuf.Struct",
    fields,
  };
  if (unknown !== undefined) message.$unknown = unknown;
  return message;
}

/** Encodes and decodes google.protobuf.Struct. */
export const StructCodec: MessageCodec = /*@__PURE__*/ messageCodec({
  bound: boundStruct,
  write: writeStruct,
  read: readStruct,
});
registerCodec(StructSchema, StructCodec);

function boundValue(message: Unchecked): number {
  let bound = 11;
  const kind = message.kind;
  if (kind?.case === "stringValue") bound += 1 + textBound(kind.value);
  if (kind?.case === "structValue") bound += 6 + boundStruct(kind.value);
  if (kind?.case === "listValue") bound += 6 + boundListValue(kind.value);
  return bound;
}

function writeValue(message: Unchecked, into: Uint8Array, at: number, strict: boolean): number {
  const created = isCreated(message, "google.protobuf.Value", strict);
  const kind = oneof(message.kind, created);
  // google.protobuf.NullValue null_value = 1
  if (kind?.case === "nullValue") {
    into[at++] = 8;
    at = writeInt32(into, at, kind.value);
  }
  // double number_value = 2
  if (kind?.case === "numberValue") {
    into[at++] = 17;
    at = writeDouble(into, at, kind.value);
  }
  // string string_value = 3
  if (kind?.case === "stringValue") {
    into[at++] = 26;
    at = writeText(into, at, kind.value);
  }
  // bool bool_value = 4
  if (kind?.case === "boolValue") {
    into[at++] = 32;
    at = writeBool(into, at, kind.value);
  }
  // google.protobuf.Struct struct_value = 5
  if (kind?.case === "structValue") {
    into[at++] = 42;
    const start = ++at;
    at = closeSpan(into, start, writeStruct(kind.value, into, start, created));
  }
  // google.protobuf.ListValue list_value = 6
  if (kind?.case === "listValue") {
    into[at++] = 50;
    const start = ++at;
    at = closeSpan(into, start, writeListValue(kind.value, into, start, created));
  }
  return at;
}

function readValue(bytes: Uint8Array, from: number, to: number, depth: number): Unchecked {
  checkDepth(depth);
  let kind: Unchecked;
  let unknown: UnknownField[] | undefined;
  let at = from;
  while (at < to) {
    switch (bytes[at++]) {
      // google.protobuf.NullValue null_value = 1
      case 8: {
        kind = { case: "nullValue", value: readInt32(bytes, at) };
        at = cursor;
        break;
      }
      // double number_value = 2
      case 17: {
        kind = { case: "numberValue", value: readDouble(bytes, at) };
        at += 8;
        break;
      }
      // string string_value = 3
      case 26: {
        kind = { case: "stringValue", value: readText(bytes, at, to) };
        at = cursor;
        break;
      }
      // bool bool_value = 4
      case 32: {
        kind = { case: "boolValue", value: readBool(bytes, at) };
        at = cursor;
        break;
      }
      // google.protobuf.Struct struct_value = 5
      case 42: {
        if (kind?.case === "structValue") unusual();
        const end = readSpan(bytes, at, to);
        kind = { case: "structValue", value: readStruct(bytes, cursor, end, depth + 1) };
        at = end;
        break;
      }
      // google.protobuf.ListValue list_value = 6
      case 50: {
        if (kind?.case === "listValue") unusual();
        const end = readSpan(bytes, at, to);
        kind = { case: "listValue", value: readListValue(bytes, cursor, end, depth + 1) };
        at = end;
        break;
      }
      default:
        unknown ??= [];
        unknown.push(readUnknown(bytes, at - 1, to, depth, [1, 2, 3, 4, 5, 6]));
        at = cursor;
    }
  }
  if (at !== to) unusual();
  const message: Unchecked = {
    $typeName: "google.protobuf.Value",
    kind: kind ?? { case: undefined },
  };
  if (unknown !== undefined) message.$unknown = unknown;
  return message;
}

/** Encodes and decodes google.protobuf.Value. */
export const ValueCodec: MessageCodec = /*@__PURE__*/ messageCodec({
  bound: boundValue,
  write: writeValue,
  read: readValue,
});
registerCodec(ValueSchema, ValueCodec);

function boundListValue(message: Unchecked): number {
  let bound = 0;
  const values = message.values;
  const valuesLength = elements(values, false);
  for (let i = 0; i < valuesLength; i++) bound += 6 + boundValue(values[i]);
  return bound;
}

function writeListValue(message: Unchecked, into: Uint8Array, at: number, strict: boolean): number {
  const created = isCreated(message, "google.protobuf.ListValue", strict);
  // repeated google.protobuf.Value values = 1
  const values = message.values;
  const valuesLength = elements(values, created);
  for (let i = 0; i < valuesLength; i++) {
    into[at++] = 10;
    const start = ++at;
    at = closeSpan(into, start, writeValue(values[i], into, start, created));
  }
  return at;
}

function readListValue(bytes: Uint8Array, from: number, to: number, depth: number): Unchecked {
  checkDepth(depth);
  const values: Unchecked[] = [];
  let unknown: UnknownField[] | undefined;
  let at = from;
  while (at < to) {
    switch (bytes[at++]) {
      // repeated google.protobuf.Value values = 1
      case 10: {
        const end = readSpan(bytes, at, to);
        values.push(readValue(bytes, cursor, end, depth + 1));
        at = end;
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
    $typeName: "google.protobuf.ListValue",
    values,
  };
  if (unknown !== undefined) message.$unknown = unknown;
  return message;
}

/** Encodes and decodes google.protobuf.ListValue. */
export const ListValueCodec: MessageCodec = /*@__PURE__*/ messageCodec({
  bound: boundListValue,
  write: writeListValue,
  read: readListValue,
});
registerCodec(ListValueSchema, ListValueCodec);
