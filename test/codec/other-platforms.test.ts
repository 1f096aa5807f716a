import { describe, expect, it, vi } from "vitest";
import { utf8Slice, utf8Write } from "../../src/codec/native.js";
import { total } from "./fuzz.js";
import { describeFailure, runSeeds, seedsFrom } from "./seeds.js";

// As where Node's functions are missing, or want a Buffer: before they are looked for, which happens on import.
vi.hoisted(() => {
  const native = Buffer.prototype as unknown as Record<string, (...args: unknown[]) => unknown>;
  const write = native["utf8Write"]!;
  native["utf8Write"] = function (this: unknown, ...args) {
    if (!Buffer.isBuffer(this)) throw new TypeError("not a Buffer");
    return write.apply(this, args);
  };
});

describe("generated codecs where there are no functions of Node's", () => {
  it("give what protobuf-es gives, with TextEncoder and TextDecoder", async () => {
    expect([utf8Slice, utf8Write]).toEqual([undefined, undefined]);
    const { reports, failures } = await runSeeds(seedsFrom(601, 3), 1);
    expect(failures.map((failure) => describeFailure(failure, 1))).toEqual([]);
    const { usual } = total(reports);
    expect(usual.encoded).toBeGreaterThan(200);
    expect(usual.encodedByCodec).toBe(usual.encoded);
    expect(usual.decodedByCodec).toBe(usual.decoded);
  });
});
