import type { Slice } from "./broker.js";
import type { KeepLimits, Kept } from "./history.js";
import type { Publication } from "./publication.js";

/** What a publication and its key cost in memory beside the payload, about (Node 24, measured). */
const ENTRY_BYTES = 256;

interface Entry {
  readonly publication: Publication;
  readonly time: number;
}

/** The newest publication of each key of a topic, in the order of their offsets. */
export class Latest implements Kept {
  readonly #limits: KeepLimits;
  #bytesLimit: number;
  /** In the order in which they came: a key that comes again goes to the end. */
  readonly #byKey = new Map<string, Entry>();
  #bytes = 0;
  #last: number;
  /** Offset of the newest that is gone without having been replaced. */
  #floor: number;

  /** @param floor publications up to this offset are not here */
  constructor(limits: KeepLimits, floor = 0) {
    this.#limits = limits;
    this.#bytesLimit = limits.bytes;
    this.#floor = floor;
    this.#last = floor;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#byKey.size;
  }

  add(publication: Publication, time: number): void {
    const { key, payload } = publication;
    const old = this.#byKey.get(key);
    if (old !== undefined) {
      this.#byKey.delete(key);
      this.#bytes -= old.publication.payload.length + ENTRY_BYTES;
    }
    this.#byKey.set(key, { publication, time });
    this.#bytes += payload.length + ENTRY_BYTES;
    this.#last = publication.offset;
    this.trim(time);
  }

  trim(now: number): void {
    const oldest = now - this.#limits.ttlMs;
    for (const [key, { publication, time }] of this.#byKey) {
      if (this.size <= this.#limits.size && time >= oldest) break;
      this.#drop(key, publication);
    }
    this.#fit();
  }

  limitBytes(bytes: number): void {
    this.#bytesLimit = Math.min(bytes, this.#limits.bytes);
    this.#fit();
  }

  read(after: number, count: number, bytes: number): Slice {
    const publications: Publication[] = [];
    let left = bytes;
    for (const { publication } of this.#byKey.values()) {
      if (publication.offset <= after) continue;
      left -= publication.payload.length;
      if (publications.length > 0 && (left < 0 || publications.length >= count)) break;
      publications.push(publication);
    }
    return { publications, whole: after >= this.#floor };
  }

  offsetBefore(count: number): number {
    let skip = this.size - count;
    let before = this.#floor;
    for (const { publication } of this.#byKey.values()) {
      if (skip-- <= 0) return before;
      before = publication.offset;
    }
    return this.size === 0 || count === 0 ? this.#last : before;
  }

  #fit(): void {
    for (const [key, { publication }] of this.#byKey) {
      if (this.size <= 1 || this.#bytes <= this.#bytesLimit) break;
      this.#drop(key, publication);
    }
  }

  #drop(key: string, publication: Publication): void {
    this.#byKey.delete(key);
    this.#bytes -= publication.payload.length + ENTRY_BYTES;
    this.#floor = publication.offset;
  }
}
