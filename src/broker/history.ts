import type { Slice } from "./broker.js";
import type { Publication } from "./publication.js";

/** What a publication costs in memory beside its payload, about (Node 24, measured). */
const ENTRY_BYTES = 160;

/** How much is kept. All limits hold; of the limit in bytes, the newest publication is free. */
export interface KeepLimits {
  readonly size: number;
  readonly ttlMs: number;
  readonly bytes: number;
}

/** Publications of a topic that are kept. */
export interface Kept {
  /** What is kept, in bytes, about. */
  readonly bytes: number;
  /** Publications that are kept. */
  readonly size: number;
  add(publication: Publication, now: number): void;
  /** Drops what is too old. */
  trim(now: number): void;
  read(after: number, count: number, bytes: number): Slice;
  /** The offset behind which the newest `count` lie. */
  offsetBefore(count: number): number;
  /** Holds the kept ones to another limit. */
  limitBytes(bytes: number): void;
}

/** The newest publications of a topic, in order. */
export class History implements Kept {
  readonly #limits: KeepLimits;
  #bytesLimit: number;
  #entries: Publication[] = [];
  #times: number[] = [];
  #head = 0;
  #bytes = 0;
  /** Offset of the newest that is gone, or that was never here. */
  #floor: number;

  /** @param floor publications up to this offset are not here */
  constructor(limits: KeepLimits, floor = 0) {
    this.#limits = limits;
    this.#bytesLimit = limits.bytes;
    this.#floor = floor;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#entries.length - this.#head;
  }

  /** Offset of the newest that was here; the floor before the first. */
  get last(): number {
    return this.size === 0 ? this.#floor : (this.#entries.at(-1) as Publication).offset;
  }

  add(publication: Publication, now: number): void {
    this.#entries.push(publication);
    this.#times.push(now);
    this.#bytes += publication.payload.length + ENTRY_BYTES;
    this.trim(now);
  }

  trim(now: number): void {
    const oldest = now - this.#limits.ttlMs;
    while (this.size > 0 && (this.size > this.#limits.size || (this.#times[this.#head] as number) < oldest))
      this.#drop();
    this.#fit();
    if (this.#head > 64 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#times = this.#times.slice(this.#head);
      this.#head = 0;
    }
  }

  limitBytes(bytes: number): void {
    this.#bytesLimit = Math.min(bytes, this.#limits.bytes);
    this.#fit();
  }

  read(after: number, count: number, bytes: number): Slice {
    const publications: Publication[] = [];
    let left = bytes;
    for (let i = this.#indexAfter(after); i < this.#entries.length && publications.length < count; i++) {
      const publication = this.#entries[i] as Publication;
      left -= publication.payload.length;
      if (left < 0 && publications.length > 0) break;
      publications.push(publication);
    }
    return { publications, whole: after >= this.#floor };
  }

  offsetBefore(count: number): number {
    const index = this.#entries.length - Math.min(count, this.size);
    return index >= this.#entries.length ? this.last : (this.#entries[index] as Publication).previous;
  }

  #fit(): void {
    while (this.size > 1 && this.#bytes > this.#bytesLimit) this.#drop();
  }

  #drop(): void {
    const publication = this.#entries[this.#head] as Publication;
    this.#floor = publication.offset;
    this.#bytes -= publication.payload.length + ENTRY_BYTES;
    this.#entries[this.#head] = NOTHING;
    this.#head++;
  }

  /** Index of the first one behind an offset. */
  #indexAfter(offset: number): number {
    let low = this.#head;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle] as Publication).offset <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Holds a place in the array until that is swept. */
const NOTHING: Publication = { offset: 0, previous: 0, payload: new Uint8Array(0), key: "" };
