import type { EncodedPacket } from "../wire/encode.js";
import { CHUNK_BYTES } from "../wire/limits.js";
import type { OutboxBudget } from "./host.js";

/** A packet that the other side has not acknowledged. */
interface OutboxEntry {
  packet: EncodedPacket;
  /** When it was last written to a link. */
  writtenAt: number;
  /** Number of the last call that this side had opened when the packet was made. */
  readonly lastOpen: number;
}

/** What each packet costs in memory beside its bytes: entry, packet and typed array (Node 24, measured). */
const ENTRY_BYTES = 256;
/** Outboxes of a process may hold this much each when they hold too much together: a full piece. */
const SCARCE_BYTES = CHUNK_BYTES;
const NO_BUDGET: OutboxBudget = { used: 0, limit: Number.POSITIVE_INFINITY };

/**
 * Encoded packets from the first unacknowledged one to the newest, in order, up to a number of bytes: whoever adds some has
 * looked whether there is room.
 *
 * Packets are kept encoded: resending is writing the same bytes again. A cursor divides those already written to the
 * present link from those still to be written.
 */
export class Outbox {
  #entries: OutboxEntry[] = [];
  /** Index of the oldest entry; those before it are acknowledged and wait to be swept out of the array. */
  #head = 0;
  /** Index of the first entry that the present link has not got. */
  #cursor = 0;
  #bytes = 0;
  #lastSeq = 0;
  #lastOpenWritten = 0;
  /** Highest number of a packet that was written to any link. */
  #writtenSeq = 0;
  #fullSince: number = Number.POSITIVE_INFINITY;
  readonly #maxBytes: number;
  readonly #budget: OutboxBudget;

  /**
   * @param maxBytes how much it may hold
   * @param budget counts the bytes of all outboxes that share it
   */
  constructor(maxBytes: number, budget: OutboxBudget = NO_BUDGET) {
    this.#maxBytes = maxBytes;
    this.#budget = budget;
  }

  /** What all unacknowledged packets take in memory: their bytes, and what each costs beside them. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * How many bytes it may hold now. When the outboxes of all sessions hold too much together, each may go on with a little:
   * nobody waits for somebody else.
   */
  get limit(): number {
    const { used, limit } = this.#budget;
    return used < limit ? this.#maxBytes : Math.min(this.#maxBytes, SCARCE_BYTES);
  }

  /** Whether it holds as much as it may. */
  get isFull(): boolean {
    return this.#bytes >= this.limit;
  }

  /** Since when it has been full without a break, as far as packets were written meanwhile; `Infinity` when it is not. */
  get fullSince(): number {
    return this.#fullSince;
  }

  /** Number of unacknowledged packets. */
  get size(): number {
    return this.#entries.length - this.#head;
  }

  /** Highest number given to a packet. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** Highest number that is acknowledged. */
  get ackedSeq(): number {
    return this.#lastSeq - this.size;
  }

  /** Whether all packets up to this one were given out, and all after it are here. */
  canGoOnAfter(seq: number): boolean {
    return seq >= this.ackedSeq && seq <= this.#lastSeq;
  }

  /** When the oldest unacknowledged packet was written to the present link; `Infinity` when there is none. */
  get oldestWrittenAt(): number {
    return this.#head < this.#cursor
      ? (this.#entries[this.#head] as OutboxEntry).writtenAt
      : Number.POSITIVE_INFINITY;
  }

  /** Number of unacknowledged packets that were written to a link, be it this one or one before. */
  get writtenOnce(): number {
    return Math.max(0, this.#writtenSeq - this.ackedSeq);
  }

  /** Number of the last call of this side whose Open was written to any link. */
  get lastOpenWritten(): number {
    return this.#lastOpenWritten;
  }

  /** The number for the next new packet. */
  get nextSeq(): number {
    return this.#lastSeq + 1;
  }

  /**
   * Adds a new packet, numbered {@link Outbox.nextSeq}, which is still to be written.
   *
   * @param lastOpen number of the last call that this side has opened
   */
  add(packet: EncodedPacket, lastOpen: number): void {
    this.#entries.push({ packet, writtenAt: 0, lastOpen });
    this.#bytes += packet.bytes + ENTRY_BYTES;
    this.#budget.used += packet.bytes + ENTRY_BYTES;
    this.#lastSeq++;
  }

  /** The next packet that the present link has not got, if there is one; it counts as written then. */
  takeUnwritten(now: number): EncodedPacket | undefined {
    const entry = this.#entries[this.#cursor];
    if (entry === undefined) return undefined;
    this.#cursor++;
    entry.writtenAt = now;
    this.#writtenSeq = Math.max(this.#writtenSeq, this.#lastSeq - this.#entries.length + this.#cursor);
    if (entry.lastOpen > this.#lastOpenWritten) this.#lastOpenWritten = entry.lastOpen;
    if (this.#fullSince === Number.POSITIVE_INFINITY && this.isFull) this.#fullSince = now;
    return entry.packet;
  }

  /** Whether the present link lacks packets of the outbox. */
  get hasUnwritten(): boolean {
    return this.#cursor < this.#entries.length;
  }

  /** Drops packets up to `seq`. The caller has checked that the outbox {@link Outbox.canGoOnAfter} it. */
  acknowledge(seq: number): void {
    let count = seq - this.ackedSeq;
    while (count-- > 0) {
      const entry = this.#entries[this.#head] as OutboxEntry;
      this.#bytes -= entry.packet.bytes + ENTRY_BYTES;
      this.#budget.used -= entry.packet.bytes + ENTRY_BYTES;
      // The slot goes away later, in one go; the bytes it holds must not wait for that.
      entry.packet = NOTHING;
      this.#head++;
    }
    if (this.#cursor < this.#head) this.#cursor = this.#head;
    if (this.#head === this.#entries.length) {
      this.#entries.length = 0;
      this.#head = 0;
      this.#cursor = 0;
    } else if (this.#head > 256 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#cursor -= this.#head;
      this.#head = 0;
    }
    if (!this.isFull) this.#fullSince = Number.POSITIVE_INFINITY;
  }

  /** The link is gone: all that is left must be written again, and must not pin the buffers it shares with others. */
  rewind(): void {
    this.#cursor = this.#head;
    for (let i = this.#head; i < this.#entries.length; i++) {
      const entry = this.#entries[i] as OutboxEntry;
      entry.packet = unpinned(entry.packet);
    }
  }

  /** Forgets everything; numbering begins again at 1. */
  clear(): void {
    this.#entries = [];
    this.#head = 0;
    this.#cursor = 0;
    this.#budget.used -= this.#bytes;
    this.#bytes = 0;
    this.#fullSince = Number.POSITIVE_INFINITY;
    this.#lastSeq = 0;
    this.#lastOpenWritten = 0;
    this.#writtenSeq = 0;
  }
}

/** A packet in a buffer of its own. */
export function unpinned(packet: EncodedPacket): EncodedPacket {
  const { head } = packet;
  return head.byteLength === head.buffer.byteLength
    ? packet
    : { ...packet, head: new Uint8Array(head), room: 0 };
}

const NOTHING: EncodedPacket = { head: new Uint8Array(0), body: undefined, bytes: 0, room: 0, plain: false };
