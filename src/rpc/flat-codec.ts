import { create, type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { cursor, readBool, readSpan, readUint, readUint32 } from "../wire/read.js";
import { readText, textBytes, writeText } from "../wire/text.js";
import { writeUint } from "../wire/varint.js";

/**
 * Encodes and decodes flat messages: those whose fields are all singular scalars and enums with implicit presence, as
 * the messages of small calls are. It knows the usual values only. Whatever else it meets, it answers `undefined`, and
 * the caller goes to protobuf-es, which also finds the words for what is wrong.
 */
export interface FlatCodec {
  /** Encodes an init object or a message; `undefined`: not a usual value. */
  encode(init: Readonly<Record<string, unknown>>): Uint8Array | undefined;
  /** Decodes; `undefined`: unknown fields, or bytes that are no such message. */
  decode(bytes: Uint8Array): Message | undefined;
}

/** What a field holds, as far as the codec tells kinds apart. */
const Kind = { text: 0, bytes: 1, bool: 2, uint32: 3, uint64: 4, double: 5 } as const;
type Kind = (typeof Kind)[keyof typeof Kind];

interface FlatField {
  readonly name: string;
  readonly kind: Kind;
  readonly tag: number;
}

/** Presence "implicit" of protobuf-es' descriptors, `FeatureSet.FieldPresence.IMPLICIT`. */
const IMPLICIT = 2;

/** Tags of one byte end here; messages with larger field numbers are left to protobuf-es. */
const MAX_FIELD_NUMBER = 15;

/** Payloads that are written into a shared block; larger ones get an array of their own. */
const BLOCK_BYTES = 16_384;
const MAX_SHARED_BYTES = 2_048;

const float64 = new Float64Array(1);
const float64Bytes = new Uint8Array(float64.buffer);
const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

const codecs = new WeakMap<DescMessage, FlatCodec | null>();

/** The codec of a message type, made on first use; `undefined` when the type is not flat. */
export function flatCodec(schema: DescMessage): FlatCodec | undefined {
  let codec = codecs.get(schema);
  if (codec === undefined) {
    codec = makeCodec(schema) ?? null;
    codecs.set(schema, codec);
  }
  return codec ?? undefined;
}

function makeCodec(schema: DescMessage): FlatCodec | undefined {
  const fields: FlatField[] = [];
  for (const field of schema.fields) {
    const flat = flatField(field);
    if (flat === undefined) return undefined;
    fields.push(flat);
  }
  fields.sort((a, b) => a.tag - b.tag);
  const zero = create(schema);
  const byTag: (FlatField | undefined)[] = new Array(128).fill(undefined);
  for (const field of fields) byTag[field.tag] = field;
  return {
    encode: (init) => encodeFlat(fields, init, schema.typeName),
    decode: (bytes) => {
      try {
        return decodeFlat(byTag, zero, bytes);
      } catch {
        // protobuf-es reads it again and says what is wrong in its own words.
        return undefined;
      }
    },
  };
}

function flatField(field: DescField): FlatField | undefined {
  if (field.presence !== IMPLICIT || field.oneof !== undefined || field.number > MAX_FIELD_NUMBER)
    return undefined;
  const kind = field.fieldKind === "scalar" ? scalarKind(field.scalar, field.longAsString) : undefined;
  if (kind === undefined) return undefined;
  const wireType = kind === Kind.text || kind === Kind.bytes ? 2 : kind === Kind.double ? 1 : 0;
  return { name: field.localName, kind, tag: (field.number << 3) | wireType };
}

function scalarKind(scalar: ScalarType, longAsString: boolean): Kind | undefined {
  switch (scalar) {
    case ScalarType.STRING:
      return Kind.text;
    case ScalarType.BYTES:
      return Kind.bytes;
    case ScalarType.BOOL:
      return Kind.bool;
    case ScalarType.UINT32:
      return Kind.uint32;
    case ScalarType.UINT64:
      return longAsString ? undefined : Kind.uint64;
    case ScalarType.DOUBLE:
      return LITTLE_ENDIAN ? Kind.double : undefined;
    default:
      return undefined;
  }
}

// ---- encoding ---------------------------------------------------------------------------------------------------

let block = new Uint8Array(0);
let blockUsed = 0;

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

function encodeFlat(
  fields: readonly FlatField[],
  init: Readonly<Record<string, unknown>>,
  typeName: string,
): Uint8Array | undefined {
  if (init["$unknown"] !== undefined || (init["$typeName"] !== undefined && init["$typeName"] !== typeName)) {
    return undefined;
  }
  let bound = 0;
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i] as FlatField;
    const value = init[field.name];
    if (value === undefined || value === null) continue;
    const bytes = upperBound(field.kind, value);
    if (bytes < 0) return undefined;
    bound += bytes;
  }
  const shared = bound <= MAX_SHARED_BYTES;
  let into: Uint8Array;
  let start = 0;
  if (shared) {
    if (blockUsed + bound > block.length) {
      block = new Uint8Array(BLOCK_BYTES);
      blockUsed = 0;
    }
    into = block;
    start = blockUsed;
  } else into = new Uint8Array(bound);
  let pos = start;
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i] as FlatField;
    const value = init[field.name];
    if (value === undefined || value === null) continue;
    pos = writeField(into, pos, field, value);
  }
  if (shared) blockUsed = pos;
  return into.subarray(start, pos);
}

/** Bytes that a field takes at most; -1 for a value of an unusual type or range. */
function upperBound(kind: Kind, value: unknown): number {
  switch (kind) {
    case Kind.text:
      return typeof value === "string" ? value.length * 3 + 6 : -1;
    case Kind.bytes:
      return value instanceof Uint8Array ? value.length + 6 : -1;
    case Kind.bool:
      return typeof value === "boolean" ? 2 : -1;
    case Kind.uint32:
      return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff
        ? 6
        : -1;
    case Kind.uint64:
      return typeof value === "bigint" && value >= 0n && value <= MAX_SAFE ? 9 : -1;
    case Kind.double:
      return typeof value === "number" ? 9 : -1;
  }
}

function writeField(into: Uint8Array, at: number, field: FlatField, value: unknown): number {
  switch (field.kind) {
    case Kind.text: {
      const text = value as string;
      if (text === "") return at;
      into[at] = field.tag;
      if (text.length <= ASCII_LOOP) {
        const end = writeAscii(into, at + 1, text);
        if (end > 0) return end;
      }
      const bytes = textBytes(text);
      return writeText(into, writeUint(into, at + 1, bytes), text, bytes);
    }
    case Kind.bytes: {
      const bytes = value as Uint8Array;
      if (bytes.length === 0) return at;
      into[at] = field.tag;
      const pos = writeUint(into, at + 1, bytes.length);
      into.set(bytes, pos);
      return pos + bytes.length;
    }
    case Kind.bool:
      return value === true ? writeNumber(into, at, field.tag, 1) : at;
    case Kind.uint32:
      return writeNumber(into, at, field.tag, value as number);
    case Kind.uint64:
      return writeNumber(into, at, field.tag, Number(value as bigint));
    case Kind.double: {
      // Minus zero is a value of its own, as in protobuf.
      if (Object.is(value, 0)) return at;
      into[at] = field.tag;
      float64[0] = value as number;
      into.set(float64Bytes, at + 1);
      return at + 9;
    }
  }
}

/** Texts up to here are taken for ASCII and written by a loop, until a character says otherwise. */
const ASCII_LOOP = 48;

/** Writes length and text; returns 0 when it is not ASCII. */
function writeAscii(into: Uint8Array, at: number, text: string): number {
  const { length } = text;
  into[at] = length;
  let seen = 0;
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    into[at + 1 + i] = unit;
    seen |= unit;
  }
  return seen < 0x80 ? at + 1 + length : 0;
}

function writeNumber(into: Uint8Array, at: number, tag: number, value: number): number {
  if (value === 0) return at;
  into[at] = tag;
  return writeUint(into, at + 1, value);
}

// ---- decoding ---------------------------------------------------------------------------------------------------

function decodeFlat(
  byTag: readonly (FlatField | undefined)[],
  zero: Message,
  bytes: Uint8Array,
): Message | undefined {
  const message: Message & Record<string, unknown> = { ...zero };
  const end = bytes.length;
  let pos = 0;
  while (pos < end) {
    const tag = bytes[pos++] as number;
    const field = tag < 0x80 ? byTag[tag] : undefined;
    if (field === undefined) return undefined;
    switch (field.kind) {
      case Kind.text: {
        const stop = readSpan(bytes, pos, end);
        message[field.name] = readText(bytes, cursor, stop);
        pos = stop;
        break;
      }
      case Kind.bytes: {
        const stop = readSpan(bytes, pos, end);
        message[field.name] = bytes.subarray(cursor, stop);
        pos = stop;
        break;
      }
      case Kind.bool:
        message[field.name] = readBool(bytes, pos, end);
        pos = cursor;
        break;
      case Kind.uint32:
        message[field.name] = readUint32(bytes, pos, end);
        pos = cursor;
        break;
      case Kind.uint64:
        message[field.name] = BigInt(readUint(bytes, pos, end));
        pos = cursor;
        break;
      case Kind.double:
        if (end - pos < 8) return undefined;
        for (let i = 0; i < 8; i++) float64Bytes[i] = bytes[pos + i] as number;
        message[field.name] = float64[0];
        pos += 8;
        break;
    }
  }
  return message;
}
