// Arbitrary packets for properties.
import fc from "fast-check";
import type { Detail, Frame, Header, Packet, WireLimits } from "../../src/wire/frame.js";

/** Numbers where varints change length, and their neighbours. */
const edges = [7, 14, 21, 28, 31, 32, 35, 42, 49].flatMap((bits) => [2 ** bits - 1, 2 ** bits]);

const uint64: fc.Arbitrary<number> = fc.oneof(
  fc.nat({ max: 300 }),
  fc.constantFrom(...edges, Number.MAX_SAFE_INTEGER),
  fc.maxSafeNat(),
);

const uint32: fc.Arbitrary<number> = fc.oneof(
  fc.nat({ max: 300 }),
  fc.constantFrom(...edges.filter((edge) => edge < 2 ** 32)),
  fc.nat({ max: 2 ** 32 - 1 }),
);

/** Texts around the lengths where the codec changes its way, of ASCII and of anything. */
const text: fc.Arbitrary<string> = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: "grapheme", maxLength: 40 }),
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.constantFrom("", "\ufeffbyte order mark", "é".repeat(70), "🪢".repeat(20)),
  fc.integer({ min: 0, max: 200 }).map((length) => "x".repeat(length)),
);

const name: fc.Arbitrary<string> = fc.oneof(text, fc.constant("n".repeat(1024)));

/** Tokens and keys, which most frames do without. */
const token: fc.Arbitrary<string> = fc.oneof(fc.constant(""), name);

/** Bytes around the lengths where the codec changes its way. */
export const bytes: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(127, 128, 4095, 4096, 16_383, 16_384, 20_000).map(filled),
  },
);

const id: fc.Arbitrary<Uint8Array> = fc.uint8Array({ maxLength: 64 });

function filled(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i * 31);
}

function optional<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(arbitrary, { nil: undefined });
}

const headers: fc.Arbitrary<readonly Header[] | undefined> = optional(
  fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 4 }),
);
const details: fc.Arbitrary<readonly Detail[] | undefined> = optional(
  fc.array(fc.record({ type: text, value: bytes }), { minLength: 1, maxLength: 3 }),
);
const limits: fc.Arbitrary<WireLimits | undefined> = optional(
  fc.record({
    packetBytes: uint32,
    messageBytes: uint32,
    creditBytes: uint32,
    headerBytes: uint32,
    calls: uint32,
  }),
);

const kinds: readonly fc.Arbitrary<Frame>[] = [
  fc.record({
    kind: fc.constant("open" as const),
    call: uint64,
    method: uint32,
    name,
    headers,
    timeoutMs: uint64,
    end: fc.boolean(),
    size: uint64,
    resumeToken: token,
    idempotencyKey: token,
    payload: optional(bytes),
  }),
  fc.record({
    kind: fc.constant("data" as const),
    call: uint64,
    end: fc.boolean(),
    size: uint64,
    headers,
    resumeToken: token,
    payload: optional(bytes),
  }),
  fc.record({
    kind: fc.constant("end" as const),
    call: uint64,
    code: uint32,
    message: text,
    details,
    headers,
    trailers: headers,
    refused: fc.boolean(),
    unfinished: fc.boolean(),
    payload: optional(bytes),
  }),
  fc.record({ kind: fc.constant("cancel" as const), call: uint64, code: uint32, message: text }),
  fc.record({ kind: fc.constant("credit" as const), call: uint64, bytes: uint64 }),
  fc.record({ kind: fc.constant("ping" as const), id: uint64 }),
  fc.record({ kind: fc.constant("pong" as const), id: uint64 }),
  fc.record({
    kind: fc.constant("hello" as const),
    version: uint32,
    mode: fc.nat({ max: 2 ** 31 - 1 }),
    session: id,
    epoch: id,
    received: uint64,
    credentials: text,
    limits,
    agent: name,
    link: uint32,
  }),
  fc.record({
    kind: fc.constant("welcome" as const),
    session: id,
    epoch: id,
    resumed: fc.boolean(),
    received: uint64,
    limits,
    pingIntervalMs: uint32,
    pingTimeoutMs: uint32,
    graceMs: uint32,
  }),
  fc.record({
    kind: fc.constant("goAway" as const),
    code: uint32,
    reason: text,
    reconnect: fc.boolean(),
    afterMs: uint32,
  }),
  fc.record({ kind: fc.constant("refresh" as const), credentials: text, withinMs: uint32 }),
  fc.record({
    kind: fc.constant("publication" as const),
    topic: uint64,
    offset: uint64,
    step: uint64,
    size: uint64,
    payload: bytes,
  }),
  fc.record({
    kind: fc.constant("attached" as const),
    call: uint64,
    topic: uint64,
    epoch: name,
    offset: uint64,
    answers: uint32,
    gap: fc.nat({ max: 9 }),
    asks: fc.boolean(),
    stale: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("position" as const),
    call: uint64,
    epoch: name,
    offset: uint64,
    id: uint32,
    room: uint64,
  }),
];

/** Any frame that can be encoded. */
export const frame: fc.Arbitrary<Frame> = fc.oneof(...kinds);

/** Two to four frames of one kind, each with other fields left out. */
export const framesOfOneKind: fc.Arbitrary<readonly Frame[]> = fc.oneof(
  ...kinds.map((kind) => fc.array(kind, { minLength: 2, maxLength: 4 })),
);

/** Any packet that can be encoded. */
export const packet: fc.Arbitrary<Packet> = fc.record({
  seq: uint64,
  ack: uint64,
  frames: fc.array(frame, { maxLength: 8 }),
});
