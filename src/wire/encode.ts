/** Packets to bytes. */

import type { DataFrame, EndFrame, Frame, OpenFrame, Packet } from "./frame.js";
import { BESIDE_BYTES } from "./limits.js";
import { bodyBytes, frameBytes, wrappedBytes } from "./size.js";
import { uintBytes, writeUint } from "./varint.js";
import { writeFrame, writePayloadHead } from "./write.js";

/** Room that a packet leaves before itself for what a link puts there: the head of a WebSocket frame has up to 10 bytes. */
const LEAD_BYTES = 10;

/** Room for `seq` and `ack` in front of the frames, a tag and a varint of at most 53 bits, twice, and for the link. */
export const PACKET_HEAD_BYTES: number = 18 + LEAD_BYTES;

/** Size of the slabs that packets are written into. */
export const SLAB_BYTES = 16_384;

/** A packet that has come to more than this when it needs a new slab gets a large one, so that few like it have to move. */
export const LARGE_PACKET_BYTES = 4_096;
export const LARGE_SLAB_BYTES = 65_536;

/** One packet, ready to be written to the socket: `head`, then `body`. */
export interface EncodedPacket {
  /** Everything, or everything but the payload of the last frame. Never written to again. */
  readonly head: Uint8Array;
  /** The payload of the last frame when it was not copied: the same array that was given to `add`. */
  readonly body: Uint8Array | undefined;
  /** Length of the packet: head and body together. */
  readonly bytes: number;
  /** Bytes before `head`, in its buffer, that are nobody's: a link may write what goes ahead of the packet there. */
  readonly room: number;
  /** Whether something is in it that must not be compressed; see `(hawser.v1.compression)`. */
  readonly plain: boolean;
}

/** A message that writes itself into a packet. */
export interface MessageWriter {
  /** The message takes at most so many bytes. */
  readonly bound: number;
  /** Writes the message from `at`; returns the position after it, or -1 when it cannot: what was written does not count then. */
  write(into: Uint8Array, at: number): number;
  /** Told where the message has come to lie. The place is never written to again. */
  written(buffer: Uint8Array, at: number, length: number): void;
}

/** Whose packet is being made. */
export interface PacketOwner {
  /** The encoder is wanted by somebody else: the packet must be finished now. */
  yieldEncoder(): void;
}

/**
 * Collects frames and makes packets of them: `claim`, `add`, `add`, …, `finish`. One encoder serves all sessions of a
 * process: a session claims it for its packet, and finishes that early when another session has something to say.
 *
 * Frames are written straight into a slab, and heads are parts of slabs. A slab lives as long as any head in it, so an
 * outbox that keeps one small packet for long keeps up to {@link SLAB_BYTES} alive, or {@link LARGE_SLAB_BYTES} when large
 * packets were made at the same time; whoever keeps heads for a detached session copies them.
 *
 * A payload of {@link BESIDE_BYTES} or more is not copied. It must be the end of the packet: {@link PacketEncoder.full}
 * turns true and the packet has to be finished. The array must not be written to as long as the packet may be sent.
 */
export class PacketEncoder {
  readonly #allocate: (bytes: number) => Uint8Array;
  /** The slab that packets go into, unless they are larger than a slab. */
  #slab: Uint8Array;
  /** Where the unused part of the slab begins. */
  #used = 0;
  /** What the packet of the moment is written into: the slab, or a buffer of its own. */
  #buffer: Uint8Array;
  /** Where the room for `seq` and `ack` begins. */
  #start = 0;
  /** Where the next frame goes. */
  #pos = PACKET_HEAD_BYTES;
  #frames = 0;
  #body: Uint8Array | undefined;
  #plain = false;
  #owner: PacketOwner | undefined;
  /** Length of the message that was written last: a guess for the next one. */
  #guess = 0;
  #writing = false;

  /**
   * @param allocate makes buffers of at least so many bytes, zeroed or not. Default: `new Uint8Array`. In Node,
   *   `Buffer.allocUnsafeSlow` saves the zeroing.
   */
  constructor(allocate: (bytes: number) => Uint8Array = (bytes) => new Uint8Array(bytes)) {
    this.#allocate = allocate;
    this.#slab = new Uint8Array(0); // the first frame takes the first slab
    this.#buffer = this.#slab;
  }

  /** Whether the packet that is being made is this one's. */
  isOwnedBy(owner: PacketOwner): boolean {
    return this.#owner === owner;
  }

  /** Begins a packet, unless the one that is being made is this owner's already. */
  claim(owner: PacketOwner): void {
    if (this.#owner === owner) return;
    this.check();
    this.#owner?.yieldEncoder();
    this.#owner = owner;
  }

  /** @throws Error while a message is being written: nothing can be added then. */
  check(): void {
    // A getter of a message may do anything, even make a call.
    if (this.#writing) throw new Error("a message is being encoded, and cannot make calls meanwhile");
  }

  /** Frames added to the packet so far. */
  get frames(): number {
    return this.#frames;
  }

  /** Bytes of the frames added so far, payload beside included; `seq` and `ack` take up to 18 more. */
  get bytes(): number {
    const body = this.#body;
    return this.#pos - this.#start - PACKET_HEAD_BYTES + (body === undefined ? 0 : body.length);
  }

  /** The last frame's payload is beside the head: nothing may follow it in this packet. */
  get full(): boolean {
    return this.#body !== undefined;
  }

  /**
   * Adds a frame to the packet.
   *
   * Throws, and leaves the packet as it was, when the packet is full, when a number of the frame is not one that its
   * field can hold, or when the frame is of unknown kind.
   */
  add(frame: Frame): void {
    this.check();
    if (this.#body !== undefined) throw new Error("the packet is full: finish it first");
    const size = bodyBytes(frame);
    let need = wrappedBytes(size);
    let beside: Uint8Array | undefined;
    if (size >= BESIDE_BYTES && (frame.kind === "data" || frame.kind === "open" || frame.kind === "end")) {
      const payload = frame.payload;
      if (payload !== undefined && payload.length >= BESIDE_BYTES) {
        beside = payload;
        need -= payload.length;
      }
    }
    if (this.#pos + need > this.#buffer.length) this.#grow(need);
    this.#pos = writeFrame(this.#buffer, this.#pos, frame, size, beside !== undefined);
    this.#frames++;
    this.#body = beside;
    if (mustStayPlain(frame)) this.#plain = true;
  }

  /**
   * Adds a frame whose payload is written straight into the packet.
   *
   * @param frame without a payload
   * @returns the length of the payload; -1 when it cannot be written, and the packet is as it was
   */
  addMessage(frame: DataFrame | OpenFrame | EndFrame, message: MessageWriter): number {
    this.check();
    if (this.#body !== undefined) throw new Error("the packet is full: finish it first");
    const { bound } = message;
    const rest = bodyBytes(frame);
    const need = headBefore(rest, bound) + bound;
    if (this.#pos + need > this.#buffer.length) this.#grow(need);
    const buffer = this.#buffer;
    const start = this.#pos;
    // Lengths stand before what they measure. Room is left for those of a message as long as the one before.
    const guessed = start + headBefore(rest, Math.min(bound, this.#guess));
    this.#writing = true;
    let end: number;
    try {
      end = message.write(buffer, guessed);
    } finally {
      this.#writing = false;
    }
    const length = end - guessed;
    if (end < 0 || length > bound) return -1;
    const at = start + headBefore(rest, length);
    if (at !== guessed) buffer.copyWithin(at, guessed, end);
    const body = rest + 1 + uintBytes(length) + length;
    writePayloadHead(buffer, writeFrame(buffer, start, frame, body, false), frame.kind, length);
    this.#guess = length;
    this.#pos = at + length;
    this.#frames++;
    if (mustStayPlain(frame)) this.#plain = true;
    message.written(buffer, at, length);
    return length;
  }

  /**
   * Ends the packet and begins the next. Without a frame before it, it makes a packet that only acknowledges.
   *
   * Throws a `RangeError` when `seq` or `ack` is not a whole number from 0 to 2^53-1; the frames are dropped then.
   */
  finish(seq: number, ack: number): EncodedPacket {
    const body = this.#body;
    try {
      const seqBytes = seq === 0 ? 0 : 1 + uintBytes(seq);
      const ackBytes = ack === 0 ? 0 : 1 + uintBytes(ack);
      if (this.#pos > this.#buffer.length) this.#grow(0);
      const buffer = this.#buffer;
      const end = this.#pos;
      const begin = this.#start + PACKET_HEAD_BYTES - seqBytes - ackBytes;
      writeHead(buffer, begin, seq, ack);
      if (buffer === this.#slab) this.#used = end;
      return {
        head: buffer.subarray(begin, end),
        body,
        bytes: end - begin + (body === undefined ? 0 : body.length),
        room: begin - this.#start,
        plain: this.#plain,
      };
    } finally {
      this.discard();
    }
  }

  /** Drops the frames added since the last `finish`, for a caller that cannot go on with its packet. */
  discard(): void {
    this.#keepPlaces();
    this.#buffer = this.#slab;
    this.#start = this.#used;
    this.#pos = this.#used + PACKET_HEAD_BYTES;
    this.#frames = 0;
    this.#body = undefined;
    this.#plain = false;
    this.#owner = undefined;
  }

  /** Messages have been told where they lie: the places are not written to again, though the packet is not sent from there. */
  #keepPlaces(): void {
    if (this.#frames > 0 && this.#buffer === this.#slab) this.#used = this.#pos;
  }

  /** Moves the packet to where `need` more bytes fit: a new slab if it fits there, else a buffer of its own. */
  #grow(need: number): void {
    const done = this.#frames === 0 ? PACKET_HEAD_BYTES : this.#pos - this.#start;
    const required = done + need;
    let buffer: Uint8Array;
    const slabBytes = required > LARGE_PACKET_BYTES ? LARGE_SLAB_BYTES : SLAB_BYTES;
    if (required <= slabBytes) {
      buffer = this.#allocate(slabBytes);
      this.#slab = buffer;
      this.#used = 0;
    } else {
      this.#keepPlaces();
      buffer = this.#allocate(this.#frames === 0 ? required : Math.max(required, 2 * done));
    }
    if (this.#frames > 0) {
      buffer.set(this.#buffer.subarray(this.#start + PACKET_HEAD_BYTES, this.#pos), PACKET_HEAD_BYTES);
    }
    this.#buffer = buffer;
    this.#start = 0;
    this.#pos = done;
  }
}

/** Bytes of a frame before its payload, which comes last; `rest`: bytes of its other fields. */
function headBefore(rest: number, payload: number): number {
  return wrappedBytes(rest + 1 + uintBytes(payload) + payload) - payload;
}

/** Credentials, and messages of methods that are marked so: next to what others choose, compressing them tells what they are. */
function mustStayPlain(frame: Frame): boolean {
  switch (frame.kind) {
    case "data":
    case "open":
    case "end":
      return frame.plain === true;
    default:
      return frame.kind === "hello" || frame.kind === "refresh";
  }
}

/** Encodes a packet into one array of its own, payloads copied. For tests, vectors and tools. */
export function encodePacket(packet: Packet): Uint8Array {
  let bytes =
    (packet.seq === 0 ? 0 : 1 + uintBytes(packet.seq)) + (packet.ack === 0 ? 0 : 1 + uintBytes(packet.ack));
  for (const frame of packet.frames) bytes += frameBytes(frame);
  const into = new Uint8Array(bytes);
  let pos = writeHead(into, 0, packet.seq, packet.ack);
  for (const frame of packet.frames) pos = writeFrame(into, pos, frame, bodyBytes(frame), false);
  return into;
}

function writeHead(into: Uint8Array, at: number, seq: number, ack: number): number {
  let pos = at;
  if (seq !== 0) {
    into[pos] = 0x08;
    pos = writeUint(into, pos + 1, seq);
  }
  if (ack !== 0) {
    into[pos] = 0x10;
    pos = writeUint(into, pos + 1, ack);
  }
  return pos;
}
