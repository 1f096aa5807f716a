// Random bytes that are messages, written straight from the descriptor with all the freedom that the wire format leaves,
// and bytes that are almost messages.
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { SeededRandom } from "../support/random.js";

/** Wire types of the format. */
const VARINT = 0;
const BIT64 = 1;
const DELIMITED = 2;
const START = 3;
const END = 4;
const BIT32 = 5;

const VARINTS: readonly bigint[] = [
  ...[
    0n,
    1n,
    2n,
    127n,
    128n,
    255n,
    16_383n,
    16_384n,
    2n ** 28n - 1n,
    2n ** 28n,
    2n ** 31n - 1n,
    2n ** 31n,
    2n ** 32n - 1n,
  ],
  ...[
    2n ** 32n,
    2n ** 35n,
    2n ** 53n - 1n,
    2n ** 53n,
    2n ** 56n,
    2n ** 63n - 1n,
    2n ** 63n,
    2n ** 64n - 2n,
    2n ** 64n - 1n,
  ],
];
const TEXTS: readonly string[] = [
  ...[
    "",
    "a",
    "hello world",
    "x".repeat(31),
    "y".repeat(32),
    "z".repeat(33),
    "w".repeat(127),
    "v".repeat(128),
  ],
  ...[
    "u".repeat(400),
    "ü",
    "🚢".repeat(9),
    "\ufeffbom",
    "\0",
    "__proto__",
    "constructor",
    "toString",
    "1",
    "0",
  ],
];
/** Not UTF-8: a lone continuation, an overlong slash, half a character, a surrogate, above U+10FFFF. */
const BAD_TEXTS: readonly (readonly number[])[] = [
  [0x80],
  [0xc0, 0xaf],
  [0x61, 0xe2, 0x82],
  [0xed, 0xa0, 0x80],
  [0xf5, 0x80, 0x80, 0x80],
  [0x61, 0xff],
];

/** A growing array of bytes. */
class Wire {
  readonly bytes: number[] = [];
  readonly #random: SeededRandom;
  /** Share of the varints that are longer than they must be. */
  readonly #sloppy: number;

  constructor(random: SeededRandom, sloppy: number) {
    this.#random = random;
    this.#sloppy = sloppy;
  }

  varint(value: bigint | number, maxBytes = 10): void {
    let rest = BigInt.asUintN(64, BigInt(value));
    let length = 0;
    while (rest > 0x7fn) {
      this.bytes.push(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
      length++;
    }
    if (length < maxBytes - 1 && this.#random.chance(this.#sloppy)) {
      this.bytes.push(Number(rest) | 0x80);
      length++;
      for (let more = this.#random.below(maxBytes - length); more > 0; more--) this.bytes.push(0x80);
      this.bytes.push(0);
    } else this.bytes.push(Number(rest));
  }

  tag(number: number, wireType: number): void {
    // Tags of more than five bytes are refused.
    this.varint(number * 8 + wireType, 5);
  }

  prefixed(bytes: readonly number[]): void {
    this.varint(bytes.length);
    this.append(bytes);
  }

  append(bytes: readonly number[]): void {
    for (const byte of bytes) this.bytes.push(byte);
  }
}

export interface WireOptions {
  /** Records of a message, at most. */
  readonly records: number;
  /** Messages in messages, at most. */
  readonly depth: number;
  /** Share of what is not as an encoder would write it, and valid nevertheless. */
  readonly sloppy: number;
  /** Share of what is not valid: other wire types, bad UTF-8. */
  readonly wrong: number;
}

/**
 * Records of random fields in random order: fields come again (the last one counts, messages are merged), oneofs change their
 * case, lists are packed, not packed, or both, entries lack their key or value or have two, enums have unknown values.
 */
export function randomWire(random: SeededRandom, schema: DescMessage, options: WireOptions): Uint8Array {
  const wire = new Wire(random, options.sloppy);
  writeRecords(random, wire, schema, options);
  return Uint8Array.from(wire.bytes);
}

function writeRecords(random: SeededRandom, wire: Wire, schema: DescMessage, options: WireOptions): void {
  const count = random.below(options.records + 1);
  // Records of one field often follow each other, and lists are made of such runs.
  let again: DescField | undefined;
  for (let i = 0; i < count; i++) {
    if (schema.fields.length === 0 || random.chance(options.sloppy * 0.5)) {
      writeUnknown(random, wire, schema, options.depth);
      continue;
    }
    const field = again !== undefined && random.chance(0.4) ? again : random.pick(schema.fields);
    again = field;
    if (random.chance(options.wrong)) writeWrong(random, wire, field);
    else writeField(random, wire, field, options);
  }
}

function writeField(random: SeededRandom, wire: Wire, field: DescField, options: WireOptions): void {
  if (field.fieldKind === "map") return writeEntry(random, wire, field, options);
  if (field.message !== undefined) return writeMessage(random, wire, field, options);
  const type = field.enum === undefined ? field.scalar : ScalarType.INT32;
  const wireType = wireTypeOf(type);
  const packable = field.fieldKind === "list" && wireType !== DELIMITED;
  if (packable && field.packed !== random.chance(options.sloppy)) {
    const items = new Wire(random, options.sloppy);
    const count = random.chance(0.02) ? 300 : random.below(6);
    for (let i = 0; i < count; i++) writeScalar(random, items, type, options, field);
    wire.tag(field.number, DELIMITED);
    wire.prefixed(items.bytes);
    return;
  }
  wire.tag(field.number, wireType);
  writeScalar(random, wire, type, options, field);
}

function writeMessage(random: SeededRandom, wire: Wire, field: DescField, options: WireOptions): void {
  const schema = field.message;
  if (schema === undefined) return;
  const child = new Wire(random, options.sloppy);
  const inner = { ...options, depth: options.depth - 1, records: Math.ceil(options.records * 0.7) };
  if (options.depth > 0) writeRecords(random, child, schema, inner);
  if (isDelimited(field)) {
    wire.tag(field.number, START);
    wire.append(child.bytes);
    wire.tag(field.number, END);
  } else {
    wire.tag(field.number, DELIMITED);
    wire.prefixed(child.bytes);
  }
}

function isDelimited(field: DescField): boolean {
  return "delimitedEncoding" in field && field.delimitedEncoding === true;
}

function writeEntry(
  random: SeededRandom,
  wire: Wire,
  field: DescField & { fieldKind: "map" },
  options: WireOptions,
): void {
  const entry = new Wire(random, options.sloppy);
  const key = (): void => {
    entry.tag(1, wireTypeOf(field.mapKey));
    writeScalar(random, entry, field.mapKey, options);
  };
  const value = (): void => {
    if (field.mapKind === "message") {
      const child = new Wire(random, options.sloppy);
      if (options.depth > 0)
        writeRecords(random, child, field.message, { ...options, depth: options.depth - 1, records: 3 });
      entry.tag(2, DELIMITED);
      entry.prefixed(child.bytes);
      return;
    }
    const type = field.mapKind === "enum" ? ScalarType.INT32 : field.scalar;
    entry.tag(2, wireTypeOf(type));
    writeScalar(random, entry, type, options, field);
  };
  if (!random.chance(options.sloppy)) {
    key();
    value();
  } else {
    const other = (): void => writeUnknown(random, entry, undefined, 2);
    for (let i = random.below(5); i > 0; i--) random.pick([key, value, value, value, other])();
  }
  wire.tag(field.number, DELIMITED);
  wire.prefixed(entry.bytes);
}

/** A field that the schema does not have. */
function writeUnknown(
  random: SeededRandom,
  wire: Wire,
  schema: DescMessage | undefined,
  depth: number,
): void {
  let number: number;
  do number = random.pick([3, 4, 15, 16, 21, 2_050, 150_000, 2 ** 29 - 7]) + random.below(4);
  while (schema?.fields.some((field) => field.number === number) === true);
  const wireType = random.pick([VARINT, BIT64, DELIMITED, BIT32, START]);
  wire.tag(number, wireType);
  switch (wireType) {
    case VARINT:
      wire.varint(random.pick(VARINTS));
      break;
    case DELIMITED:
      wire.prefixed(randomBytes(random, random.below(12)));
      break;
    case START:
      for (let i = random.below(3); i > 0 && depth > 0; i--) writeUnknown(random, wire, undefined, depth - 1);
      wire.tag(number, END);
      break;
    default:
      wire.append(randomBytes(random, wireType === BIT64 ? 8 : 4));
  }
}

/** The right number with a wire type that is not the field's. */
function writeWrong(random: SeededRandom, wire: Wire, field: DescField): void {
  wire.tag(field.number, random.below(8));
  wire.append(randomBytes(random, random.below(10)));
}

function wireTypeOf(type: ScalarType): number {
  switch (type) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return DELIMITED;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return BIT64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return BIT32;
    default:
      return VARINT;
  }
}

function writeScalar(
  random: SeededRandom,
  wire: Wire,
  type: ScalarType,
  options: WireOptions,
  field?: DescField,
): void {
  switch (wireTypeOf(type)) {
    case DELIMITED:
      if (type === ScalarType.BYTES) wire.prefixed(randomBytes(random, random.pick([0, 1, 5, 130])));
      else if (random.chance(options.wrong)) wire.prefixed(random.pick(BAD_TEXTS));
      else wire.prefixed([...Buffer.from(random.pick(TEXTS))]);
      return;
    case BIT64:
      wire.append(
        random.chance(0.2) ? new Array(8).fill(random.pick([0, 0x80, 0xff])) : randomBytes(random, 8),
      );
      return;
    case BIT32:
      wire.append(
        random.chance(0.2) ? new Array(4).fill(random.pick([0, 0x80, 0xff])) : randomBytes(random, 4),
      );
      return;
    default: {
      const values = field?.enum?.values;
      if (values !== undefined && random.chance(0.7)) wire.varint(BigInt(random.pick(values).number));
      else if (type === ScalarType.BOOL && !random.chance(options.sloppy)) wire.varint(random.below(2));
      else wire.varint(random.chance(0.5) ? random.pick(VARINTS) : BigInt(random.below(300)));
    }
  }
}

function randomBytes(random: SeededRandom, length: number): number[] {
  return Array.from({ length }, () => random.below(256));
}

/** Changes valid bytes into bytes that may not be valid. */
export function mutate(random: SeededRandom, bytes: Uint8Array): Uint8Array {
  const list = [...bytes];
  const at = random.below(list.length + 1);
  switch (random.below(9)) {
    case 0:
      return bytes.slice(0, at);
    case 1:
      if (list.length > 0) list[at % list.length]! ^= 1 << random.below(8);
      break;
    case 2:
      list.splice(at, 0, ...randomBytes(random, 1 + random.below(4)));
      break;
    case 3:
      list.splice(at, 1 + random.below(4));
      break;
    case 4:
      // A varint that is too long, or has no end.
      list.splice(at, 0, ...new Array(random.pick([4, 5, 9, 10, 11])).fill(random.pick([0x80, 0xff])), 1);
      break;
    case 5:
      // A length beyond all bounds.
      list.splice(
        at,
        0,
        ...random.pick([
          [0xff, 0xff, 0xff, 0xff, 0x0f],
          [0xff, 0xff, 0xff, 0xff, 0x07],
          [0x80, 0x80, 0x01],
        ]),
      );
      break;
    case 6:
      // Field number 0, an end without a beginning, wire types that do not exist.
      list.splice(at, 0, ...random.pick([[0x00], [0x02, 0x00], [0x0c], [0x0e], [0x0f], [0x80, 0x00]]));
      break;
    case 7:
      if (list.length > 0) list[at % list.length] = random.pick([0, 0x7f, 0x80, 0xff]);
      break;
    default: {
      const from = random.below(list.length + 1);
      list.splice(at, 0, ...list.slice(from, from + random.below(20)));
    }
  }
  return Uint8Array.from(list);
}

/** Bytes without any meaning. */
export function noise(random: SeededRandom): Uint8Array {
  return Uint8Array.from(randomBytes(random, random.below(40)));
}

/** Messages in messages, `depth` of them around the innermost, along fields that lead from a type back to itself. */
export function nested(cycle: readonly DescField[], depth: number, innermost: Uint8Array): Uint8Array {
  let inner: number[] = [...innermost];
  const random = new SeededRandom(0);
  for (let i = depth - 1; i >= 0; i--) {
    const field = cycle[i % cycle.length]!;
    const wire = new Wire(random, 0);
    if (field.fieldKind === "map") {
      const entry = new Wire(random, 0);
      entry.tag(2, DELIMITED);
      entry.prefixed(inner);
      inner = entry.bytes;
    }
    if (isDelimited(field)) {
      wire.tag(field.number, START);
      wire.append(inner);
      wire.tag(field.number, END);
    } else {
      wire.tag(field.number, DELIMITED);
      wire.prefixed(inner);
    }
    inner = wire.bytes;
  }
  return Uint8Array.from(inner);
}

/** Fields that lead from the type back to itself, by the shortest way; `undefined`: it is not recursive. */
export function cycleOf(schema: DescMessage): DescField[] | undefined {
  const ways = new Map<DescMessage, DescField[]>();
  const queue: [DescMessage, DescField[]][] = [[schema, []]];
  for (const [type, way] of queue) {
    for (const field of type.fields) {
      if (field.message === undefined || field.message.typeName.startsWith("google.protobuf.")) continue;
      const longer = [...way, field];
      if (field.message === schema) return longer;
      if (ways.has(field.message)) continue;
      ways.set(field.message, longer);
      queue.push([field.message, longer]);
    }
  }
  return undefined;
}
