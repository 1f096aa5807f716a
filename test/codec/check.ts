// Holds generated codecs against protobuf-es, value by value and byte by byte.
import {
  create,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { codecOf, decode, encode } from "../../src/codec/index.js";
import type { SeededRandom } from "../support/random.js";
import { describeError, difference, equalBytes, hex, type Outcome, outcome } from "./compare.js";
import type { Fields } from "./values.js";

/** A codec and protobuf-es came to different ends. */
export class Mismatch extends Error {
  override readonly name: string = "Mismatch";
}

/** How many messages were tried, and how many of them codecs did themselves. */
export interface Figures {
  /** Encoded without an error. */
  encoded: number;
  /** Encoded by the codec, not by protobuf-es in its place. */
  encodedByCodec: number;
  /** Decoded without an error. */
  decoded: number;
  decodedByCodec: number;
  /** Cases in which protobuf-es throws, and `encode` or `decode` threw the same. */
  errors: number;
}

export const noFigures = (): Figures => ({
  encoded: 0,
  encodedByCodec: 0,
  decoded: 0,
  decodedByCodec: 0,
  errors: 0,
});

/** Bytes around a message; a codec that reads them reads too far. They are tags, lengths and ends of varints. */
const GARBAGE = 0x0a;

/** Compares codecs with protobuf-es, and counts. Every method throws {@link Mismatch} on the first difference. */
export class Checker {
  readonly #random: SeededRandom;
  /** Results of `encode`, with copies: a later message must not be written over an earlier one. */
  readonly #kept: { readonly bytes: Uint8Array; readonly copy: Uint8Array }[] = [];

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /**
   * `encode(schema, init)` against `toBinary(schema, create(schema, init))`, then the codec by itself: its bound, that it
   * keeps to its place in the buffer, and the strict way.
   *
   * @returns the bytes, when there are any.
   */
  encode(schema: DescMessage, init: Fields, figures: Figures): Uint8Array | undefined {
    const value = init as MessageInitShape<DescMessage>;
    const expected = outcome(() => toBinary(schema, create(schema, value)));
    const actual = outcome(() => encode(schema, value));
    const fail = (what: string): never => {
      throw new Mismatch(`encoding ${schema.typeName}: ${what}`);
    };
    same(actual, expected, fail, (a, b) =>
      equalBytes(a, b) ? undefined : `${hex(a)}, where protobuf-es gives ${hex(b)}`,
    );
    if ("error" in expected) figures.errors++;
    else figures.encoded++;
    if ("value" in actual) this.#keep(actual.value);
    const byCodec = this.#write(schema, init, false, expected, fail);
    if (byCodec) figures.encodedByCodec++;
    // As a part of a message that was created: nothing in it is created any more.
    this.#write(
      schema,
      init,
      true,
      outcome(() => toBinary(schema, value as Message)),
      fail,
    );
    return "value" in expected ? expected.value : undefined;
  }

  /** Lets the codec write; says whether it did. */
  #write(
    schema: DescMessage,
    init: Fields,
    strict: boolean,
    expected: Outcome<Uint8Array>,
    fail: (what: string) => never,
  ): boolean {
    const codec = codecOf(schema);
    if (codec === undefined) return false;
    const way = strict ? "strictly" : "freely";
    const bounded = outcome(() => codec.bound(init));
    // What it throws comes out of getters and the like, and so out of protobuf-es, too.
    if ("error" in bounded) {
      if (!("error" in expected)) fail(`its bound throws ${describeError(bounded.error)} ${way}`);
      return false;
    }
    const bound = bounded.value;
    if (Number.isNaN(bound)) return false;
    if (!Number.isSafeInteger(bound) || bound < 0) fail(`its bound is ${bound} ${way}`);
    const at = this.#random.below(20);
    const into = new Uint8Array(at + bound + 8).fill(0xaa);
    const written = outcome(() => codec.write(init, into, at, strict));
    if ("error" in written) return fail(`its codec throws ${describeError(written.error)} ${way}`);
    const end = written.value;
    if (into.subarray(0, at).some((byte) => byte !== 0xaa)) fail(`its codec writes before its place ${way}`);
    if (into.subarray(at + bound).some((byte) => byte !== 0xaa))
      fail(`its codec writes more than its bound ${way}`);
    if (end === -1) return false;
    if (end < at || end > at + bound)
      fail(`its codec ends at ${end}, outside of ${at} to ${at + bound} ${way}`);
    const bytes = into.subarray(at, end);
    if ("error" in expected) {
      return fail(
        `its codec writes ${hex(bytes)} ${way}, where protobuf-es throws ${describeError(expected.error)}`,
      );
    }
    if (!equalBytes(bytes, expected.value)) {
      fail(`its codec writes ${hex(bytes)} ${way}, where protobuf-es gives ${hex(expected.value)}`);
    }
    return true;
  }

  #keep(bytes: Uint8Array): void {
    this.#kept.push({ bytes, copy: bytes.slice() });
    if (this.#kept.length < 50) return;
    for (const kept of this.#kept) {
      if (!equalBytes(kept.bytes, kept.copy))
        throw new Mismatch("an encoded message was written over by a later one");
    }
    this.#kept.length = 0;
  }

  /**
   * `decode(schema, bytes)` against `fromBinary(schema, bytes)`, for an array of its own, for a Buffer, and for a part of a
   * larger array; then the codec by itself, at a place and at a depth.
   *
   * @returns the message, when there is one.
   */
  decode(schema: DescMessage, bytes: Uint8Array, figures: Figures): Fields | undefined {
    const fail = (what: string): never => {
      throw new Mismatch(`decoding ${schema.typeName} from ${hex(bytes)}: ${what}`);
    };
    const before = this.#random.below(12);
    const large = new Uint8Array(before + bytes.length + 12).fill(GARBAGE);
    large.set(bytes, before);
    const part = large.subarray(before, before + bytes.length);
    const whole = bytes.slice();
    const views = [whole, part, Buffer.from(part.buffer, part.byteOffset, part.length)];
    const view = this.#random.pick(views);
    const expected = outcome(() => fromBinary(schema, view));
    const actual = outcome(() => decode(schema, view));
    same(actual, expected, fail, (a, b) => difference(a, b, view.buffer));
    if ("error" in expected) figures.errors++;
    else figures.decoded++;
    if (this.#read(schema, large, before, bytes.length, 0, fail)) figures.decodedByCodec++;
    if (this.#random.chance(0.1)) {
      this.#read(schema, large, before, bytes.length, this.#random.pick([1, 90, 97, 98, 99, 100]), fail);
    }
    if (!equalBytes(view, bytes)) fail("the bytes were changed");
    return "value" in expected ? (expected.value as unknown as Fields) : undefined;
  }

  /** Lets the codec read a part of an array, `depth` messages deep; says whether it did. */
  #read(
    schema: DescMessage,
    large: Uint8Array,
    from: number,
    length: number,
    depth: number,
    fail: (what: string) => never,
  ): boolean {
    const codec = codecOf(schema);
    if (codec === undefined) return false;
    const options = { recursionLimit: 100 - depth };
    const expected = outcome(() => fromBinary(schema, large.subarray(from, from + length), options));
    const read = outcome(() => codec.read(large, from, from + length, depth));
    if ("error" in read) return fail(`its codec throws ${describeError(read.error)} at depth ${depth}`);
    if (read.value === undefined) return false;
    if ("error" in expected) {
      return fail(
        `its codec reads it at depth ${depth}, where protobuf-es throws ${describeError(expected.error)}`,
      );
    }
    const different = difference(read.value, expected.value, large.buffer);
    if (different !== undefined) fail(`its codec by itself: ${different}`);
    return true;
  }
}

/** Fails unless both outcomes are equal values or equal errors. */
function same<T>(
  actual: Outcome<T>,
  expected: Outcome<T>,
  fail: (what: string) => never,
  compare: (a: T, b: T) => string | undefined,
): void {
  if ("error" in expected) {
    if (!("error" in actual))
      return fail(`no error, where protobuf-es throws ${describeError(expected.error)}`);
    const ours = describeError(actual.error);
    const theirs = describeError(expected.error);
    if (ours !== theirs) fail(`throws ${ours}, where protobuf-es throws ${theirs}`);
    return;
  }
  if ("error" in actual) return fail(`throws ${describeError(actual.error)}, where protobuf-es does not`);
  const different = compare(actual.value, expected.value);
  if (different !== undefined) fail(different);
}
