// A second decoder, written from the rules in docs/PROTOCOL.md and the schema, as plain as can be: it only says whether
// a packet is accepted, and where the rules differ from those of protobuf-es.
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { PacketSchema } from "../../gen/hawser/v1/wire_pb.js";
import {
  MAX_DEPTH,
  MAX_ENTRIES_PER_PACKET,
  MAX_FRAMES_PER_PACKET,
  MAX_ID_BYTES,
  MAX_NAME_BYTES,
} from "../../src/wire/limits.js";

/** Where we are meant to decide otherwise than protobuf-es, or to read another value. */
export type Difference =
  /** We skip a known field with another wire type, as other implementations do; protobuf-es reads it regardless. */
  | "wire type"
  /** We refuse what goes on beyond the end of the message around it; protobuf-es reads on. */
  | "overrun"
  /** We refuse numbers above 2^53-1. */
  | "large number"
  /** We refuse varints of more than ten bytes in unknown fields too. */
  | "long number"
  /** We refuse lengths above 2^32-1; protobuf-es drops their upper bits. */
  | "large length"
  /** We have limits of our own. */
  | "limit";

/** What {@link judge} found. */
export interface Verdict {
  readonly accepted: boolean;
  readonly differences: ReadonlySet<Difference>;
}

/** Judges a packet. */
export function judge(bytes: Uint8Array): Verdict {
  const walk = new Walk(bytes);
  try {
    walk.message(PacketSchema, 0, bytes.length, 1);
    return { accepted: true, differences: walk.differences };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { accepted: false, differences: walk.differences };
  }
}

class Refusal extends Error {}

const NAMES = ["Open.name", "Hello.agent", "Open.resume_token", "Open.idempotency_key", "Data.resume_token"];

class Walk {
  readonly differences = new Set<Difference>();
  readonly #bytes: Uint8Array;
  #pos = 0;
  #entries = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  message(desc: DescMessage, start: number, end: number, depth: number): void {
    this.#pos = start;
    let frames = 0;
    while (this.#pos < end) {
      const [number, wireType] = this.#tag(end);
      const field = desc.fields.find((field) => field.number === number);
      if (field === undefined || wireTypeOf(field) !== wireType) {
        if (field !== undefined) this.differences.add("wire type");
        this.#skip(number, wireType, end, depth);
        continue;
      }
      if (wireType === 0) {
        const value = this.#varint(end);
        if (field.scalar === ScalarType.UINT64 && value > BigInt(Number.MAX_SAFE_INTEGER)) {
          this.differences.add("large number");
          throw new Refusal();
        }
        continue;
      }
      const [from, to] = this.#span(end);
      this.#pos = to;
      if (field.message !== undefined) {
        if (field.message.name === "Frame") this.#limit(++frames, MAX_FRAMES_PER_PACKET);
        if (field.message.name === "Header" || field.message.name === "Detail") {
          this.#limit(++this.#entries, MAX_ENTRIES_PER_PACKET);
        }
        this.message(field.message, from, to, depth + 1);
        this.#pos = to;
      } else {
        const where = `${desc.name}.${field.name}`;
        if (NAMES.includes(where)) this.#limit(to - from, MAX_NAME_BYTES);
        if (field.name === "session" || field.name === "epoch") this.#limit(to - from, MAX_ID_BYTES);
        if (field.scalar === ScalarType.STRING && !isUtf8(this.#bytes.subarray(from, to)))
          throw new Refusal();
      }
    }
  }

  #limit(value: number, limit: number): void {
    if (value <= limit) return;
    this.differences.add("limit");
    throw new Refusal();
  }

  #byte(end: number): number {
    if (this.#pos >= end) {
      if (end < this.#bytes.length) this.differences.add("overrun");
      throw new Refusal();
    }
    return this.#bytes[this.#pos++] as number;
  }

  #varint(end: number, known = true): bigint {
    let value = 0n;
    for (let i = 0n; i < 10n; i++) {
      const byte = this.#byte(end);
      value |= BigInt(byte & 0x7f) << (7n * i);
      if (byte < 0x80) return value;
    }
    if (!known) this.differences.add("long number");
    throw new Refusal();
  }

  #tag(end: number): [number: number, wireType: number] {
    let tag = 0n;
    for (let i = 0n; ; i++) {
      const byte = this.#byte(end);
      if (i === 4n && byte > 0x0f) throw new Refusal();
      tag |= BigInt(byte & 0x7f) << (7n * i);
      if (byte < 0x80) break;
    }
    const wireType = Number(tag & 7n);
    if (tag >> 3n === 0n || wireType > 5) throw new Refusal();
    return [Number(tag >> 3n), wireType];
  }

  #span(end: number): [from: number, to: number] {
    const length = this.#varint(end);
    if (length >= 2n ** 32n) {
      this.differences.add("large length");
      throw new Refusal();
    }
    const to = this.#pos + Number(length);
    this.#within(to, end);
    return [this.#pos, to];
  }

  #within(to: number, end: number): void {
    if (to <= end) return;
    if (to <= this.#bytes.length) this.differences.add("overrun");
    throw new Refusal();
  }

  #skip(number: number, wireType: number, end: number, depth: number): void {
    if (wireType === 0) this.#varint(end, false);
    else if (wireType === 2) this.#pos = this.#span(end)[1];
    else if (wireType === 1 || wireType === 5) {
      const to = this.#pos + (wireType === 1 ? 8 : 4);
      this.#within(to, end);
      this.#pos = to;
    } else if (wireType === 4 || depth + 1 > MAX_DEPTH) throw new Refusal();
    else {
      for (;;) {
        const [inner, innerType] = this.#tag(end);
        if (innerType !== 4) this.#skip(inner, innerType, end, depth + 1);
        else if (inner === number) return;
        else throw new Refusal();
      }
    }
  }
}

function wireTypeOf(field: DescField): number {
  if (field.message !== undefined || field.scalar === ScalarType.STRING || field.scalar === ScalarType.BYTES)
    return 2;
  return 0;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function isUtf8(bytes: Uint8Array): boolean {
  try {
    utf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}
