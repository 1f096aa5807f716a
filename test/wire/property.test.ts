// Our codec and protobuf-es make and read the same bytes. fast-check prints the seed of a failure.
import { create, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PacketSchema } from "../../gen/hawser/v1/wire_pb.js";
import { decodePacket } from "../../src/wire/decode.js";
import { encodePacket, PacketEncoder } from "../../src/wire/encode.js";
import type { Frame, Packet } from "../../src/wire/frame.js";
import { frameBytes } from "../../src/wire/size.js";
import { frame, framesOfOneKind, packet } from "./arbitrary.js";
import { fromPb, pbDecode, pbEncode, toPb } from "./reference.js";

const RUNS = { numRuns: 1_500 };

/** Fields whose numbers are above the payload's are written in front of it all the same. */
function withoutFieldsBehindPayload(frame: Frame): Frame {
  if (frame.kind === "open" && frame.payload !== undefined) {
    return { ...frame, resumeToken: "", idempotencyKey: "" };
  }
  if (frame.kind === "data" && frame.payload !== undefined) return { ...frame, resumeToken: "" };
  if (frame.kind === "end" && frame.payload !== undefined) return { ...frame, unfinished: false };
  return frame;
}

describe("any packet", () => {
  it("is encoded to the bytes of protobuf-es, but for the payload, which comes last", () => {
    fc.assert(
      fc.property(packet, (packet) => {
        const inOrder = { ...packet, frames: packet.frames.map(withoutFieldsBehindPayload) };
        expect(hex(encodePacket(inOrder))).toBe(hex(pbEncode(inOrder)));
        expect(encodePacket(packet)).toHaveLength(pbEncode(packet).length);
      }),
      RUNS,
    );
  });

  it("is read by protobuf-es as it was written", () => {
    fc.assert(
      fc.property(packet, (packet) => {
        expect(pbDecode(encodePacket(packet))).toEqual(packet);
      }),
      RUNS,
    );
  });

  it("is read by us as protobuf-es wrote it", () => {
    fc.assert(
      fc.property(packet, (packet) => {
        expect(decodePacket(pbEncode(packet))).toEqual(packet);
      }),
      RUNS,
    );
  });

  it("comes out of the packet encoder as the same bytes, split where a payload goes beside", () => {
    const encoder = new PacketEncoder();
    fc.assert(
      fc.property(packet, ({ seq, ack, frames }) => {
        let first = 0;
        while (first < frames.length || frames.length === 0) {
          let next = first;
          while (next < frames.length && !encoder.full) encoder.add(frames[next++] as Frame);
          const whole = encodePacket({ seq, ack, frames: frames.slice(first, next) });
          expect(encoder.frames).toBe(next - first);
          expect(encoder.bytes).toBe(
            frames.slice(first, next).reduce((sum, frame) => sum + frameBytes(frame), 0),
          );
          const { head, body, bytes } = encoder.finish(seq, ack);
          expect(bytes).toBe(whole.length);
          expect(hex(head) + (body === undefined ? "" : hex(body))).toBe(hex(whole));
          if (frames.length === 0) break;
          first = next;
        }
      }),
      RUNS,
    );
  });
});

describe("fields that nobody knows", () => {
  /** Values of every wire type, groups nested in groups among them, under numbers that no message uses. */
  const { unknown } = fc.letrec<{ unknown: Unknown }>((tie) => ({
    unknown: fc
      .record({
        no: fc.oneof(
          fc.integer({ min: 15, max: 2 ** 29 - 1 }),
          fc.constantFrom(15, 16, 2047, 2048, 2 ** 29 - 1),
        ),
        value: fc.oneof(
          { withCrossShrink: true, maxDepth: 3 },
          fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value) => ({
            wireType: WireType.Varint,
            data: new BinaryWriter().uint64(value).finish(),
          })),
          fc.uint8Array({ minLength: 8, maxLength: 8 }).map((data) => ({ wireType: WireType.Bit64, data })),
          fc.uint8Array({ minLength: 4, maxLength: 4 }).map((data) => ({ wireType: WireType.Bit32, data })),
          fc.uint8Array({ maxLength: 200 }).map((data) => ({
            wireType: WireType.LengthDelimited,
            data: new BinaryWriter().bytes(data).finish(),
          })),
          fc
            .array(tie("unknown"), { maxLength: 3 })
            .map((inner) => ({ wireType: WireType.StartGroup, data: concat(inner.map(encodeUnknown)) })),
        ),
      })
      .map(({ no, value }) => ({
        no,
        wireType: value.wireType,
        data:
          value.wireType === WireType.StartGroup
            ? concat([value.data, new BinaryWriter().tag(no, WireType.EndGroup).finish()])
            : value.data,
      })),
  }));

  it("are skipped at every level", () => {
    fc.assert(
      fc.property(
        packet,
        fc.array(unknown, { minLength: 1, maxLength: 6 }),
        fc.nat(),
        (packet, extra, salt) => {
          const message = toPb(packet);
          let turn = salt;
          let sprinkled = 0;
          visit(message, (part) => {
            if (turn++ % 3 === 0) return;
            part.$unknown = extra.slice(0, 1 + (turn % extra.length));
            sprinkled++;
          });
          fc.pre(sprinkled > 0);
          const bytes = toBinary(PacketSchema, message);
          expect(decodePacket(bytes)).toEqual(packet);
          expect(fromPb(fromBinary(PacketSchema, bytes))).toEqual(packet);
        },
      ),
      RUNS,
    );
  });

  it("are skipped in front of known ones too", () => {
    fc.assert(
      fc.property(packet, unknown, (packet, extra) => {
        const bytes = concat([encodeUnknown(extra), encodePacket(packet)]);
        expect(decodePacket(bytes)).toEqual(packet);
      }),
      RUNS,
    );
  });

  it("make a frame unknown when there is nothing else in it", () => {
    fc.assert(
      fc.property(unknown, (extra) => {
        const bytes = new BinaryWriter()
          .tag(3, WireType.LengthDelimited)
          .bytes(encodeUnknown(extra))
          .finish();
        expect(decodePacket(bytes).frames).toEqual([{ kind: "unknown" }]);
      }),
      RUNS,
    );
  });
});

describe("frames with several kinds", () => {
  it("are merged or replaced as protobuf-es does", () => {
    fc.assert(
      fc.property(fc.array(frame, { minLength: 2, maxLength: 4 }), (frames) => {
        const bytes = oneFrame(frames);
        expect(decodePacket(bytes)).toEqual(pbDecode(bytes));
      }),
      RUNS,
    );
  });

  it("are merged when the kinds are the same", () => {
    fc.assert(
      fc.property(framesOfOneKind, (frames) => {
        const bytes = oneFrame(frames);
        expect(decodePacket(bytes)).toEqual(pbDecode(bytes));
      }),
      RUNS,
    );
  });
});

describe("fields that occur twice in a frame", () => {
  it("count as protobuf-es counts them", () => {
    fc.assert(
      fc.property(framesOfOneKind, (frames) => {
        const bytes = oneBody(frames);
        expect(decodePacket(bytes)).toEqual(pbDecode(bytes));
      }),
      RUNS,
    );
  });
});

interface Unknown {
  readonly no: number;
  readonly wireType: WireType;
  readonly data: Uint8Array;
}

function encodeUnknown({ no, wireType, data }: Unknown): Uint8Array {
  return new BinaryWriter().tag(no, wireType).raw(data).finish();
}

/** A packet of one frame that holds the kinds of all these frames, one after another. */
function oneFrame(frames: readonly Frame[]): Uint8Array {
  return new BinaryWriter()
    .tag(3, WireType.LengthDelimited)
    .bytes(concat(kindsOf(frames)))
    .finish();
}

/** A packet of one frame whose one kind holds the fields of all these frames, which are of that kind. */
function oneBody(frames: readonly Frame[]): Uint8Array {
  const kinds = kindsOf(frames);
  const bodies = kinds.map(content);
  const kind = concat([(kinds[0] as Uint8Array).subarray(0, 1), lengthAndBytes(concat(bodies))]);
  return new BinaryWriter().tag(3, WireType.LengthDelimited).bytes(kind).finish();
}

/** What is inside each frame as protobuf-es writes it: tag and length of its kind, then its fields. */
function kindsOf(frames: readonly Frame[]): Uint8Array[] {
  const packet: Packet = { seq: 1, ack: 0, frames };
  return toPb(packet).frames.map((frame) =>
    content(toBinary(PacketSchema, create(PacketSchema, { frames: [frame] }))),
  );
}

/** The value of a field whose tag is one byte, and which has a length. */
function content(field: Uint8Array): Uint8Array {
  return field.subarray(1 + varintLength(field, 1));
}

function lengthAndBytes(bytes: Uint8Array): Uint8Array {
  return new BinaryWriter().bytes(bytes).finish();
}

function varintLength(bytes: Uint8Array, at: number): number {
  let length = 1;
  while (((bytes[at + length - 1] as number) & 0x80) !== 0) length++;
  return length;
}

/** Calls `each` for every message in `message`, itself first. */
function visit(message: Message, each: (part: { $unknown?: Unknown[] }) => void): void {
  each(message as { $unknown?: Unknown[] });
  for (const value of Object.values(message) as unknown[]) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (typeof item !== "object" || item === null || item instanceof Uint8Array) continue;
      if ("$typeName" in item) visit(item as Message, each);
      else if ("case" in item && "value" in item && typeof item.value === "object") {
        visit(item.value as Message, each);
      }
    }
  }
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}
