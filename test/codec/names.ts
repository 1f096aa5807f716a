import type { SeededRandom } from "../support/random.js";

/** Identifiers that a generator must not trip over: words of JavaScript, of its runtime, and of its own output. */
const HOSTILE_FIELDS: readonly string[] = [
  ..."constructor prototype __proto__ to_string toString to_json value_of class default in new await".split(
    " ",
  ),
  ..."arguments eval this super null true false undefined NaN Infinity yield let static enum function return".split(
    " ",
  ),
  ..."case value name length message type_name typeName unknown schema bytes text into at from to pos end tag".split(
    " ",
  ),
  ..."key item items entry read write bound codec encode decode create init index i n v m view data start".split(
    " ",
  ),
  ..."foo_bar_1 foo__baz _lead trail_ A_B ABC x1y2 Object Number String BigInt Uint8Array Math Array".split(
    " ",
  ),
];

const HOSTILE_TYPES: readonly string[] = [
  ..."Object String Number Boolean BigInt Symbol Array Map Set Promise Function Error RangeError Uint8Array".split(
    " ",
  ),
  ..."DataView Float64Array Buffer Message MessageCodec Codec Schema Reader Writer TextDecoder constructor".split(
    " ",
  ),
  ..."default class registerCodec codecOf Math Reflect Proto lower_case $".split(" ").slice(0, -1),
];

/**
 * Hands out identifiers that do not collide with each other, neither as they are nor in any of the cases that
 * generators bring them into.
 */
export class Names {
  readonly #random: SeededRandom;
  readonly #taken = new Set<string>();
  #next = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** Name of a field or a oneof, as in a message. */
  field(): string {
    return this.#one(HOSTILE_FIELDS, "field_");
  }

  /** Name of a message or an enum. */
  type(): string {
    return this.#one(HOSTILE_TYPES, "Type");
  }

  /** Name of an extension. protoc-gen-es makes constants of them, and not of words like `eval`. */
  plain(): string {
    for (;;) {
      const name = `extension_${this.#next++}`;
      if (this.take(name)) return name;
    }
  }

  /** Says whether the name was free, and takes it. */
  take(name: string): boolean {
    const key = name.replaceAll("_", "").toLowerCase();
    if (this.#taken.has(key)) return false;
    this.#taken.add(key);
    return true;
  }

  #one(hostile: readonly string[], prefix: string): string {
    if (this.#random.chance(0.4)) {
      const name = this.#random.pick(hostile);
      if (this.take(name)) return name;
    }
    for (;;) {
      const name = `${prefix}${this.#next++}`;
      if (this.take(name)) return name;
    }
  }
}

/** `foo_bar` is `fooBar`: how protoc derives JSON names. */
export function camelCase(name: string): string {
  let result = "";
  let upper = false;
  for (const char of name) {
    if (char === "_") upper = true;
    else {
      result += upper ? char.toUpperCase() : char;
      upper = false;
    }
  }
  return result;
}

/** `foo_bar` has its entries in `FooBarEntry`: how protoc names the messages of map entries. */
export function entryName(name: string): string {
  const camel = camelCase(name);
  return `${camel.charAt(0).toUpperCase()}${camel.slice(1)}Entry`;
}
