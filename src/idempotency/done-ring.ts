import type { IdempotencyId, RequestShape } from "./store.js";

/** What is kept of a key that is done. */
export interface DoneKey {
  readonly shape: RequestShape;
  readonly outcome: Uint8Array;
}

/** Keys and outcomes lie in blocks of this size; a larger one has a block of its own. */
const BLOCK_BYTES = 1024 * 1024;

/** What a key takes in the tables, in bytes. */
export const DONE_KEY_BYTES = 64;

const MIN_RECORDS = 1_024;

interface Block {
  readonly bytes: Uint8Array;
  used: number;
  /** Records in it that are not forgotten. */
  live: number;
}

/**
 * The keys that are done, in the order in which they were done, which is the order in which they are forgotten.
 *
 * A server may keep hundreds of thousands of them, and an object for each would keep the garbage collector busy: it took
 * three quarters of a call's time. So all lies in a few typed arrays: records in a ring, an index by hash (open addressing,
 * linear probing), keys and outcomes one behind the other in blocks.
 */
export class DoneRing {
  /** What keys and outcomes take, with their records. */
  bytes = 0;
  /** Numbers of the oldest record and of the next one; a record's place in the arrays is its number modulo their length. */
  #first = 0;
  #next = 0;
  #mask = MIN_RECORDS - 1;
  #hashes = new Int32Array(MIN_RECORDS);
  #expiries = new Float64Array(MIN_RECORDS);
  #fingerprints = new Float64Array(MIN_RECORDS);
  #methods = new Int32Array(MIN_RECORDS);
  #offsets = new Int32Array(MIN_RECORDS);
  #idLengths = new Int32Array(MIN_RECORDS);
  #lengths = new Int32Array(MIN_RECORDS);
  #blocks: Block[] = new Array(MIN_RECORDS);
  /** Place of a record and one more; 0 is empty. Twice as long as the ring, so that probes stay short. */
  #index = new Int32Array(2 * MIN_RECORDS);
  #block: Block = newBlock(BLOCK_BYTES);
  readonly #methodNumbers = new Map<string, number>();
  readonly #methodNames: string[] = [];

  get size(): number {
    return this.#next - this.#first;
  }

  /** When the oldest key is to be forgotten; `Infinity` when there is none. */
  get oldestExpiry(): number {
    return this.#first === this.#next
      ? Number.POSITIVE_INFINITY
      : (this.#expiries[this.#first & this.#mask] as number);
  }

  /** Looks a key up. */
  get(id: IdempotencyId): DoneKey | undefined {
    if (this.#first === this.#next) return undefined;
    const hash = hashOf(id);
    const indexMask = this.#index.length - 1;
    for (let slot = hash & indexMask; ; slot = (slot + 1) & indexMask) {
      const entry = this.#index[slot] as number;
      if (entry === 0) return undefined;
      const place = entry - 1;
      if (this.#hashes[place] === hash && this.#isKey(place, id)) return this.#read(place);
    }
  }

  /** Adds a key that is not here. */
  add(id: IdempotencyId, shape: RequestShape, outcome: Uint8Array, expiresAt: number): void {
    if (this.size > this.#mask) this.#grow();
    const place = this.#next++ & this.#mask;
    const idLength = 4 + 2 * (id.identity.length + id.key.length);
    const block = this.#room(idLength + outcome.length);
    const at = block.used;
    writeId(block.bytes, at, id);
    block.bytes.set(outcome, at + idLength);
    block.used = at + idLength + outcome.length;
    block.live++;
    const hash = hashOf(id);
    this.#hashes[place] = hash;
    this.#expiries[place] = expiresAt;
    this.#fingerprints[place] = shape.fingerprint;
    this.#methods[place] = this.#methodNumber(shape.method);
    this.#offsets[place] = at;
    this.#idLengths[place] = idLength;
    this.#lengths[place] = outcome.length;
    this.#blocks[place] = block;
    this.bytes += DONE_KEY_BYTES + idLength + outcome.length;
    this.#insert(hash, place);
  }

  /** Forgets the oldest key. */
  forgetOldest(): void {
    const place = this.#first++ & this.#mask;
    this.#removeFromIndex(place);
    const block = this.#blocks[place] as Block;
    block.live--;
    // The block goes with its last record; replays that still read from it keep it for themselves.
    this.#blocks[place] = NO_BLOCK;
    this.bytes -= DONE_KEY_BYTES + (this.#idLengths[place] as number) + (this.#lengths[place] as number);
  }

  #read(place: number): DoneKey {
    const { bytes } = this.#blocks[place] as Block;
    const start = (this.#offsets[place] as number) + (this.#idLengths[place] as number);
    return {
      shape: {
        method: this.#methodNames[this.#methods[place] as number] as string,
        fingerprint: this.#fingerprints[place] as number,
      },
      outcome: bytes.subarray(start, start + (this.#lengths[place] as number)),
    };
  }

  #isKey(place: number, { identity, key }: IdempotencyId): boolean {
    const { bytes } = this.#blocks[place] as Block;
    let at = this.#offsets[place] as number;
    if ((this.#idLengths[place] as number) !== 4 + 2 * (identity.length + key.length)) return false;
    if (readLength(bytes, at) !== identity.length) return false;
    at += 4;
    for (const text of [identity, key]) {
      for (let i = 0; i < text.length; i++, at += 2) {
        const unit = text.charCodeAt(i);
        if (bytes[at] !== (unit & 0xff) || bytes[at + 1] !== unit >>> 8) return false;
      }
    }
    return true;
  }

  #room(length: number): Block {
    if (length > BLOCK_BYTES >> 3) return newBlock(length);
    if (this.#block.used + length > BLOCK_BYTES) this.#block = newBlock(BLOCK_BYTES);
    return this.#block;
  }

  #methodNumber(name: string): number {
    let number = this.#methodNumbers.get(name);
    if (number === undefined) {
      number = this.#methodNames.length;
      this.#methodNames.push(name);
      this.#methodNumbers.set(name, number);
    }
    return number;
  }

  #insert(hash: number, place: number): void {
    const indexMask = this.#index.length - 1;
    let slot = hash & indexMask;
    while (this.#index[slot] !== 0) slot = (slot + 1) & indexMask;
    this.#index[slot] = place + 1;
  }

  /** Takes an entry out and moves later ones of its run forward, so that no probe ends too early. */
  #removeFromIndex(place: number): void {
    const index = this.#index;
    const indexMask = index.length - 1;
    let hole = (this.#hashes[place] as number) & indexMask;
    while (index[hole] !== place + 1) hole = (hole + 1) & indexMask;
    for (let slot = (hole + 1) & indexMask; ; slot = (slot + 1) & indexMask) {
      const entry = index[slot] as number;
      if (entry === 0) break;
      const wanted = (this.#hashes[entry - 1] as number) & indexMask;
      // It may move into the hole unless it wants to be behind it.
      if (((slot - wanted) & indexMask) < ((slot - hole) & indexMask)) continue;
      index[hole] = entry;
      hole = slot;
    }
    index[hole] = 0;
  }

  #grow(): void {
    const old = this.#mask + 1;
    const length = 2 * old;
    const grown = <T extends Int32Array | Float64Array>(from: T, to: T): T => {
      for (let number = this.#first; number < this.#next; number++)
        to[number & (length - 1)] = from[number & (old - 1)] as number;
      return to;
    };
    this.#hashes = grown(this.#hashes, new Int32Array(length));
    this.#expiries = grown(this.#expiries, new Float64Array(length));
    this.#fingerprints = grown(this.#fingerprints, new Float64Array(length));
    this.#methods = grown(this.#methods, new Int32Array(length));
    this.#offsets = grown(this.#offsets, new Int32Array(length));
    this.#idLengths = grown(this.#idLengths, new Int32Array(length));
    this.#lengths = grown(this.#lengths, new Int32Array(length));
    const blocks: Block[] = new Array(length);
    for (let number = this.#first; number < this.#next; number++)
      blocks[number & (length - 1)] = this.#blocks[number & (old - 1)] as Block;
    this.#blocks = blocks;
    this.#mask = length - 1;
    this.#index = new Int32Array(2 * length);
    for (let number = this.#first; number < this.#next; number++) {
      const place = number & this.#mask;
      this.#insert(this.#hashes[place] as number, place);
    }
  }
}

const NO_BLOCK: Block = { bytes: new Uint8Array(0), used: 0, live: 0 };

function newBlock(length: number): Block {
  return { bytes: new Uint8Array(length), used: 0, live: 0 };
}

function hashOf({ identity, key }: IdempotencyId): number {
  let hash = 0x811c9dc5 ^ identity.length;
  for (let i = 0; i < identity.length; i++) hash = Math.imul(hash ^ identity.charCodeAt(i), 0x01000193);
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}

function writeId(bytes: Uint8Array, start: number, { identity, key }: IdempotencyId): void {
  let at = start;
  for (let shift = 0; shift < 32; shift += 8) bytes[at++] = identity.length >>> shift;
  for (const text of [identity, key]) {
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      bytes[at++] = unit;
      bytes[at++] = unit >>> 8;
    }
  }
}

function readLength(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}
