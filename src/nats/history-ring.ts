import type { Publication } from "../broker/publication.js";

interface Kept {
  readonly publication: Publication;
  /** When it was published, in milliseconds by this process's clock. */
  readonly time: number;
}

/** The newest publications of a topic, as far as this node has them without a hole. */
export class HistoryRing {
  /** Behind this offset nothing is missing here. */
  base = 0;
  /** Nothing older is kept by the broker either, or was when it was looked. */
  isAll = false;
  bytes = 0;
  readonly #size: number;
  readonly #ttlMs: number;
  readonly #maxBytes: number;
  #kept: Kept[] = [];
  /** Those before this have gone. */
  #head = 0;

  constructor(size: number, ttlMs: number, maxBytes: number) {
    this.#size = size;
    this.#ttlMs = ttlMs;
    this.#maxBytes = maxBytes;
  }

  /** Forgets everything; goes on behind an offset. */
  reset(base: number): void {
    this.base = base;
    this.isAll = false;
    this.bytes = 0;
    this.#kept = [];
    this.#head = 0;
  }

  /** How many are kept. */
  get count(): number {
    return this.#kept.length - this.#head;
  }

  /** What may still be put in, in bytes. */
  get room(): number {
    return this.#maxBytes - this.bytes;
  }

  /** The next one. */
  push(publication: Publication, time: number): void {
    this.#kept.push({ publication, time });
    this.bytes += publication.payload.byteLength;
    // The broker has dropped as many too; what goes here for the bytes, it still has.
    if (this.count >= this.#size) this.isAll = true;
    while (this.count > this.#size) this.#drop();
    while (this.bytes > this.#maxBytes && this.count > 0) {
      this.#drop();
      this.isAll = false;
    }
  }

  /** Older ones, that lie directly before. Returns whether there was room. */
  prepend(older: readonly Kept[], base: number, isAll: boolean): boolean {
    const bytes = older.reduce((sum, { publication }) => sum + publication.payload.byteLength, 0);
    if (bytes > this.room) return false;
    this.#kept = [...older, ...this.#kept.slice(this.#head)];
    this.#head = 0;
    this.bytes += bytes;
    this.base = base;
    this.isAll = isAll;
    while (this.count > this.#size) this.#drop();
    return true;
  }

  /** Drops what is too old. */
  expire(now: number): void {
    while (this.count > 0 && (this.#kept[this.#head] as Kept).time <= now - this.#ttlMs) {
      this.#drop();
      // Clocks differ: the broker may keep it a little longer.
      this.isAll = false;
    }
  }

  /** Publications behind `after` up to `to`: so many, and about so many bytes, one at least. */
  slice(after: number, to: number, count: number, bytes: number, conflates: boolean): readonly Publication[] {
    const found = this.#between(after, to);
    return limited(conflates ? newestOfEachKey(found) : found, count, bytes);
  }

  /** The offset behind which the newest `count` lie; `undefined` when there are not as many. */
  before(count: number): number | undefined {
    if (count > this.count) return undefined;
    if (count <= 0) return this.#kept.at(-1)?.publication.offset ?? this.base;
    return (this.#kept[this.#kept.length - count] as Kept).publication.previous;
  }

  #between(after: number, to: number): Publication[] {
    let low = this.#head;
    let high = this.#kept.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#kept[middle] as Kept).publication.offset <= after) low = middle + 1;
      else high = middle;
    }
    const found: Publication[] = [];
    for (; low < this.#kept.length; low++) {
      const { publication } = this.#kept[low] as Kept;
      if (publication.offset > to) break;
      found.push(publication);
    }
    return found;
  }

  #drop(): void {
    const { publication } = this.#kept[this.#head++] as Kept;
    this.base = publication.offset;
    this.bytes -= publication.payload.byteLength;
    if (this.#head > 64 && this.#head * 2 > this.#kept.length) {
      this.#kept = this.#kept.slice(this.#head);
      this.#head = 0;
    }
  }
}

/** The newest of each key, in the order of their offsets. */
export function newestOfEachKey<T extends { readonly key: string }>(publications: readonly T[]): T[] {
  const newest = new Map<string, T>();
  for (const publication of publications) {
    newest.delete(publication.key);
    newest.set(publication.key, publication);
  }
  return [...newest.values()];
}

/** The first of them: so many, and about so many bytes, one at least. */
export function limited<T extends { readonly payload: Uint8Array }>(
  publications: readonly T[],
  count: number,
  bytes: number,
): readonly T[] {
  let length = 0;
  let used = 0;
  for (const { payload } of publications) {
    used += payload.byteLength;
    if (length >= count || (length > 0 && used > bytes)) break;
    length += 1;
  }
  return length === publications.length ? publications : publications.slice(0, length);
}
