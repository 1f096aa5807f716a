// Random init objects and messages: usual values, the edges of every type, and what does not fit.
import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  type DescOneof,
  type Message,
  type MessageInitShape,
  ScalarType,
} from "@bufbuild/protobuf";
import type { SeededRandom } from "../support/random.js";

/** A message under construction, as the compiler sees one whose schema is known at run time only. */
export type Fields = Record<string, unknown>;

const INT32: readonly unknown[] = [
  0,
  1,
  -1,
  63,
  64,
  -64,
  -65,
  127,
  128,
  16_383,
  16_384,
  2 ** 31 - 1,
  -(2 ** 31),
];
const UINT32: readonly unknown[] = [
  0,
  1,
  127,
  128,
  16_383,
  16_384,
  2_097_151,
  2_097_152,
  2 ** 28,
  2 ** 31,
  2 ** 32 - 1,
];
const INT64: readonly unknown[] = [
  ...[0n, 1n, -1n, 127n, 128n, 2n ** 28n - 1n, 2n ** 28n, 2n ** 31n, -(2n ** 31n), 2n ** 32n - 1n, 2n ** 32n],
  ...[
    2n ** 35n,
    2n ** 53n - 1n,
    2n ** 53n,
    2n ** 53n + 1n,
    -(2n ** 53n) - 1n,
    2n ** 56n,
    2n ** 63n - 1n,
    -(2n ** 63n),
  ],
];
const UINT64: readonly unknown[] = [
  ...[0n, 1n, 127n, 128n, 2n ** 28n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n],
  ...[2n ** 56n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n],
];
const FLOAT: readonly unknown[] = [
  ...[0, -0, 1, -1, 0.5, 1.1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  ...[3.4028234663852886e38, -3.4028234663852886e38, 1e-45, 1e-46, 16_777_217],
];
const DOUBLE: readonly unknown[] = [...FLOAT, Number.MAX_VALUE, 5e-324, 2 ** 53 + 2, -1e300];
const TEXTS: readonly string[] = [
  ...["", "a", "hello", "0123456789abcdef", "x".repeat(31), "y".repeat(32), "z".repeat(33), "w".repeat(127)],
  ...[
    "v".repeat(128),
    "u".repeat(300),
    "\0",
    "\u007f",
    "\u0080",
    "ü",
    "grüße 🚢",
    "é".repeat(31),
    "🚢".repeat(16),
  ],
  ...[
    "\ufeffbom",
    "漢字".repeat(40),
    "\ud800",
    "tail\udc00",
    "\udc00\ud800",
    "a\u2028b",
    "ascii then ü".repeat(9),
  ],
];
/** Keys that are special to objects of JavaScript, or that look like numbers and so change their places. */
const KEYS: readonly string[] = [
  ..."__proto__ constructor toString hasOwnProperty prototype valueOf length $typeName".split(" "),
  ...["", "0", "1", "42", "-1", "01", "4294967295", "key", "ü", "\ud800"],
];

/** What is accepted beside the usual representation: numbers as text, booleans as anything. */
const LENIENT: readonly unknown[] = [
  "0",
  "5",
  "-7",
  "300",
  " 8 ",
  "0x10",
  "1e3",
  "",
  "NaN",
  "Infinity",
  7,
  true,
  1n,
  0n,
];

const LONG_TEXTS: readonly string[] = ["0", "1", "-1", "300", "9007199254740993", "9223372036854775807"];

/** Values that fit no field, or only some. */
const MISFITS: readonly (() => unknown)[] = [
  () => null,
  () => undefined,
  () => "text",
  () => "12",
  () => -1,
  () => 1.5,
  () => 2 ** 31,
  () => 2 ** 32,
  () => 2 ** 53 + 2,
  () => 1e39,
  () => Number.NaN,
  () => Number.POSITIVE_INFINITY,
  () => -0,
  () => 2n ** 63n,
  () => 2n ** 64n,
  () => -(2n ** 63n) - 1n,
  () => -1n,
  () => 5n,
  () => true,
  () => false,
  () => [],
  () => [1, 2, 300],
  () => [null],
  () => [undefined],
  () => ["a", 1],
  () => new Array(2),
  () => ({}),
  () => ({ length: 2, 0: 1, 1: 2 }),
  () => ({ length: -1 }),
  () => ({ value: 1 }),
  () => ({ case: "value" }),
  () => ({ toString: () => "to string", valueOf: () => 3 }),
  () => ({ $typeName: "some.other.Message" }),
  () => Object.create(null),
  () => new Map([["a", 1]]),
  () => new Set([1]),
  () => new Date(0),
  () => new Uint8Array([1, 2]),
  () => Buffer.from("buffer"),
  () => new Uint16Array([1, 500]),
  () => new Uint8Array([1, 2, 3]).buffer,
  () => new String("boxed"),
  () => new Number(4),
  () => Symbol("symbol"),
  () => () => 1,
];

export interface ValueOptions {
  /** Messages in messages, at most. */
  readonly depth: number;
  /** Share of the fields that are given. */
  readonly fill: number;
  /** Messages that may still be made, and large texts and lists, in all. */
  readonly budget: { messages: number; large: number };
  /** Also what is accepted and seldom: null, arrays of numbers for bytes, unknown fields, numbers that an enum does not have. */
  readonly odd: boolean;
}

/** Messages in one value, at most: types that contain themselves in many ways would grow without end. */
const MOST_MESSAGES = 150;

/** Random depth and share of fields. */
export function randomOptions(random: SeededRandom, odd = true): ValueOptions {
  const budget = { messages: MOST_MESSAGES, large: 2 };
  return { depth: random.below(4), fill: random.pick([0.15, 0.6, 0.95]), budget, odd };
}

/** A random init object whose values are all accepted by protobuf-es, but for required fields that may be missing. */
export function randomInit(random: SeededRandom, schema: DescMessage, options: ValueOptions): Fields {
  const init: Fields = {};
  for (const member of schema.members) {
    const wanted = member.kind === "field" && member.presence === 3 ? 0.97 : options.fill;
    if (!random.chance(wanted)) {
      if (random.chance(0.05)) init[member.localName] = options.odd && random.chance(0.5) ? null : undefined;
      continue;
    }
    const value =
      member.kind === "oneof" ? randomCase(random, member, options) : randomField(random, member, options);
    if (value !== undefined) init[member.localName] = value;
  }
  if (options.odd && random.chance(0.05))
    init["$unknown"] = [{ no: 7, wireType: 0, data: new Uint8Array([1]) }];
  return init;
}

/** The init object, or a message made of it, or one that has unknown fields as if they had been read. */
export function randomMessage(random: SeededRandom, schema: DescMessage, options: ValueOptions): Fields {
  const init = randomInit(random, schema, options);
  if (random.chance(0.5)) return init;
  const message = create(schema, init as MessageInitShape<DescMessage>);
  if (options.odd && random.chance(0.15)) {
    message.$unknown = Array.from({ length: 1 + random.below(3) }, () => ({
      no: 1 + random.below(5_000),
      wireType: 2,
      data: new Uint8Array([2, random.below(256), random.below(256)]),
    }));
  }
  return message as unknown as Fields;
}

function randomCase(random: SeededRandom, oneof: DescOneof, options: ValueOptions): unknown {
  if (random.chance(0.1)) return random.pick([{ case: undefined }, {}, { case: undefined, value: 1 }]);
  const field = random.pick(oneof.fields);
  const value = randomField(random, field, options);
  return value === undefined ? { case: undefined } : { case: field.localName, value };
}

/** A random value of a field, or of an extension as its messages have it; `undefined`: none. */
export function randomField(random: SeededRandom, field: DescField, options: ValueOptions): unknown {
  switch (field.fieldKind) {
    case "scalar":
      return randomScalar(random, field.scalar, field.longAsString, options);
    case "enum":
      return randomEnum(random, field.enum, options);
    case "message":
      return randomChild(random, field, field.message, options);
    case "list": {
      const length = isLarge(random, options) ? 200 : random.chance(0.3) ? 0 : random.below(5);
      return fill(length, () => {
        if (field.listKind === "message") return randomChild(random, field, field.message, options);
        if (field.listKind === "enum") return randomEnum(random, field.enum, options);
        return randomScalar(random, field.scalar, field.longAsString, options);
      });
    }
    case "map": {
      const map: Fields = {};
      const entries = random.below(4);
      for (let i = 0; i < entries; i++) {
        const value =
          field.mapKind === "message"
            ? randomChild(random, field, field.message, options)
            : field.mapKind === "enum"
              ? randomEnum(random, field.enum, options)
              : randomScalar(random, field.scalar, false, options);
        if (value !== undefined) setOwn(map, randomKey(random, field.mapKey, options), value);
      }
      return map;
    }
  }
}

function fill(length: number, item: () => unknown): unknown[] {
  const items: unknown[] = [];
  for (let i = 0; i < length; i++) {
    const value = item();
    if (value === undefined) break;
    items.push(value);
  }
  return items;
}

function randomChild(
  random: SeededRandom,
  field: DescField,
  schema: DescMessage,
  options: ValueOptions,
): unknown {
  if (options.depth <= 0 || options.budget.messages-- <= 0) return undefined;
  const inner = { ...options, depth: options.depth - 1, fill: options.fill * 0.7 };
  if (schema.typeName === "google.protobuf.Struct" && field.parent?.typeName !== "google.protobuf.Value") {
    return randomJson(random, 3) as object;
  }
  const [value] = schema.fields;
  const isWrapper = schema.file.name === "google/protobuf/wrappers";
  if (
    isWrapper &&
    value?.fieldKind === "scalar" &&
    field.fieldKind === "message" &&
    field.oneof === undefined
  ) {
    return randomScalar(random, value.scalar, false, options);
  }
  return randomMessage(random, schema, inner);
}

function randomJson(random: SeededRandom, depth: number): Fields {
  const json: Fields = {};
  for (let i = random.below(4); i > 0; i--) setOwn(json, random.pick(KEYS), randomJsonValue(random, depth));
  return json;
}

function randomJsonValue(random: SeededRandom, depth: number): unknown {
  switch (random.below(depth > 0 ? 7 : 4)) {
    case 0:
      return null;
    case 1:
      return random.pick(DOUBLE);
    case 2:
      return random.pick(TEXTS);
    case 3:
      return random.chance(0.5);
    case 4:
      return Array.from({ length: random.below(4) }, () => randomJsonValue(random, depth - 1));
    case 5:
      // Not JSON, and taken as a value of no kind.
      return random.chance(0.1) ? undefined : 1;
    default:
      return randomJson(random, depth - 1);
  }
}

function randomEnum(random: SeededRandom, desc: DescEnum, options: ValueOptions): unknown {
  const other = (desc.open || options.odd) && random.chance(0.15);
  return other ? random.pick([7, 99, -5, 2 ** 31 - 1]) : random.pick(desc.values).number;
}

/** Once in a while, and not often in one value. */
function isLarge(random: SeededRandom, options: ValueOptions): boolean {
  if (!random.chance(0.03) || options.budget.large <= 0) return false;
  options.budget.large--;
  return true;
}

function randomScalar(
  random: SeededRandom,
  type: ScalarType,
  longAsString: boolean,
  options: ValueOptions,
): unknown {
  switch (type) {
    case ScalarType.STRING:
      return isLarge(random, options) ? "ä".repeat(random.below(9_000)) : random.pick(TEXTS);
    case ScalarType.BYTES:
      return randomBytes(
        random,
        isLarge(random, options) ? 5_000 : random.pick([0, 1, 3, 31, 127, 128, 200]),
        options.odd,
      );
    case ScalarType.BOOL:
      return random.chance(0.5);
    case ScalarType.DOUBLE:
      return random.chance(0.3) ? random.next() * 1e6 : random.pick(DOUBLE);
    case ScalarType.FLOAT:
      return random.chance(0.3) ? random.next() * 1e6 : random.pick(FLOAT);
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return random.chance(0.3) ? random.below(2 ** 32) - 2 ** 31 : random.pick(INT32);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return random.chance(0.3) ? random.below(2 ** 32) : random.pick(UINT32);
    default: {
      const signed = type !== ScalarType.UINT64 && type !== ScalarType.FIXED64;
      if (longAsString && random.chance(0.2))
        return random.pick(LONG_TEXTS.filter((text) => signed || text !== "-1"));
      const value = random.chance(0.3) ? randomLong(random, signed) : random.pick(signed ? INT64 : UINT64);
      return longAsString ? String(value) : value;
    }
  }
}

function randomLong(random: SeededRandom, signed: boolean): bigint {
  const bits = BigInt(random.below(2 ** 32)) * 2n ** 32n + BigInt(random.below(2 ** 32));
  const shorter = bits >> BigInt(random.below(64));
  return signed ? BigInt.asIntN(64, random.chance(0.5) ? shorter : -shorter) : shorter;
}

function randomBytes(random: SeededRandom, length: number, odd: boolean): unknown {
  const bytes = new Uint8Array(length + 4);
  for (let i = 0; i < bytes.length; i++) bytes[i] = random.below(256);
  switch (random.below(6)) {
    case 0:
      return Buffer.from(bytes);
    case 1:
      return odd ? [...bytes.subarray(0, length)] : bytes.slice(0, length);
    case 2:
      return bytes.subarray(2, 2 + length);
    default:
      return bytes.slice(0, length);
  }
}

function randomKey(random: SeededRandom, type: ScalarType, options: ValueOptions): string {
  if (type === ScalarType.STRING) return random.chance(0.5) ? random.pick(KEYS) : random.pick(TEXTS);
  if (type === ScalarType.BOOL) return random.chance(0.5) ? "true" : "false";
  return String(randomScalar(random, type, false, options));
}

/**
 * Puts something that does not fit, or that is accepted though it is unusual, somewhere into the message: into a field,
 * an item, an entry, a oneof, or in the place of a message.
 */
export function corrupt(random: SeededRandom, schema: DescMessage, message: Fields): void {
  const member = schema.members.length > 0 ? random.pick(schema.members) : undefined;
  const what = random.next();
  if (member === undefined || what < 0.06) return corruptItself(random, message);
  const misfit = (): unknown => (random.chance(0.35) ? random.pick(LENIENT) : random.pick(MISFITS)());
  const value = message[member.localName];
  if (member.kind === "oneof") {
    message[member.localName] = corruptCase(random, member, value, misfit);
    return;
  }
  if (what < 0.5 && Array.isArray(value) && value.length > 0) {
    const index = random.below(value.length);
    if (
      member.fieldKind !== "list" ||
      member.listKind !== "message" ||
      !descend(random, member, value[index])
    ) {
      value[index] = misfit();
    }
  } else if (what < 0.6 && member.fieldKind === "map" && isPlain(value)) {
    // Fails on what has such a property already, as texts that are objects do.
    Reflect.set(value, random.pick([...KEYS.slice(1), "true", "1.5", "9".repeat(30)]), misfit());
  } else if (what < 0.8 && member.fieldKind === "message" && descend(random, member, value)) {
    return;
  } else message[member.localName] = misfit();
}

function descend(random: SeededRandom, field: DescField, child: unknown): boolean {
  if (!isPlain(child)) return false;
  if (field.message === undefined || field.message.typeName === "google.protobuf.Struct") return false;
  corrupt(random, field.message, child);
  return true;
}

/** An object that is neither an array nor a view. An array could be given a length that takes hours. */
function isPlain(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

function corruptCase(random: SeededRandom, oneof: DescOneof, value: unknown, misfit: () => unknown): unknown {
  switch (random.below(5)) {
    case 0:
      return { case: random.pick(["nonsense", "__proto__", "constructor", "toString", 1, null]), value: 1 };
    case 1:
      return { case: random.pick(oneof.fields).localName };
    case 2:
      return misfit();
    case 3:
      return { value };
    default:
      return { case: random.pick(oneof.fields).localName, value: misfit() };
  }
}

function corruptItself(random: SeededRandom, message: Fields): void {
  switch (random.below(6)) {
    case 0:
      message["$typeName"] = "some.other.Message";
      break;
    case 1:
      message["$unknown"] = random.pick([
        null,
        [],
        [{ no: 1, wireType: 0 }],
        "text",
        [{ no: 2 ** 29, wireType: 2, data: [1] }],
      ]);
      break;
    case 2:
      message["notAField"] = 1;
      break;
    case 3:
      Object.setPrototypeOf(
        message,
        random.pick([null, Object.prototype, { inherited: 1 }, Array.prototype]),
      );
      break;
    case 4: {
      const key = Object.keys(message).find((name) => name !== "$typeName");
      if (key !== undefined) delete message[key];
      break;
    }
    default:
      delete message["$typeName"];
  }
}

/** A message in which a child is an init object, which only `create` would have made a message of. */
export function halfCreated(random: SeededRandom, schema: DescMessage, options: ValueOptions): Fields {
  const message = create(
    schema,
    randomInit(random, schema, options) as MessageInitShape<DescMessage>,
  ) as Message & Fields;
  for (const member of schema.members) {
    if (member.kind === "field" && random.chance(0.5)) {
      const value = randomField(random, member, options);
      if (value !== undefined) message[member.localName] = value;
    }
  }
  return message;
}

/** Sets a property of its own, whatever its name. */
export function setOwn(target: Fields, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}
