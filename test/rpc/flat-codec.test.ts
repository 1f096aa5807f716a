import { create, equals, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EchoRequestSchema } from "../../gen/hawser/test/v1/echo_pb.js";
import {
  FlatValuesSchema,
  type MoreValues,
  MoreValuesSchema,
  PresentValuesSchema,
} from "../../gen/hawser/test/v1/values_pb.js";
import { Code } from "../../src/base/code.js";
import { flatCodec } from "../../src/rpc/flat-codec.js";
import { decodeMessage, encodeMessage } from "../../src/rpc/payload.js";

type Init = MessageInitShape<typeof FlatValuesSchema>;

/** The codec under test; it must exist, or the tests would compare protobuf-es with itself. */
const codec = flatCodec(FlatValuesSchema)!;

const text = fc.oneof(
  fc.string({ maxLength: 80 }),
  fc.string({ unit: "binary", maxLength: 80 }),
  fc.string({ minLength: 120, maxLength: 140 }),
  fc.string({ minLength: 4_000, maxLength: 20_000 }),
);
const usual: fc.Arbitrary<Init> = fc.record(
  {
    text,
    data: fc.uint8Array({ maxLength: 5_000 }),
    flag: fc.boolean(),
    small: fc.integer({ min: 0, max: 0xffff_ffff }),
    large: fc.bigInt({ min: 0n, max: BigInt(Number.MAX_SAFE_INTEGER) }),
    number: fc.double(),
    other: text,
  },
  { requiredKeys: [] },
);

describe("the flat codec", () => {
  it("exists for flat messages only", () => {
    expect(flatCodec(FlatValuesSchema)).toBeDefined();
    expect(flatCodec(EchoRequestSchema)).toBeDefined();
    expect(flatCodec(PresentValuesSchema)).toBeUndefined();
    expect(flatCodec(MoreValuesSchema)).toBeUndefined();
  });

  it("writes the bytes that protobuf-es writes", () => {
    fc.assert(
      fc.property(usual, (init) => {
        const bytes = codec.encode(init as Record<string, unknown>);
        expect(bytes).toEqual(toBinary(FlatValuesSchema, create(FlatValuesSchema, init)));
      }),
    );
  });

  it("reads the messages that protobuf-es reads", () => {
    fc.assert(
      fc.property(usual, (init) => {
        const bytes = toBinary(FlatValuesSchema, create(FlatValuesSchema, init));
        const message = codec.decode(bytes);
        expect(message).toStrictEqual(fromBinary(FlatValuesSchema, bytes));
      }),
    );
  });

  it("keeps what earlier messages wrote: no two share bytes", () => {
    const inits = fc.sample(usual, { numRuns: 300, seed: 7 });
    const all = inits.map((init) => codec.encode(init as Record<string, unknown>)!);
    for (const [i, init] of inits.entries()) {
      expect(all[i]).toEqual(toBinary(FlatValuesSchema, create(FlatValuesSchema, init)));
    }
  });

  it.each([
    ["a negative number", { small: -1 }],
    ["a fraction", { small: 1.5 }],
    ["a number for a text", { text: 5 }],
    ["a text for bytes", { data: "AAAA" }],
    ["a number for a bigint", { large: 5 }],
    ["another message's type", { $typeName: "some.Other" }],
  ])("leaves %s to protobuf-es", (_what, init) => {
    expect(codec.encode(init)).toBeUndefined();
  });

  it("leaves large integers to protobuf-es, and the message arrives", () => {
    const init = { large: 2n ** 64n - 1n };
    expect(codec.encode(init)).toBeUndefined();
    const bytes = encodeMessage(FlatValuesSchema, init, Code.Internal);
    expect(decodeMessage(FlatValuesSchema, bytes, Code.Internal, "unknown").large).toBe(2n ** 64n - 1n);
  });

  it("keeps unknown fields, through a decode and an encode", () => {
    const newer: MoreValues = create(MoreValuesSchema, { text: "a", list: ["b", "c"] });
    const older = decodeMessage(
      FlatValuesSchema,
      toBinary(MoreValuesSchema, newer),
      Code.Internal,
      "unknown",
    );
    expect(older.$unknown).toHaveLength(2);
    const back = fromBinary(MoreValuesSchema, encodeMessage(FlatValuesSchema, older, Code.Internal));
    expect(equals(MoreValuesSchema, back, newer)).toBe(true);
  });

  it("accepts and refuses the same bytes as protobuf-es", () => {
    const verdict = (read: () => unknown) => {
      try {
        return read();
      } catch {
        return "refused";
      }
    };
    fc.assert(
      fc.property(usual, fc.nat(), fc.integer({ min: 0, max: 255 }), fc.boolean(), (init, at, byte, cut) => {
        const bytes = toBinary(FlatValuesSchema, create(FlatValuesSchema, init));
        if (bytes.length === 0) return;
        const position = at % bytes.length;
        bytes[position] = byte;
        const hostile = cut ? bytes.subarray(0, position) : bytes;
        const ours = verdict(() => decodeMessage(FlatValuesSchema, hostile, Code.InvalidArgument, "unknown"));
        const theirs = verdict(() => fromBinary(FlatValuesSchema, hostile));
        expect(ours).toStrictEqual(theirs);
      }),
      { numRuns: 2_000 },
    );
  });
});
