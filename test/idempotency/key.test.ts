import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { pooled } from "../../src/driver/entropy.js";
import { fingerprint } from "../../src/idempotency/fingerprint.js";
import { uuidV7 } from "../../src/idempotency/key.js";
import { seededRandom } from "../../src/testing/index.js";

describe("a key", () => {
  it("is the UUID of RFC 9562's example, appendix A.6", () => {
    // 2022-02-22T19:22:22.000Z, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F.
    const random = Uint8Array.of(
      0,
      0,
      0,
      0,
      0,
      0,
      0xfc,
      0xc3,
      0xd8,
      0xc4,
      0xdc,
      0x0c,
      0x0c,
      0x07,
      0x39,
      0x8f,
    );
    expect(uuidV7(0x017f22e279b0, (into) => into.set(random))).toBe("017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
  });

  it("has version 7, the variant of the RFC, and sorts by time", () => {
    const random = seededRandom(1);
    const bytes = (into: Uint8Array) => {
      for (let i = 0; i < into.length; i++) into[i] = Math.floor(random() * 256);
    };
    let last = "";
    for (let i = 0; i < 2_000; i++) {
      const key = uuidV7(1_700_000_000_000 + i * 977, bytes);
      expect(key).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(key > last).toBe(true);
      last = key;
    }
  });
});

it("a pool of random bytes gives each out once", () => {
  let fills = 0;
  const random = pooled((into) => {
    fills++;
    into.fill(fills);
  });
  const seen = new Set<string>();
  for (let i = 0; i < 200; i++) {
    const bytes = new Uint8Array(16);
    random(bytes);
    seen.add(String(bytes[0]));
    expect(new Set(bytes).size).toBe(1);
  }
  expect(fills).toBe(4);
  expect([...seen]).toEqual(["1", "2", "3", "4"]);
  expect(() => random(new Uint8Array(2_000))).toThrow(RangeError);
});

describe("a fingerprint", () => {
  it("is a whole number below 2^53, and another one for every other request", () => {
    const seen = new Map<number, string>();
    const requests: Uint8Array[] = [];
    for (let length = 0; length < 300; length++) requests.push(new Uint8Array(length));
    const base = new Uint8Array(createHash("sha512").update("hawser").digest());
    for (let bit = 0; bit < base.length * 8; bit++) {
      const changed = new Uint8Array(base);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      requests.push(changed);
    }
    for (let i = 0; i < 100_000; i++) requests.push(new TextEncoder().encode(`account ${i}, cents ${i % 7}`));
    for (const request of requests) {
      const print = fingerprint(request);
      expect(Number.isSafeInteger(print) && print >= 0).toBe(true);
      const text = Buffer.from(request).toString("hex");
      expect(seen.get(print) ?? text).toBe(text);
      seen.set(print, text);
    }
    expect(fingerprint(new Uint8Array(base))).toBe(fingerprint(base));
  });
});
