// Whatever arrives, decoding ends in a packet or a WireError.
import { describe, expect, it } from "vitest";
import { decodePacket, textMessage } from "../../src/wire/decode.js";
import { encodePacket } from "../../src/wire/encode.js";
import { WireError } from "../../src/wire/error.js";
import {
  MAX_DEPTH,
  MAX_ENTRIES_PER_PACKET,
  MAX_FRAMES_PER_PACKET,
  MAX_ID_BYTES,
  MAX_NAME_BYTES,
} from "../../src/wire/limits.js";
import { vectorFiles } from "../vectors/generate.js";
import { pbDecode } from "./reference.js";
import { type Difference, judge } from "./strict.js";

/** Bytes from hex, where `x*3` repeats and blanks are for the eye. */
function bytes(text: string): Uint8Array {
  const hex = text.replace(/(\w+)\*(\d+)/g, (_, part: string, times: string) => part.repeat(Number(times)));
  return new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));
}

function refusal(input: Uint8Array): WireError {
  try {
    decodePacket(input);
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
  throw new Error("was accepted");
}

/** A field with a length in front, for what is too long to write out. */
function span(tag: number, content: Uint8Array): Uint8Array {
  const length: number[] = [];
  let rest = content.length;
  for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  return new Uint8Array(Buffer.concat([Uint8Array.of(tag, ...length, rest), content]));
}

function repeat(part: Uint8Array, times: number): Uint8Array {
  return new Uint8Array(Buffer.concat(Array.from({ length: times }, () => part)));
}

/** A packet of one frame. */
function inFrame(kind: number, content: Uint8Array): Uint8Array {
  return span(0x1a, span((kind << 3) | 2, content));
}

const [DATA, OPEN, END, HELLO, WELCOME] = [1, 2, 3, 8, 9] as const;
const EMPTY_HEADER = bytes("2200");

describe("malformed bytes", () => {
  it.each<[what: string, input: string | Uint8Array, closeCode: number, message: string]>([
    ["a tag alone", "08", 1007, "number is cut off at byte 1"],
    ["a number that goes on", "0880", 1007, "number is cut off at byte 2"],
    ["a number of eleven bytes", "08 80*10 00", 1007, "number longer than 10 bytes at byte 1"],
    ["2^53", "08 8080808080808010", 1007, "number above 2^53-1 at byte 1"],
    ["2^64-1", "10 ff*9 01", 1007, "number above 2^53-1 at byte 1"],
    ["a call of 2^53", "1a0b0a09 08 8080808080808010", 1007, "number above 2^53-1 at byte 5"],
    ["a code of eleven bytes", "1a0e1a0c 10 80*10 00", 1007, "number longer than 10 bytes at byte 5"],
    ["a code that is cut off", "1a041a0210ff", 1007, "number is cut off at byte 6"],
    ["a flag of eleven bytes", "1a0e0a0c 10 80*10 00", 1007, "number longer than 10 bytes at byte 5"],
    ["a flag that is missing", "1a030a0110", 1007, "number is cut off at byte 5"],
    ["field number 0", "00", 1007, "field number 0 at byte 1"],
    ["field number 0 with a length", "1a020200", 1007, "field number 0 at byte 3"],
    ["wire type 6", "0e", 1007, "wire type 6 at byte 1"],
    ["wire type 7 of an unknown field", "ff01", 1007, "wire type 7 at byte 2"],
    ["a tag that goes on", "8080", 1007, "tag is cut off at byte 2"],
    ["a tag above 2^32-1", "8080808010", 1007, "tag above 2^32-1 at byte 0"],
    ["a tag of six bytes", "808080808000", 1007, "tag above 2^32-1 at byte 0"],
    ["a frame longer than the packet", "1a0508", 1007, "length 5 where 1 bytes are left at byte 1"],
    ["a kind longer than its frame", "1a020a01 0801", 1007, "length 1 where 0 bytes are left at byte 3"],
    [
      "a payload longer than its kind",
      "1a040a022a05 0000000000",
      1007,
      "length 5 where 0 bytes are left at byte 5",
    ],
    ["a length of 2^32", "1a 8080808010", 1007, "length 4294967296 where 0 bytes are left at byte 1"],
    ["a number that goes on behind its frame", "1a030a0108 01", 1007, "number is cut off at byte 5"],
    ["four bytes cut off", "7d000000", 1007, "fixed-size number is cut off at byte 4"],
    ["eight bytes cut off", "79 00*7", 1007, "fixed-size number is cut off at byte 8"],
    [
      "eight bytes that go on behind their frame",
      "1a0579 00*8",
      1007,
      "fixed-size number is cut off at byte 7",
    ],
    ["a group without an end", "7b", 1007, "group is cut off at byte 1"],
    ["a group that ends as another", "7b 8401", 1007, "end of another group at byte 3"],
    ["a group that ends behind its frame", "1a017b 7c", 1007, "group is cut off at byte 3"],
    ["an end without a group", "7c", 1007, "end of a group that did not begin at byte 1"],
    ["an end in place of a known field", "0c", 1007, "end of a group that did not begin at byte 1"],
    ["wire type 6 in a group", "7b 0e", 1007, "wire type 6 at byte 2"],
    ["a method name that is not UTF-8", "1a051203 1a01ff", 1007, "string is not UTF-8 at byte 6"],
    ["a method name of half a character", "1a061204 1a02e282", 1007, "string is not UTF-8 at byte 6"],
    ["a resume token that is not UTF-8", "1a051203 4a01ff", 1007, "string is not UTF-8 at byte 6"],
    ["an idempotency key that is not UTF-8", "1a051203 5201ff", 1007, "string is not UTF-8 at byte 6"],
    ["a token of a message that is not UTF-8", "1a050a03 3201ff", 1007, "string is not UTF-8 at byte 6"],
    ["a header with an overlong character", "1a080a06 22040a02c080", 1007, "string is not UTF-8 at byte 8"],
    ["a surrogate in UTF-8", "1a071a05 1a03eda080", 1007, "string is not UTF-8 at byte 6"],
    [
      "a long text that is not UTF-8",
      inFrame(END, span(0x1a, bytes("61*99 80"))),
      1007,
      "string is not UTF-8 at byte 6",
    ],
    [
      "too many frames",
      repeat(bytes("1a00"), MAX_FRAMES_PER_PACKET + 1),
      1009,
      `more than ${MAX_FRAMES_PER_PACKET} frames at byte ${2 * MAX_FRAMES_PER_PACKET + 1}`,
    ],
    [
      "too many headers",
      inFrame(DATA, repeat(EMPTY_HEADER, MAX_ENTRIES_PER_PACKET + 1)),
      1009,
      `more than ${MAX_ENTRIES_PER_PACKET} headers and details at byte`,
    ],
    [
      "too many details and trailers",
      inFrame(END, repeat(bytes("22003200"), MAX_ENTRIES_PER_PACKET / 2 + 1)),
      1009,
      `more than ${MAX_ENTRIES_PER_PACKET} headers and details at byte`,
    ],
    [
      "a long method name",
      inFrame(OPEN, span(0x1a, repeat(bytes("61"), MAX_NAME_BYTES + 1))),
      1009,
      `name of ${MAX_NAME_BYTES + 1} bytes at byte`,
    ],
    [
      "a long agent",
      inFrame(HELLO, span(0x42, repeat(bytes("61"), MAX_NAME_BYTES + 1))),
      1009,
      `name of ${MAX_NAME_BYTES + 1} bytes at byte`,
    ],
    [
      "a long resume token of a call",
      inFrame(OPEN, span(0x4a, repeat(bytes("61"), MAX_NAME_BYTES + 1))),
      1009,
      `resume token of ${MAX_NAME_BYTES + 1} bytes at byte`,
    ],
    [
      "a long resume token of a message",
      inFrame(DATA, span(0x32, repeat(bytes("61"), MAX_NAME_BYTES + 1))),
      1009,
      `resume token of ${MAX_NAME_BYTES + 1} bytes at byte`,
    ],
    [
      "a long idempotency key",
      inFrame(OPEN, span(0x52, repeat(bytes("61"), MAX_NAME_BYTES + 1))),
      1009,
      `idempotency key of ${MAX_NAME_BYTES + 1} bytes at byte`,
    ],
    [
      "a long session id",
      inFrame(HELLO, span(0x1a, new Uint8Array(MAX_ID_BYTES + 1))),
      1009,
      `session id or epoch of ${MAX_ID_BYTES + 1} bytes at byte`,
    ],
    [
      "a long epoch",
      inFrame(WELCOME, span(0x12, new Uint8Array(MAX_ID_BYTES + 1))),
      1009,
      `session id or epoch of ${MAX_ID_BYTES + 1} bytes at byte`,
    ],
    [
      "groups too deep",
      repeat(bytes("7b"), MAX_DEPTH),
      1009,
      `groups nested deeper than ${MAX_DEPTH} at byte ${MAX_DEPTH}`,
    ],
  ])("%s", (_, input, closeCode, message) => {
    const error = refusal(typeof input === "string" ? bytes(input) : input);
    expect(error.message.slice(0, message.length)).toBe(message);
    expect(error.message).toMatch(/ at byte \d+$/);
    expect(error.closeCode).toBe(closeCode);
    expect(error.name).toBe("WireError");
  });

  it("text messages have an error of their own", () => {
    expect(textMessage().closeCode).toBe(1003);
  });

  it("never ends in an error of another kind, not even with megabytes of nonsense", () => {
    for (const input of [
      repeat(bytes("ff"), 1 << 20),
      repeat(bytes("7b"), 1 << 20),
      repeat(bytes("1a80"), 1 << 19),
      span(0x1a, repeat(bytes("0a00"), 1 << 19)),
      span(0x1a, repeat(bytes("0a022200"), 60_000)),
    ]) {
      // Quadratic time would show as a test that does not end.
      try {
        decodePacket(input);
      } catch (error) {
        expect(error).toBeInstanceOf(WireError);
      }
    }
  });
});

describe("odd but allowed bytes", () => {
  it.each<[what: string, input: string, frames: readonly unknown[]]>([
    ["nothing", "", []],
    ["numbers longer than they need to be", "0881 80*8 00 10 8100 1a020a00", [{ kind: "data", call: 0 }]],
    ["a tag longer than it needs to be", "9a00 02 0a00", [{ kind: "data", call: 0 }]],
    ["a flag of 2", "1a040a021002", [{ kind: "data", end: true }]],
    ["a flag of 2^63", "1a0d0a0b10 80*9 01", [{ kind: "data", end: true }]],
    ["a flag of 0", "1a040a021000", [{ kind: "data", end: false }]],
    ["a flag that changes", "1a060a0410011000", [{ kind: "data", end: false }]],
    [
      "an unfinished call that is finished after all",
      "1a061a0448014800",
      [{ kind: "end", unfinished: false }],
    ],
    ["a token that is taken back", "1a070a05 320161 3200", [{ kind: "data", resumeToken: "" }]],
    ["a token of a call that is taken back", "1a071205 4a0161 4a00", [{ kind: "open", resumeToken: "" }]],
    ["a key that is taken back", "1a071205 520161 5200", [{ kind: "open", idempotencyKey: "" }]],
    [
      "a key that is taken back by a later part",
      "1a091203 520161 1202 5200",
      [{ kind: "open", idempotencyKey: "" }],
    ],
    [
      "a token and a key behind the payload",
      "1a0a1208 4200 4a0161 520162",
      [{ kind: "open", resumeToken: "a", idempotencyKey: "b" }],
    ],
    ["a token as a number: unknown", "1a041202 4807", [{ kind: "open", resumeToken: "" }]],
    [
      "a code of 64 bits, of which 32 count",
      "1a0d1a0b 10 85808080f0*1 ffffffff01",
      [{ kind: "end", code: 5 }],
    ],
    ["a code of 2^32-1", "1a081a0610ffffffff0f", [{ kind: "end", code: 2 ** 32 - 1 }]],
    ["a negative mode", "1a0d420b10 ff*9 01", [{ kind: "hello", mode: -1 }]],
    ["a mode that nobody knows", "1a0442021009", [{ kind: "hello", mode: 9 }]],
    ["a frame without a kind", "1a00", [{ kind: "unknown" }]],
    ["a kind that nobody knows", "1a027a00", [{ kind: "unknown" }]],
    ["a kind that nobody knows behind a known one", "1a060a0208017a00", [{ kind: "data", call: 1 }]],
    ["two kinds: the last one counts", "1a080a020801 12020802", [{ kind: "open", call: 2 }]],
    ["one kind twice: merged", "1a080a020801 0a021801", [{ kind: "data", call: 1, size: 1 }]],
    ["a kind in between: not merged", "1a0a 0a020801 1200 0a021801", [{ kind: "data", call: 0, size: 1 }]],
    ["a call as four bytes: unknown", "1a070a05 0d01000000", [{ kind: "data", call: 0 }]],
    ["a payload as a number: unknown", "1a040a022807", [{ kind: "data", payload: undefined }]],
    ["a kind as a number: unknown", "1a020807", [{ kind: "unknown" }]],
    ["frames as a number: unknown", "1807", []],
    ["a known field as a group: unknown", "1b 0807 1c 0801", []],
    ["an empty header", "1a040a022200", [{ kind: "data", headers: [["", ""]] }]],
    ["an empty detail", "1a041a022200", [{ kind: "end", details: [{ type: "", value: new Uint8Array(0) }] }]],
    ["a byte order mark", "1a071a05 1a03efbbbf", [{ kind: "end", message: "\ufeff" }]],
    ["groups as deep as can be", `7b*${MAX_DEPTH - 1} 7c*${MAX_DEPTH - 1}`, []],
  ])("%s", (_, input, frames) => {
    const packet = decodePacket(bytes(input));
    expect(packet.frames).toHaveLength(frames.length);
    for (const [i, frame] of packet.frames.entries()) expect(frame).toMatchObject(frames[i] as object);
  });

  it("has all fields in one order, whatever was in the packet", () => {
    const names = (hex: string) => Object.keys(decodePacket(bytes(hex)).frames[0] ?? {}).join();
    for (const kind of ["0a", "12", "1a", "22", "2a", "32", "3a", "42", "4a", "52", "5a", "62", "6a", "72"]) {
      expect(names(`1a04${kind}020801`.replace(/4a020801/, "4a021801"))).toBe(names(`1a02${kind}00`));
    }
  });

  it("is not copied: payloads are views", () => {
    const input = Buffer.concat([Buffer.from("...."), bytes("1a060a042a020708")]).subarray(4);
    const frame = decodePacket(input).frames[0];
    if (frame?.kind !== "data" || frame.payload === undefined) throw new Error("no payload");
    expect(frame.payload).toEqual(Uint8Array.of(7, 8));
    expect(Object.getPrototypeOf(frame.payload)).toBe(Uint8Array.prototype);
    expect(frame.payload.buffer).toBe(input.buffer);
    input[6] = 9;
    input[7] = 10;
    expect(frame.payload).toEqual(Uint8Array.of(9, 10));
  });
});

describe("mutated packets", () => {
  const seed = 20_261_120;
  const rounds = 50_000;

  it(`are refused by a WireError or read as protobuf-es reads them (seed ${seed}, ${rounds} rounds)`, () => {
    const random = mulberry32(seed);
    const pick = (limit: number) => Math.floor(random() * limit);
    const seeds = Object.values(vectorFiles()).flatMap(({ vectors }) =>
      vectors.map(({ hex }) => new Uint8Array(Buffer.from(hex, "hex"))),
    );
    const found = new Map<Difference | "accepted" | "refused", number>();
    for (let round = 0; round < rounds; round++) {
      const input = mutate(seeds, pick);
      const { accepted, differences } = judge(input);
      const ours = attempt(() => decodePacket(input));
      const what = `seed ${seed}, round ${round}: ${Buffer.from(input).toString("hex")}`;
      if (ours.error !== undefined && !(ours.error instanceof WireError))
        throw new Error(what, { cause: ours.error });
      expect(ours.error === undefined, what).toBe(accepted);
      for (const difference of differences) found.set(difference, (found.get(difference) ?? 0) + 1);
      if (differences.size > 0) continue;
      // None of the differences that are listed in strict.ts: protobuf-es must agree.
      const theirs = attempt(() => pbDecode(input));
      expect(theirs.error === undefined, what).toBe(accepted);
      if (accepted) expect(ours.value, what).toEqual(theirs.value);
      const outcome = accepted ? "accepted" : "refused";
      found.set(outcome, (found.get(outcome) ?? 0) + 1);
    }
    // The comparison is worth something: each side of it was seen often, and so was each difference that mutation can
    // make ("limit" is above).
    expect(found.get("accepted")).toBeGreaterThan(rounds / 12);
    expect(found.get("refused")).toBeGreaterThan(rounds / 10);
    for (const difference of [
      "wire type",
      "overrun",
      "large number",
      "long number",
      "large length",
    ] as const) {
      expect(found.get(difference), difference).toBeGreaterThan(0);
    }
  });

  it("that are accepted can be encoded and read again", () => {
    const random = mulberry32(seed + 1);
    const pick = (limit: number) => Math.floor(random() * limit);
    const seeds = Object.values(vectorFiles()).flatMap(({ vectors }) =>
      vectors.map(({ hex }) => new Uint8Array(Buffer.from(hex, "hex"))),
    );
    for (let round = 0; round < rounds / 5; round++) {
      const input = mutate(seeds, pick);
      const { value } = attempt(() => decodePacket(input));
      if (value === undefined) continue;
      const known = value.frames.filter((frame) => frame.kind !== "unknown");
      if (known.some((frame) => frame.kind === "hello" && frame.mode < 0)) continue;
      const packet = { ...value, frames: known };
      expect(decodePacket(encodePacket(packet)), `seed ${seed + 1}, round ${round}`).toEqual(packet);
    }
  });
});

function attempt<T>(run: () => T): { value?: T; error?: unknown } {
  try {
    return { value: run() };
  } catch (error) {
    return { error };
  }
}

/** Bytes that mean something in protobuf: tags, lengths, ends of numbers. */
const INTERESTING = [
  0x00, 0x01, 0x02, 0x07, 0x08, 0x0a, 0x0b, 0x0c, 0x10, 0x1a, 0x22, 0x2a, 0x42, 0x7f, 0x80, 0xff,
];

/** A vector, or two in a row, with up to four changes. */
function mutate(seeds: readonly Uint8Array[], pick: (limit: number) => number): Uint8Array {
  let out = [...(seeds[pick(seeds.length)] as Uint8Array)];
  if (pick(4) === 0) out.push(...(seeds[pick(seeds.length)] as Uint8Array));
  for (let changes = 1 + pick(4); changes > 0; changes--) {
    const at = pick(out.length + 1);
    switch (pick(8)) {
      case 0:
        out[pick(Math.max(1, out.length))] = pick(256);
        break;
      case 1:
        out[pick(Math.max(1, out.length))] = INTERESTING[pick(INTERESTING.length)] as number;
        break;
      case 2:
        out.splice(at, 0, INTERESTING[pick(INTERESTING.length)] as number);
        break;
      case 3:
        out.splice(at, 1 + pick(4));
        break;
      case 4:
        out.splice(at, 0, ...out.slice(pick(out.length + 1)).slice(0, pick(12)));
        break;
      case 5:
        out = out.slice(0, at);
        break;
      case 6:
        out.splice(at, 0, ...Array.from({ length: 4 + pick(8) }, () => 0x80 | pick(128)));
        break;
      default:
        out[pick(Math.max(1, out.length))] = ((out[at] ?? 0) + 1) & 0xff;
    }
  }
  return Uint8Array.from(out);
}

/** A small generator of random numbers with a seed. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
