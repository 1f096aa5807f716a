// Small messages that wait do not keep alive much more than they are.
import { expect, it } from "vitest";
import { Held } from "../../src/rpc/held.js";
import { Receiver } from "../../src/rpc/receiver.js";
import { seededRandom } from "../../src/testing/index.js";

const CHUNK_BYTES = 65_536;
const WINDOW = 2 ** 40;

/** Bytes of the buffers that these views keep alive. */
function kept(views: readonly Uint8Array[]): number {
  const buffers = new Set(views.map(({ buffer }) => buffer));
  return [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function receivers(count: number) {
  const held = new Held(Number.POSITIVE_INFINITY);
  return Array.from({ length: count }, () => new Receiver(WINDOW, CHUNK_BYTES, held));
}

function drained(receiver: Receiver): Uint8Array[] {
  const messages: Uint8Array[] = [];
  for (let next = receiver.shift(); next !== undefined; next = receiver.shift()) messages.push(next);
  return messages;
}

it("each in a buffer of its own, they are given memory of their own", () => {
  const [receiver] = receivers(1) as [Receiver];
  for (let i = 0; i < 2_000; i++) receiver.take(new Uint8Array(CHUNK_BYTES).subarray(i, i + 4), 0, false, "");
  expect(kept(drained(receiver))).toBeLessThan(300 * CHUNK_BYTES);
});

it("many of one buffer stay where they are", () => {
  const [receiver] = receivers(1) as [Receiver];
  const buffers = [new Uint8Array(CHUNK_BYTES), new Uint8Array(CHUNK_BYTES)];
  for (const buffer of buffers) {
    for (let i = 0; i < CHUNK_BYTES; i += 32) receiver.take(buffer.subarray(i, i + 32), 0, false, "");
  }
  const messages = drained(receiver);
  expect(messages).toHaveLength((2 * CHUNK_BYTES) / 32);
  expect(kept(messages)).toBe(2 * CHUNK_BYTES);
});

it("whatever waits and is read in whichever order", () => {
  const seed = 7;
  const random = seededRandom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const all = receivers(5);
  let chunk = new Uint8Array(CHUNK_BYTES);
  for (let step = 0; step < 20_000; step++) {
    const receiver = all[below(all.length)] as Receiver;
    if (below(4) === 0) chunk = new Uint8Array(CHUNK_BYTES);
    const at = below(CHUNK_BYTES - 8);
    receiver.take(chunk.subarray(at, at + 8), 0, false, "");
    if (below(5) < 2) receiver.shift();
  }
  const left = all.flatMap(drained);
  expect(left.length).toBeGreaterThan(5_000);
  expect(kept(left), `seed ${seed}`).toBeLessThan(300 * CHUNK_BYTES);
});
