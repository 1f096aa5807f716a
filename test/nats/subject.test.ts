// fast-check prints the seed of a failure.
import { validateKey } from "@nats-io/kv/internal";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeToken } from "../../src/nats/subject.js";

const RUNS = { numRuns: 5_000 };

/** Strings of any UTF-16 units, lone surrogates among them, and those that look like tokens already. */
const name = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 300 })
    .map((units) => String.fromCharCode(...units)),
  fc
    .array(fc.integer({ min: 0xd7f0, max: 0xe00f }), { maxLength: 6 })
    .map((units) => String.fromCharCode(...units)),
  fc.string({ unit: fc.constantFrom(..."=0123456789ABCDEF_-.*> \0"), maxLength: 300 }),
  fc.string({ unit: fc.constantFrom("a", "b"), minLength: 250, maxLength: 300 }),
  fc.string({ unit: fc.constantFrom("a", "."), minLength: 80, maxLength: 90 }),
);

describe("a token", () => {
  it("is a valid token of a subject and a valid KV key, of at most 256 bytes", () => {
    fc.assert(
      fc.property(name, (name) => {
        const token = encodeToken(name);
        expect(token).toMatch(/^[A-Za-z0-9_=-]{1,256}$/);
        expect(() => validateKey(token)).not.toThrow();
      }),
      RUNS,
    );
  });

  it("belongs to one name, whatever the two have in common", () => {
    const change = fc.record({ at: fc.nat(), unit: fc.integer({ min: 0, max: 0xffff }) });
    const changed = (name: string, { at, unit }: { at: number; unit: number }) => {
      const start = at % (name.length + 1);
      return name.slice(0, start) + String.fromCharCode(unit) + name.slice(start + 1);
    };
    fc.assert(
      fc.property(name, fc.oneof(name, change), (one, seed) => {
        const other = typeof seed === "string" ? seed : changed(one, seed);
        expect(encodeToken(one) === encodeToken(other)).toBe(one === other);
        // A token is a name too.
        const token = encodeToken(one);
        expect(encodeToken(token) === token).toBe(one === token);
      }),
      RUNS,
    );
  });

  it("can be read back, if it is short enough", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 }), (name) => {
        const token = encodeToken(name);
        if (!token.startsWith("==")) expect(decodeURIComponent(token.replaceAll("=", "%"))).toBe(name);
      }),
      RUNS,
    );
  });

  it.each([
    ["", "="],
    ["orders", "orders"],
    ["=", "=3D"],
    ["==", "=3D=3D"],
    ["a.b c", "a=2Eb=20c"],
    ["*>\r\n\0", "=2A=3E=0D=0A=00"],
    ["é🔑", "=C3=A9=F0=9F=94=91"],
    ["\ud800", "=ED=A0=80"],
    ["\udfff", "=ED=BF=BF"],
    ["\udc00\ud800", "=ED=B0=80=ED=A0=80"],
  ])("of %j is %s", (name, token) => {
    expect(encodeToken(name)).toBe(token);
  });

  it("is a hash when it would be longer than 256 bytes", () => {
    expect(encodeToken("x".repeat(256))).toBe("x".repeat(256));
    expect(encodeToken("x".repeat(257))).toBe("==FeuVpGLuIL2RpBWuLUrtNBKIGG3aorN5CPfVkvDD-F8");
    expect(encodeToken(`${".".repeat(85)}x`)).toBe(`${"=2E".repeat(85)}x`);
    expect(encodeToken(`${".".repeat(85)}xx`)).toMatch(/^==[A-Za-z0-9_-]{43}$/);
  });

  it("of a long name is a hash, which tells lone surrogates apart as well", () => {
    const tokens = ["\ud800", "\ud801", "\udc00", "\ufffd"].map((char) =>
      encodeToken("x".repeat(300) + char),
    );
    expect(new Set(tokens).size).toBe(4);
    for (const token of tokens) expect(token).toMatch(/^==[A-Za-z0-9_-]{43}$/);
  });
});
