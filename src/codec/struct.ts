/**
 * `google.protobuf.Struct` in fields, which protobuf-es holds as JSON: the bytes are those of messages of type Struct, Value and
 * ListValue, which are never made.
 */

import { setEntry } from "./message.js";
import { cursor, readBool, readDouble, readInt32, readSpan } from "./read.js";
import { readText, writeText } from "./text.js";
import { checkDepth } from "./unknown.js";
import { type Unchecked, unusual } from "./unusual.js";
import { closeSpan, writeBool, writeDouble } from "./write.js";

const isObject = (json: Unchecked): boolean =>
  json !== null && typeof json === "object" && !Array.isArray(json);

/** An upper bound of a Struct, without tag and length. What is no object counts as an empty one, as in protobuf-es. */
export function structBound(json: Unchecked): number {
  if (!isObject(json)) return 0;
  let bound = 0;
  for (const key of Object.keys(json)) bound += 18 + key.length * 3 + valueBound(json[key]);
  return bound;
}

function valueBound(json: Unchecked): number {
  if (typeof json === "string") return json.length * 3 + 6;
  if (!Array.isArray(json)) return 9 + structBound(json);
  let bound = 6;
  for (const element of json) bound += 6 + valueBound(element);
  return bound;
}

/** Writes a Struct, without tag and length. */
export function writeStruct(into: Uint8Array, at: number, json: Unchecked): number {
  if (!isObject(json)) return at;
  let pos = at;
  for (const key of Object.keys(json)) {
    into[pos] = 10; // fields = 1
    const entry = pos + 2;
    into[entry] = 10; // key = 1
    pos = writeText(into, entry + 1, key);
    into[pos] = 18; // value = 2
    pos = closeSpan(into, pos + 2, writeValue(into, pos + 2, json[key]));
    pos = closeSpan(into, entry, pos);
  }
  return pos;
}

function writeValue(into: Uint8Array, at: number, json: Unchecked): number {
  switch (typeof json) {
    case "number":
      into[at] = 17; // number_value = 2
      return writeDouble(into, at + 1, json);
    case "string":
      into[at] = 26; // string_value = 3
      return writeText(into, at + 1, json);
    case "boolean":
      into[at] = 32; // bool_value = 4
      return writeBool(into, at + 1, json);
    case "object":
      if (json === null) {
        into[at] = 8; // null_value = 1
        into[at + 1] = 0;
        return at + 2;
      }
      if (Array.isArray(json)) {
        into[at] = 50; // list_value = 6
        let pos = at + 2;
        for (const element of json) {
          into[pos] = 10; // values = 1
          pos = closeSpan(into, pos + 2, writeValue(into, pos + 2, element));
        }
        return closeSpan(into, at + 2, pos);
      }
      into[at] = 42; // struct_value = 5
      return closeSpan(into, at + 2, writeStruct(into, at + 2, json));
    default:
      return at;
  }
}

/** Reads the Struct in `bytes[from, to)`. */
export function readStruct(bytes: Uint8Array, from: number, to: number, depth: number): Unchecked {
  checkDepth(depth);
  const json = {};
  let at = from;
  while (at < to) {
    if (bytes[at++] !== 10) unusual();
    const end = readSpan(bytes, at, to);
    at = cursor;
    let key = "";
    let value: Unchecked;
    while (at < end) {
      switch (bytes[at++]) {
        case 10:
          key = readText(bytes, at, end);
          at = cursor;
          break;
        case 18: {
          // Once more, and they would be merged.
          if (value !== undefined) unusual();
          const stop = readSpan(bytes, at, end);
          value = readValue(bytes, cursor, stop, depth + 1);
          at = stop;
          break;
        }
        default:
          unusual();
      }
    }
    if (at !== end) unusual();
    setEntry(json, key, value ?? null);
  }
  if (at !== to) unusual();
  return json;
}

/** Reads a Value with one field at most. */
function readValue(bytes: Uint8Array, from: number, to: number, depth: number): Unchecked {
  checkDepth(depth);
  if (from === to) return null;
  const at = from + 1;
  let value: Unchecked;
  switch (bytes[from]) {
    case 8:
      readInt32(bytes, at);
      value = null;
      if (cursor !== to) unusual();
      return value;
    case 17:
      value = readDouble(bytes, at);
      if (at + 8 !== to) unusual();
      return value;
    case 26:
      value = readText(bytes, at, to);
      if (cursor !== to) unusual();
      return value;
    case 32:
      value = readBool(bytes, at);
      if (cursor !== to) unusual();
      return value;
    case 42:
      if (readSpan(bytes, at, to) !== to) unusual();
      return readStruct(bytes, cursor, to, depth + 1);
    case 50:
      if (readSpan(bytes, at, to) !== to) unusual();
      return readList(bytes, cursor, to, depth + 1);
    default:
      return unusual();
  }
}

function readList(bytes: Uint8Array, from: number, to: number, depth: number): Unchecked[] {
  checkDepth(depth);
  const list: Unchecked[] = [];
  let at = from;
  while (at < to) {
    if (bytes[at++] !== 10) unusual();
    const end = readSpan(bytes, at, to);
    list.push(readValue(bytes, cursor, end, depth + 1));
    at = end;
  }
  return list;
}
