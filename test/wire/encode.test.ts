// Slabs, payloads beside, and what the encoder refuses.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodePacket } from "../../src/wire/decode.js";
import {
  encodePacket,
  LARGE_SLAB_BYTES,
  type MessageWriter,
  PACKET_HEAD_BYTES,
  PacketEncoder,
  SLAB_BYTES,
} from "../../src/wire/encode.js";
import type { DataFrame, EndFrame, Frame, OpenFrame } from "../../src/wire/frame.js";
import { BESIDE_BYTES, CHUNK_BYTES } from "../../src/wire/limits.js";
import { frameBytes } from "../../src/wire/size.js";

function data(payload: Uint8Array | undefined, call = 1): DataFrame {
  return { kind: "data", call, end: false, size: 0, headers: undefined, resumeToken: "", payload };
}

function filled(length: number, salt = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i * 31 + salt);
}

function whole({ head, body }: { head: Uint8Array; body: Uint8Array | undefined }): Buffer {
  return Buffer.concat(body === undefined ? [head] : [head, body]);
}

/** An encoder and the sizes of the buffers that it asked for. */
function recording(): { encoder: PacketEncoder; allocated: number[] } {
  const allocated: number[] = [];
  const encoder = new PacketEncoder((bytes) => {
    allocated.push(bytes);
    // Dirty memory: what is not written must not show.
    return new Uint8Array(bytes).fill(0xee);
  });
  return { encoder, allocated };
}

describe("slabs", () => {
  it("are not taken before the first packet", () => {
    expect(recording().allocated).toEqual([]);
  });

  it("hold many packets, and none is ever overwritten", () => {
    const { encoder, allocated } = recording();
    const packets: { head: Uint8Array; copy: Buffer }[] = [];
    for (let i = 1; i <= 5_000; i++) {
      for (let k = 0; k <= i % 5; k++) encoder.add(data(filled((i * 37 + k * 101) % 400, i), i));
      const { head, body } = encoder.finish(i, i - 1);
      expect(body).toBeUndefined();
      packets.push({ head, copy: Buffer.from(head) });
    }
    for (const [i, { head, copy }] of packets.entries()) {
      expect(Buffer.compare(head, copy)).toBe(0);
      expect(decodePacket(head).seq).toBe(i + 1);
    }
    expect(new Set(allocated)).toEqual(new Set([SLAB_BYTES]));
    const bytes = packets.reduce((sum, { head }) => sum + head.length, 0);
    expect(allocated.length).toBeLessThan((1.2 * bytes) / SLAB_BYTES);
  });

  it("hold packets that do not overlap", () => {
    const { encoder } = recording();
    let last: Uint8Array | undefined;
    for (let i = 0; i < 2_000; i++) {
      encoder.add(data(filled(i % 50)));
      const { head } = encoder.finish(2 ** 53 - 1, 2 ** 53 - 1);
      if (last !== undefined && last.buffer === head.buffer) {
        expect(head.byteOffset).toBeGreaterThanOrEqual(last.byteOffset + last.byteLength);
      }
      last = head;
    }
  });

  it("are left for a new one by a packet that no longer fits, which goes along whole", () => {
    const { encoder, allocated } = recording();
    const payload = filled(3_000);
    const frames = Array.from({ length: 5 }, (_, i) => data(payload, i));
    encoder.add(data(payload));
    const before = encoder.finish(1, 0).head;
    for (const frame of frames) encoder.add(frame);
    const { head } = encoder.finish(2, 1);
    expect(allocated).toEqual([SLAB_BYTES, LARGE_SLAB_BYTES]);
    expect(head.buffer).not.toBe(before.buffer);
    expect(decodePacket(head)).toEqual({ seq: 2, ack: 1, frames });
    expect(decodePacket(before).frames).toEqual([data(payload)]);
  });

  it("are filled to the last byte", () => {
    const { encoder, allocated } = recording();
    let left = SLAB_BYTES;
    while (left > 1_500) {
      encoder.add(data(filled(1_000)));
      left -= PACKET_HEAD_BYTES + encoder.bytes;
      encoder.finish(1, 1);
    }
    const overhead = frameBytes(data(filled(left - PACKET_HEAD_BYTES))) - (left - PACKET_HEAD_BYTES);
    const frame = data(filled(left - PACKET_HEAD_BYTES - overhead));
    expect(frameBytes(frame)).toBe(left - PACKET_HEAD_BYTES);
    encoder.add(frame);
    const { head } = encoder.finish(1, 1);
    expect(allocated).toEqual([SLAB_BYTES]);
    expect(head.byteOffset + head.byteLength).toBe(SLAB_BYTES);
    expect(decodePacket(encoder.finish(3, 2).head)).toEqual({ seq: 3, ack: 2, frames: [] });
    expect(allocated).toEqual([SLAB_BYTES, SLAB_BYTES]);
  });

  it.each([
    [300, 16],
    [1_055, 16],
    [3_000, 6],
  ])("are large enough for packets of messages of %i bytes, so that few of them move", (bytes, frames) => {
    const { encoder, allocated } = recording();
    for (let seq = 1; seq <= 1_000; seq++) {
      for (let i = 0; i < frames; i++) encoder.add(data(filled(bytes)));
      encoder.finish(seq, 0);
    }
    const sum = allocated.reduce((total, slab) => total + slab, 0);
    expect(sum).toBeLessThan(1.5 * 1_000 * frames * bytes);
  });

  it("are not used by a packet larger than one, and go on being used after it", () => {
    const { encoder, allocated } = recording();
    encoder.add(data(filled(10)));
    encoder.finish(1, 0);
    const frames = Array.from({ length: 40 }, (_, i) => data(filled(4_000, i), i));
    for (const frame of frames) encoder.add(frame);
    const big = encoder.finish(2, 0);
    expect(decodePacket(big.head)).toEqual({ seq: 2, ack: 0, frames });
    expect(big.head.byteLength).toBeGreaterThan(LARGE_SLAB_BYTES);
    expect(big.head.buffer.byteLength).toBeLessThanOrEqual(2 * big.head.byteLength);
    encoder.add(data(filled(11)));
    const last = encoder.finish(3, 0).head;
    expect(last.buffer.byteLength).toBe(LARGE_SLAB_BYTES);
    expect(decodePacket(last).frames).toEqual([data(filled(11))]);
    expect(decodePacket(big.head)).toEqual({ seq: 2, ack: 0, frames });
    expect(allocated.length).toBeLessThanOrEqual(5);
  });

  it("are not used by a single frame larger than one", () => {
    const { encoder, allocated } = recording();
    const hello: Frame = {
      kind: "hello",
      version: 1,
      mode: 1,
      session: new Uint8Array(0),
      epoch: new Uint8Array(0),
      received: 0,
      credentials: "x".repeat(70_000),
      limits: undefined,
      agent: "",
      link: 0,
    };
    encoder.add(hello);
    expect(decodePacket(encoder.finish(0, 0).head)).toEqual({ seq: 0, ack: 0, frames: [hello] });
    expect(allocated).toEqual([PACKET_HEAD_BYTES + frameBytes(hello)]);
  });

  it("may be larger than asked for, and may be of a subclass", () => {
    const encoder = new PacketEncoder((bytes) => Buffer.alloc(bytes + 100, 0xee));
    for (let i = 1; i < 200; i++) {
      const frames = [data(filled(500, i)), data(filled(20, i))];
      for (const frame of frames) encoder.add(frame);
      const { head } = encoder.finish(i, 0);
      expect(head).toBeInstanceOf(Buffer);
      expect(decodePacket(head)).toEqual({ seq: i, ack: 0, frames });
    }
  });
});

describe("packets", () => {
  it("without frames only acknowledge", () => {
    const encoder = new PacketEncoder();
    expect(Buffer.from(encoder.finish(0, 300).head).toString("hex")).toBe("10ac02");
    expect(encoder.finish(0, 0)).toMatchObject({ body: undefined, bytes: 0 });
  });

  it("count frames and bytes", () => {
    const encoder = new PacketEncoder();
    expect([encoder.frames, encoder.bytes, encoder.full]).toEqual([0, 0, false]);
    encoder.add(data(filled(5)));
    encoder.add({ kind: "credit", call: 1, bytes: 9 });
    expect([encoder.frames, encoder.bytes, encoder.full]).toEqual([2, 21, false]);
    encoder.add(data(filled(BESIDE_BYTES)));
    expect([encoder.frames, encoder.bytes, encoder.full]).toEqual([3, 21 + 4096 + 11, true]);
    encoder.finish(1, 0);
    expect([encoder.frames, encoder.bytes, encoder.full]).toEqual([0, 0, false]);
  });

  it("of ten thousand frames are whole", () => {
    const encoder = new PacketEncoder();
    const frames = Array.from({ length: 10_000 }, (_, i) => data(filled(i % 7), i));
    for (const frame of frames) encoder.add(frame);
    const { head, bytes } = encoder.finish(7, 8);
    expect(Buffer.compare(head, encodePacket({ seq: 7, ack: 8, frames }))).toBe(0);
    expect(bytes).toBe(head.length);
  });

  it("can be dropped before they are finished", () => {
    const encoder = new PacketEncoder();
    encoder.add(data(filled(100)));
    encoder.add(data(filled(BESIDE_BYTES)));
    encoder.discard();
    encoder.add(data(filled(3)));
    expect(decodePacket(encoder.finish(1, 0).head).frames).toEqual([data(filled(3))]);
  });
});

describe("a payload beside its head", () => {
  const open = (payload: Uint8Array): OpenFrame => ({
    kind: "open",
    call: 3,
    method: 2,
    name: "a.B/C",
    headers: [["name", "value"]],
    timeoutMs: 5,
    end: true,
    size: 0,
    resumeToken: "token",
    idempotencyKey: "key",
    payload,
  });
  const end = (payload: Uint8Array): EndFrame => ({
    kind: "end",
    call: 3,
    code: 0,
    message: "",
    details: undefined,
    headers: undefined,
    trailers: [["name", "value"]],
    refused: false,
    unfinished: true,
    payload,
  });

  for (const make of [data, open, end]) {
    it(`of ${make(filled(1)).kind} begins at ${BESIDE_BYTES} bytes`, () => {
      const encoder = new PacketEncoder();
      encoder.add(make(filled(BESIDE_BYTES - 1)));
      expect(encoder.full).toBe(false);
      expect(encoder.finish(1, 2).body).toBeUndefined();
      for (const length of [BESIDE_BYTES, SLAB_BYTES, CHUNK_BYTES]) {
        const payload = filled(length);
        encoder.add(data(filled(7)));
        encoder.add(make(payload));
        expect(encoder.full).toBe(true);
        const packet = encoder.finish(1, 2);
        expect(packet.body).toBe(payload);
        expect(packet.head.length).toBeLessThan(100);
        expect(packet.bytes).toBe(packet.head.length + length);
        expect(decodePacket(whole(packet))).toEqual({
          seq: 1,
          ack: 2,
          frames: [data(filled(7)), make(payload)],
        });
      }
    });
  }

  it("takes no room in the slab", () => {
    const { encoder, allocated } = recording();
    for (let i = 1; i <= 100; i++) {
      encoder.add(data(filled(CHUNK_BYTES)));
      encoder.finish(i, 0);
    }
    expect(allocated).toEqual([SLAB_BYTES]);
  });

  it("ends the packet", () => {
    const encoder = new PacketEncoder();
    encoder.add(data(filled(BESIDE_BYTES)));
    expect(() => encoder.add(data(undefined))).toThrow("full");
    expect(encoder.frames).toBe(1);
    encoder.finish(1, 0);
    encoder.add(data(undefined));
  });

  it("is not for other large fields", () => {
    const encoder = new PacketEncoder();
    const frame: EndFrame = {
      ...end(filled(10)),
      message: "m".repeat(BESIDE_BYTES),
      details: [{ type: "a.B", value: filled(BESIDE_BYTES) }],
    };
    encoder.add(frame);
    expect(encoder.full).toBe(false);
    expect(decodePacket(encoder.finish(1, 0).head).frames).toEqual([frame]);
  });
});

describe("values", () => {
  it("that no field can hold are refused, and the packet stays as it was", () => {
    const encoder = new PacketEncoder();
    encoder.add(data(filled(3)));
    const bad: Frame[] = [
      data(undefined, -1),
      data(undefined, 0.5),
      data(undefined, Number.NaN),
      data(undefined, Number.POSITIVE_INFINITY),
      data(undefined, 2 ** 53),
      { kind: "cancel", call: 1, code: 2 ** 32, message: "" },
      { kind: "cancel", call: 1, code: -1, message: "" },
      { kind: "goAway", code: 1001, reason: "", reconnect: true, afterMs: 1.5 },
    ];
    for (const frame of bad) expect(() => encoder.add(frame), JSON.stringify(frame)).toThrow(RangeError);
    expect(() => encoder.add({ kind: "unknown" })).toThrow(TypeError);
    expect(encoder.frames).toBe(1);
    expect(decodePacket(encoder.finish(1, 0).head).frames).toEqual([data(filled(3))]);
  });

  it("of seq and ack are checked; the frames are dropped then", () => {
    const encoder = new PacketEncoder();
    for (const [seq, ack] of [
      [-1, 0],
      [0, 2 ** 53],
      [1.5, 0],
    ] as const) {
      encoder.add(data(filled(BESIDE_BYTES)));
      expect(() => encoder.finish(seq, ack)).toThrow(RangeError);
      expect([encoder.frames, encoder.full]).toEqual([0, false]);
    }
    encoder.add(data(filled(1)));
    expect(decodePacket(encoder.finish(2 ** 53 - 1, 2 ** 53 - 1).head)).toEqual({
      seq: 2 ** 53 - 1,
      ack: 2 ** 53 - 1,
      frames: [data(filled(1))],
    });
  });

  it("that are absent leave no bytes, but an empty payload does", () => {
    const hex = (frame: Frame) =>
      Buffer.from(encodePacket({ seq: 0, ack: 0, frames: [frame] })).toString("hex");
    expect(hex(data(undefined, 0))).toBe("1a020a00");
    expect(hex(data(new Uint8Array(0), 0))).toBe("1a040a022a00");
    expect(hex({ ...data(undefined, 0), headers: [] })).toBe("1a020a00");
    expect(decodePacket(encodePacket({ seq: 0, ack: 0, frames: [data(undefined, 0)] })).frames).toEqual([
      data(undefined, 0),
    ]);
  });

  it("of text with half a surrogate pair become U+FFFD", () => {
    for (const message of [
      "\ud800",
      "a\udc00b",
      `${"x".repeat(30)}\ud83e`,
      `\udea2${"x".repeat(2_000)}`,
      "\ud800\ud800\udc00",
    ]) {
      const frame: Frame = { kind: "cancel", call: 1, code: 1, message };
      const [read] = decodePacket(encodePacket({ seq: 1, ack: 0, frames: [frame] })).frames;
      expect(read).toEqual({ ...frame, message: Buffer.from(message).toString() });
    }
  });

  it("of text of any length and width come back", () => {
    for (const unit of ["x", "é", "€", "🪢"]) {
      for (const length of [0, 1, 4, 12, 13, 24, 25, 28, 29, 63, 64, 127, 128, 1_365, 1_366, 20_000]) {
        const message = unit.repeat(length);
        const frame: Frame = { kind: "cancel", call: 1, code: 1, message };
        expect(decodePacket(encodePacket({ seq: 1, ack: 0, frames: [frame] })).frames).toEqual([frame]);
      }
    }
  });
});

describe("a message that writes itself into the packet", () => {
  /** A message of these bytes that says it may take more; remembers where it came to lie. */
  function writer(bytes: Uint8Array, bound = bytes.length) {
    const found: { place?: Uint8Array } = {};
    const message: MessageWriter = {
      bound,
      write(into, at) {
        // All of the bound may be written over.
        into.fill(0xbb, at, at + bound);
        into.set(bytes, at);
        return at + bytes.length;
      },
      written(buffer, at, length) {
        found.place = buffer.subarray(at, at + length);
      },
    };
    return { message, found };
  }

  const end: EndFrame = {
    kind: "end",
    call: 70_000,
    code: 0,
    message: "",
    details: undefined,
    headers: [["a", "b"]],
    trailers: undefined,
    refused: false,
    unfinished: false,
    payload: undefined,
  };
  const open: OpenFrame = {
    kind: "open",
    call: 9,
    method: 300,
    name: "a.b/C",
    headers: undefined,
    timeoutMs: 5_000,
    end: true,
    size: 0,
    resumeToken: "é",
    idempotencyKey: "key",
    payload: undefined,
  };

  it("leaves the places of messages alone, whatever comes after them", () => {
    const length = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 1_000, max: 12_000 }));
    const step = fc.oneof(
      { weight: 8, arbitrary: fc.record({ message: length, slack: fc.integer({ min: 0, max: 300 }) }) },
      { weight: 2, arbitrary: fc.record({ frame: length }) },
      { weight: 2, arbitrary: fc.constantFrom("finish" as const, "discard" as const) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { encoder } = recording();
        const written: { readonly bytes: Uint8Array; readonly place: Uint8Array }[] = [];
        for (const [index, what] of steps.entries()) {
          if (encoder.full || what === "finish") encoder.finish(index + 1, 0);
          else if (what === "discard") encoder.discard();
          if (typeof what === "string") continue;
          if ("frame" in what) {
            encoder.add(data(filled(what.frame, index)));
            continue;
          }
          const bytes = filled(what.message, index);
          const { message, found } = writer(bytes, bytes.length + what.slack);
          if (encoder.addMessage(end, message) >= 0)
            written.push({ bytes, place: found.place as Uint8Array });
        }
        for (const { bytes, place } of written)
          expect(Buffer.from(place).equals(Buffer.from(bytes))).toBe(true);
      }),
    );
  });

  it("makes the packet that the same frame with a payload makes, whatever its length and its bound", () => {
    // Around the lengths at which a length before it takes another byte.
    const lengths = [0, 1, 60, 100, 110, 115, 118, 120, 125, 126, 127, 128, 129, 200, 4_000];
    for (const frame of [data(undefined), data(undefined, 2 ** 40), end, open]) {
      const { encoder } = recording();
      for (const first of lengths) {
        for (const second of lengths) {
          for (const slack of [0, 1, 150, 20_000]) {
            const payloads = [filled(first), filled(second, 3)];
            const writers = payloads.map((payload) => writer(payload, payload.length + slack));
            for (const { message } of writers)
              expect(encoder.addMessage(frame, message)).toBe(message.bound - slack);
            encoder.add(data(filled(5)));
            const frames = [...payloads.map((payload) => ({ ...frame, payload })), data(filled(5))];
            const expected = Buffer.from(encodePacket({ seq: 9, ack: 300, frames }));
            expect(whole(encoder.finish(9, 300))).toEqual(expected);
            for (const [i, { found }] of writers.entries()) expect(found.place).toEqual(payloads[i]);
          }
        }
      }
    }
  });

  it("leaves the packet as it was when it cannot be written, or was longer than it said", () => {
    const { encoder } = recording();
    encoder.add(data(filled(10)));
    const cannot = { ...writer(filled(10)).message, write: () => -1 };
    expect(encoder.addMessage(data(undefined), cannot)).toBe(-1);
    const tooLong = { ...writer(filled(10)).message, bound: 5 };
    expect(encoder.addMessage(data(undefined), tooLong)).toBe(-1);
    encoder.add(data(filled(20)));
    const frames = [data(filled(10)), data(filled(20))];
    expect(whole(encoder.finish(1, 0))).toEqual(Buffer.from(encodePacket({ seq: 1, ack: 0, frames })));
  });

  it("cannot use the encoder meanwhile", () => {
    const { encoder } = recording();
    const owner = { yieldEncoder: () => undefined };
    encoder.claim(owner);
    const nested = (use: () => void) => ({
      ...writer(filled(10)).message,
      write() {
        use();
        return -1;
      },
    });
    const uses = [
      () => encoder.add(data(filled(1))),
      () => encoder.addMessage(data(undefined), writer(filled(1)).message),
      () => encoder.claim({ yieldEncoder: () => undefined }),
    ];
    for (const use of uses)
      expect(() => encoder.addMessage(data(undefined), nested(use))).toThrow("is being encoded");
    // It is as it was.
    encoder.add(data(filled(1)));
    const expected = encodePacket({ seq: 1, ack: 0, frames: [data(filled(1))] });
    expect(whole(encoder.finish(1, 0))).toEqual(Buffer.from(expected));
  });
});

describe("an encoder that several sessions share", () => {
  it("has the packet of one finished before another begins its own", () => {
    const { encoder } = recording();
    const finished: Buffer[] = [];
    const session = (seq: number) => ({
      yieldEncoder: () => void finished.push(whole(encoder.finish(seq, 0))),
    });
    const [first, second] = [session(1), session(2)];
    encoder.claim(first);
    encoder.add(data(filled(1)));
    encoder.claim(first);
    encoder.add(data(filled(2)));
    expect(encoder.isOwnedBy(first)).toBe(true);
    encoder.claim(second);
    expect(encoder.isOwnedBy(second)).toBe(true);
    encoder.add(data(filled(3)));
    finished.push(whole(encoder.finish(2, 0)));
    expect(encoder.isOwnedBy(second)).toBe(false);
    const packets = [
      { seq: 1, ack: 0, frames: [data(filled(1)), data(filled(2))] },
      { seq: 2, ack: 0, frames: [data(filled(3))] },
    ];
    expect(finished).toEqual(packets.map((packet) => Buffer.from(encodePacket(packet))));
  });
});
