// Frames that are written past ws, read by ws.
import { describe, expect, it } from "vitest";
import * as ws from "ws";
import { beginServerFrame, headBytes, Masker, serverFrame } from "../../src/driver/ws-frame.js";

/** `ws` exports it, and its types do not say so. */
const { Receiver } = ws as unknown as { readonly Receiver: new (options: object) => NodeJS.WritableStream };

/** Lengths around which heads change, and around which buffers do. */
const LENGTHS = [
  0, 1, 2, 3, 4, 5, 125, 126, 127, 128, 1_000, 65_500, 65_520, 65_535, 65_536, 65_537, 200_001,
];

function filled(length: number, salt = 0): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => i * 31 + salt);
}

/** The messages that `ws` finds in frames. */
async function read(isServer: boolean, frames: readonly Uint8Array[]): Promise<Buffer[]> {
  const receiver = new Receiver({ isServer, maxPayload: 2 ** 24 });
  const messages: Buffer[] = [];
  receiver.on("message", (data: Buffer, isBinary: boolean) => {
    expect(isBinary).toBe(true);
    messages.push(Buffer.from(data));
  });
  const failed = new Promise<never>((_, reject) => receiver.on("error", reject));
  for (const frame of frames) {
    const written = new Promise<void>((resolve) => receiver.write(Buffer.from(frame), () => resolve()));
    await Promise.race([written, failed]);
  }
  return messages;
}

describe("frames of a server", () => {
  it("are what ws reads, of any length", async () => {
    const messages = LENGTHS.map((length) => filled(length));
    const frames = messages.map((message) => serverFrame(message, false));
    expect(await read(false, frames)).toEqual(messages.map((message) => Buffer.from(message)));
  });

  it("begin in the room before a packet, without a copy", async () => {
    for (const length of LENGTHS) {
      const buffer = new Uint8Array(12 + length).fill(0xee);
      buffer.set(filled(length), 12);
      const first = buffer.subarray(12);
      const frame = beginServerFrame(first, 10, length);
      expect(frame.buffer).toBe(buffer.buffer);
      expect(frame.length).toBe(headBytes(length) + length);
      // What lies further ahead belongs to somebody else.
      expect(buffer.subarray(0, 12 - headBytes(length)).every((byte) => byte === 0xee)).toBe(true);
      expect(await read(false, [frame])).toEqual([Buffer.from(filled(length))]);
    }
  });

  it("begin in a buffer of their own where there is no room", async () => {
    const buffer = filled(100);
    const frame = beginServerFrame(buffer.subarray(50), 1, 50);
    expect(buffer).toEqual(filled(100));
    expect(await read(false, [frame])).toEqual([Buffer.from(filled(100).subarray(50))]);
  });

  it("go on with the rest of the message", async () => {
    for (const length of LENGTHS) {
      const message = filled(length + 20);
      const buffer = new Uint8Array(30);
      buffer.set(message.subarray(0, 20), 10);
      const frame = beginServerFrame(buffer.subarray(10), 10, message.length);
      expect(await read(false, [frame, message.subarray(20)])).toEqual([Buffer.from(message)]);
    }
  });
});

describe("frames of a client", () => {
  it("are what ws reads, of any length, in one part or two", async () => {
    let count = 0;
    const masker = new Masker((into) => into.fill(0).set([++count, count >>> 8, 0x5a, 0xc3]));
    const frames: Buffer[] = [];
    const expected: Buffer[] = [];
    for (const length of [...LENGTHS, ...LENGTHS.toReversed()]) {
      const message = filled(length, count);
      frames.push(masker.frame(message, undefined, false));
      expected.push(Buffer.from(message));
      const cut = length % 7;
      frames.push(masker.frame(message.subarray(0, cut), message.subarray(cut), false));
      expected.push(Buffer.from(message));
      // What is sent is masked; the message itself stays as it is.
      expect(message).toEqual(filled(length, count - 2));
    }
    expect(await read(true, frames)).toEqual(expected);
  });

  it("each have a key of their own", () => {
    let count = 0;
    const masker = new Masker((into) => into.fill(++count));
    const keys = Array.from({ length: 10 }, () => masker.frame(filled(3), undefined, false).subarray(2, 6));
    expect(keys.map((key) => key.toString("hex"))).toEqual(
      Array.from({ length: 10 }, (_, i) => `${(i + 1).toString(16).padStart(2, "0")}`.repeat(4)),
    );
  });

  it("say that they are compressed", () => {
    const masker = new Masker((into) => into.fill(1));
    expect((masker.frame(filled(3), undefined, true)[0] as number) & 0x40).toBe(0x40);
    expect((masker.frame(filled(3), undefined, false)[0] as number) & 0x40).toBe(0);
    expect((serverFrame(filled(3), true)[0] as number) & 0x40).toBe(0x40);
  });
});
