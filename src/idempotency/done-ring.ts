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
}

const NO_BLOCK: Block = { bytes: new Uint8Array(0), used: 0 };

/**
 * The keys that are done, in the order in which they were done, which is the order in which they are forgotten.
 *
 * A server may keep hundreds of thousands of them, and an object for each would keep the garbage collector busy: it took
 * three quarters of a call's time. So all lies in a few typed arrays: records in a ring, keys and outcomes one behind the
 * other in blocks, and chains of records by the hash of their key. A chain goes from the newest record to the oldest, so
 * that forgetting needs no look at it: what a lookup finds behind a forgotten record is forgotten too.
 */
export class DoneRing {
  /** What keys and outcomes take, with their records. */
  bytes = 0;
  /** Numbers of the oldest record and of the next one; a record's place in the arrays is its number modulo their length. */
  #first = 1;
  #next = 1;
  #mask = MIN_RECORDS - 1;
  #hashes = new Int32Array(MIN_RECORDS);
  #expiries = new Float64Array(MIN_RECORDS);
  #fingerprints = new Float64Array(MIN_RECORDS);
  #methods = new Int32Array(MIN_RECORDS);
  #offsets = new Int32Array(MIN_RECORDS);
  #idBytes = new Int32Array(MIN_RECORDS);
  #outcomeBytes = new Int32Array(MIN_RECORDS);
  #blocks: Block[] = new Array(MIN_RECORDS).fill(NO_BLOCK);
  /** Number of the newest record of each chain, and of the one before each record; 0: none. */
  #heads = new Float64Array(MIN_RECORDS);
  #before = new Float64Array(MIN_RECORDS);
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

  /**
   * Looks a key up.
   *
   * @param hash its {@link hashOf}
   */
  get(id: IdempotencyId, hash: number): DoneKey | undefined {
    let number = this.#heads[(hash >>> 1) & this.#mask] as number;
    while (number >= this.#first) {
      const place = number & this.#mask;
      if (this.#hashes[place] === hash && this.#isKey(place, id, hash)) return this.#read(place);
      number = this.#before[place] as number;
    }
    return undefined;
  }

  /** Adds a key that is not here. */
  add(id: IdempotencyId, hash: number, shape: RequestShape, outcome: Uint8Array, expiresAt: number): void {
    if (this.size > this.#mask) this.#grow();
    const number = this.#next++;
    const place = number & this.#mask;
    const idBytes = sizeOf(id, hash);
    const block = this.#room(idBytes + outcome.length);
    const at = block.used;
    writeId(block.bytes, at, (hash & WIDE) + 1, id);
    block.bytes.set(outcome, at + idBytes);
    block.used = at + idBytes + outcome.length;
    this.#hashes[place] = hash;
    this.#expiries[place] = expiresAt;
    this.#fingerprints[place] = shape.fingerprint;
    this.#methods[place] = this.#methodNumber(shape.method);
    this.#offsets[place] = at;
    this.#idBytes[place] = idBytes;
    this.#outcomeBytes[place] = outcome.length;
    this.#blocks[place] = block;
    this.bytes += DONE_KEY_BYTES + idBytes + outcome.length;
    this.#chain(number, place, hash);
  }

  /** Forgets the oldest key. */
  forgetOldest(): void {
    const place = this.#first++ & this.#mask;
    // A block goes with its last record; replays that still read from it keep it for themselves.
    this.#blocks[place] = NO_BLOCK;
    this.bytes -= DONE_KEY_BYTES + (this.#idBytes[place] as number) + (this.#outcomeBytes[place] as number);
  }

  #read(place: number): DoneKey {
    const { bytes } = this.#blocks[place] as Block;
    const start = (this.#offsets[place] as number) + (this.#idBytes[place] as number);
    return {
      shape: {
        method: this.#methodNames[this.#methods[place] as number] as string,
        fingerprint: this.#fingerprints[place] as number,
      },
      outcome: bytes.subarray(start, start + (this.#outcomeBytes[place] as number)),
    };
  }

  #isKey(place: number, id: IdempotencyId, hash: number): boolean {
    if (sizeOf(id, hash) !== this.#idBytes[place]) return false;
    const { bytes } = this.#blocks[place] as Block;
    return holdsId(bytes, this.#offsets[place] as number, (hash & WIDE) + 1, id);
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

  #chain(number: number, place: number, hash: number): void {
    const head = (hash >>> 1) & this.#mask;
    this.#before[place] = this.#heads[head] as number;
    this.#heads[head] = number;
  }

  /** Twice the room. Records move to other places, and all chains are made anew, oldest first. */
  #grow(): void {
    const mask = 2 * this.#mask + 1;
    const moved = <T extends { [place: number]: unknown }>(from: T, to: T): T => {
      for (let number = this.#first; number < this.#next; number++)
        to[number & mask] = from[number & this.#mask];
      return to;
    };
    this.#hashes = moved(this.#hashes, new Int32Array(mask + 1));
    this.#expiries = moved(this.#expiries, new Float64Array(mask + 1));
    this.#fingerprints = moved(this.#fingerprints, new Float64Array(mask + 1));
    this.#methods = moved(this.#methods, new Int32Array(mask + 1));
    this.#offsets = moved(this.#offsets, new Int32Array(mask + 1));
    this.#idBytes = moved(this.#idBytes, new Int32Array(mask + 1));
    this.#outcomeBytes = moved(this.#outcomeBytes, new Int32Array(mask + 1));
    this.#blocks = moved(this.#blocks, new Array<Block>(mask + 1).fill(NO_BLOCK));
    this.#mask = mask;
    this.#heads = new Float64Array(mask + 1);
    this.#before = new Float64Array(mask + 1);
    for (let number = this.#first; number < this.#next; number++) {
      const place = number & mask;
      this.#chain(number, place, this.#hashes[place] as number);
    }
  }
}

function newBlock(length: number): Block {
  return { bytes: new Uint8Array(length), used: 0 };
}

/** The lowest bit of a hash says that a text has units of two bytes. */
const WIDE = 1;

/** What tells keys apart, quickly; and whether a byte is enough for each unit, as it is for every UUID. */
export function hashOf({ identity, key }: IdempotencyId): number {
  let hash = 0x811c9dc5 ^ identity.length;
  let all = 0;
  for (let i = 0; i < identity.length; i++) {
    const unit = identity.charCodeAt(i);
    all |= unit;
    hash = Math.imul(hash ^ unit, 0x01000193);
  }
  for (let i = 0; i < key.length; i++) {
    const unit = key.charCodeAt(i);
    all |= unit;
    hash = Math.imul(hash ^ unit, 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash ^= hash >>> 13;
  return all < 0x100 ? hash & ~WIDE : hash | WIDE;
}

/** Length of the identity, then both texts. */
function sizeOf({ identity, key }: IdempotencyId, hash: number): number {
  return 4 + (identity.length + key.length) * ((hash & WIDE) + 1);
}

function writeId(bytes: Uint8Array, start: number, width: number, { identity, key }: IdempotencyId): void {
  bytes[start] = identity.length;
  bytes[start + 1] = identity.length >>> 8;
  bytes[start + 2] = identity.length >>> 16;
  bytes[start + 3] = identity.length >>> 24;
  const next = writeText(bytes, start + 4, identity, width);
  writeText(bytes, next, key, width);
}

function writeText(bytes: Uint8Array, start: number, text: string, width: number): number {
  let at = start;
  for (let i = 0; i < text.length; i++, at += width) {
    const unit = text.charCodeAt(i);
    bytes[at] = unit;
    if (width === 2) bytes[at + 1] = unit >>> 8;
  }
  return at;
}

function holdsId(bytes: Uint8Array, start: number, width: number, { identity, key }: IdempotencyId): boolean {
  const length =
    (bytes[start] as number) |
    ((bytes[start + 1] as number) << 8) |
    ((bytes[start + 2] as number) << 16) |
    ((bytes[start + 3] as number) << 24);
  if (length !== identity.length) return false;
  return (
    holdsText(bytes, start + 4, identity, width) &&
    holdsText(bytes, start + 4 + width * identity.length, key, width)
  );
}

function holdsText(bytes: Uint8Array, start: number, text: string, width: number): boolean {
  let at = start;
  for (let i = 0; i < text.length; i++, at += width) {
    const unit = text.charCodeAt(i);
    if (bytes[at] !== (unit & 0xff) || (width === 2 && bytes[at + 1] !== unit >>> 8)) return false;
  }
  return true;
}
