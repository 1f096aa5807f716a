// The bytes of bodies, in whatever chunks they come.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodeClose,
  encodeClose,
  encodeRecord,
  joined,
  RecordError,
  RecordKind,
  RecordReader,
} from "../../src/fallback/records.js";

describe("records", () => {
  test("are a byte for the kind, four for the length, and the content", () => {
    expect(Buffer.from(encodeRecord(RecordKind.packet, new Uint8Array([1, 2, 3]))).toString("hex")).toBe(
      "0000000003010203",
    );
    expect(Buffer.from(encodeRecord(RecordKind.probe)).toString("hex")).toBe("0200000000");
    expect(Buffer.from(encodeClose(4401, "who?")).toString("hex")).toBe("0100000006113177686f3f");
  });

  test("come out as they went in, however they are cut", () => {
    const content = fc.uint8Array({ maxLength: 300 });
    const cuts = fc.array(fc.nat({ max: 50 }), { minLength: 1 });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat({ max: 255 }), content)), cuts, (records, sizes) => {
        const bytes = joined(records.map(([kind, part]) => encodeRecord(kind, part)));
        const reader = new RecordReader(300);
        const read: [number, number[]][] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = 1 + (sizes[turn % sizes.length] ?? 0);
          for (const { kind, content: part } of reader.read(bytes.subarray(at, at + size)))
            read.push([kind, [...part]]);
          at += size;
        }
        expect(read).toEqual(records.map(([kind, part]) => [kind, [...part]]));
        expect(reader.isComplete).toBe(true);
      }),
    );
  });

  test("that are too long are refused by their length alone", () => {
    const reader = new RecordReader(1_000);
    const head = new Uint8Array([0, 0xff, 0xff, 0xff, 0xff]);
    expect(() => reader.read(head)).toThrow(
      new RecordError("a record of 4294967295 bytes is over the limit of 1000", 1009),
    );
  });

  test("that are not all there are told", () => {
    const reader = new RecordReader(1_000);
    expect(reader.read(encodeRecord(0, new Uint8Array(9)).subarray(0, 13))).toEqual([]);
    expect(reader.isComplete).toBe(false);
  });

  test("of a close carry code and reason, cut to what a close frame holds", () => {
    const [long] = new RecordReader(1_000).read(encodeClose(1008, "é".repeat(100)));
    expect(decodeClose(long!.content)).toEqual({ code: 1008, reason: "é".repeat(61) });
    const content = Buffer.concat([Buffer.from([0x03, 0xf0]), Buffer.from("é".repeat(100_000))]);
    expect(decodeClose(content)).toEqual({ code: 1008, reason: "é".repeat(61) });
    const { reason } = decodeClose(new Uint8Array(1_000).fill(0xff));
    expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
    expect(decodeClose(new Uint8Array(0))).toEqual({ code: 1005, reason: "" });
  });
});
