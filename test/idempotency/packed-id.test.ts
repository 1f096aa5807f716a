import { describe, expect, it } from "vitest";
import { PackedId } from "../../src/idempotency/packed-id.js";

function hashOf(key: string, secret: readonly [number, number], identity = ""): number {
  const packed = new PackedId(secret);
  packed.pack({ identity, key });
  return packed.hash;
}

describe("the hash of an id", () => {
  it("is the same for the same id and secret, and another one for another of either", () => {
    expect(hashOf("key", [1, 2])).toBe(hashOf("key", [1, 2]));
    const hashes = [
      hashOf("key", [1, 2]),
      hashOf("key", [1, 3]),
      hashOf("key", [2, 2]),
      hashOf("kez", [1, 2]),
      hashOf("key", [1, 2], "a"),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  it("has no ids that share it whatever the secret is: neighbours in one bit, and in two", () => {
    // Pairs that collide under a hash of multiplications, because the highest bit goes through those unchanged.
    const flip = (text: string, at: number) =>
      text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 0x80) + text.slice(at + 1);
    const key = "0123456789abcdef0123456789abcdef";
    const others = [3, 7, 11, 15].flatMap((at) => [
      flip(key, at),
      flip(flip(key, at), at + 4),
      flip(flip(key, at), at + 3),
    ]);
    for (const other of others) {
      const shared = [0, 1, 2, 3, 4, 5, 6, 7].filter(
        (secret) => hashOf(key, [secret, 77]) === hashOf(other, [secret, 77]),
      );
      expect(shared).toEqual([]);
    }
  });

  it("spreads over all bits", () => {
    const counts = new Array<number>(256).fill(0);
    for (let i = 0; i < 25_600; i++) {
      const hash = hashOf(`user-${i}`, [5, 6]);
      for (const byte of [hash & 0xff, hash >>> 24]) counts[byte] = (counts[byte] as number) + 1;
    }
    expect(Math.min(...counts)).toBeGreaterThan(130);
    expect(Math.max(...counts)).toBeLessThan(280);
  });
});
