// Messages of a trunk beside protobuf-es, which knows them from the schema.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { CarriedSchema } from "../../gen/hawser/v1/trunk_pb.js";
import { encodePacket } from "../../src/wire/encode.js";
import { WireError } from "../../src/wire/error.js";
import { CARRIED_BYTES, carryBytes, carryClose, carryPacket, readCarried } from "../../src/wire/trunk.js";
import { frames } from "../support/frames.js";

const lane = fc.integer({ min: 1, max: 0xffff_ffff });
const reference = (bytes: Uint8Array) => fromBinary(CarriedSchema, bytes);

/** A packet of about this size. */
const packet = (bytes: number) =>
  encodePacket({ seq: 0, ack: 7, frames: [frames.hello({ credentials: "x".repeat(bytes) })] });

test("packets are carried as the schema says, in one piece and in two", () => {
  fc.assert(
    fc.property(
      lane,
      fc.integer({ min: 0, max: 70_000 }),
      fc.double({ min: 0, max: 1 }),
      (lane, size, cut) => {
        const bytes = packet(size);
        const at = Math.floor(bytes.length * cut);
        const whole = carryBytes(lane, bytes);
        const { what } = reference(whole);
        if (what.case !== "packet") throw new Error("no packet");
        expect(reference(whole).lane).toBe(lane);
        expect(what.value.ack).toBe(7n);
        expect(whole.length - bytes.length).toBeLessThanOrEqual(CARRIED_BYTES);
        expect(readCarried(whole)).toEqual({ kind: "packet", lane, packet: bytes });
        const halves = { head: bytes.subarray(0, at), body: bytes.subarray(at), plain: true };
        const carried = carryPacket(lane, halves, (length) => new Uint8Array(length).fill(255));
        expect(Buffer.concat([carried.head, carried.body!])).toEqual(Buffer.from(whole));
        expect(carried).toMatchObject({ bytes: whole.length, plain: true });
        expect(carried.head.byteOffset).toBe(carried.room);
      },
    ),
    { numRuns: 50 },
  );
});

test("closes are carried as the schema says", () => {
  fc.assert(
    fc.property(
      lane,
      fc.integer({ min: 1000, max: 4999 }),
      fc.string({ unit: "grapheme" }).filter((reason) => Buffer.byteLength(reason) <= 123),
      (lane, code, reason) => {
        const expected = create(CarriedSchema, { lane, what: { case: "closed", value: { code, reason } } });
        expect(reference(carryClose(lane, code, reason))).toEqual(expected);
        expect(readCarried(carryClose(lane, code, reason))).toEqual({ kind: "closed", lane, code, reason });
        expect(readCarried(toBinary(CarriedSchema, expected))).toEqual({
          kind: "closed",
          lane,
          code,
          reason,
        });
      },
    ),
  );
});

test("reasons of closes are read as far as a close frame would hold them", () => {
  expect(readCarried(carryClose(1, 1008, "é".repeat(100_000)))).toMatchObject({ reason: "é".repeat(61) });
  expect(readCarried(carryClose(1, 1008, "x".repeat(123)))).toMatchObject({ reason: "x".repeat(123) });
});

test("whatever comes in is read, or refused with 1007", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        const { lane } = readCarried(bytes);
        expect(lane).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toBeInstanceOf(WireError);
        expect((error as WireError).closeCode).toBe(1007);
      }
    }),
    { numRuns: 2_000 },
  );
  const unknown = [0x2a, 1, 9];
  expect(readCarried(Uint8Array.of(...unknown, 0x12, 0, 0x08, 5))).toMatchObject({ kind: "packet", lane: 5 });
  expect(() => readCarried(Uint8Array.of(0x12, 0))).toThrow("no lane");
  expect(() => readCarried(Uint8Array.of(0x08, 5))).toThrow("neither a packet nor");
  expect(() => readCarried(Uint8Array.of(0x08, 5, 0x12, 9, 1))).toThrow("length 9 where 1 bytes are left");
});
