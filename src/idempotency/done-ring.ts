import type { PackedId } from "./packed-id.js";
import type { RequestShape } from "./store.js";

/** What is kept of a key that is done. */
export interface DoneKey {
  readonly shape: RequestShape;
  readonly outcome: Uint8Array;
}

/** Keys and outcomes lie in blocks of this size; a larger one has a block of its own. */
const BLOCK_BYTES = 1024 * 1024;

/** A record is a cache line: a look at one costs one access to memory. */
const RECORD_BYTES = 64;
const RECORD_WORDS = RECORD_BYTES / 4;
const RECORD_DOUBLES = RECORD_BYTES / 8;

/** Words of a record. */
const HASH = 0;
const METHOD = 1;
const OFFSET = 2;
const ID_WORDS = 3;
const OUTCOME_BYTES = 4;
/** Doubles of a record, behind its words. */
const BEFORE = 3;
const EXPIRY = 4;
const FINGERPRINT = 5;

/** There are so many chains per record, so that most lookups of a new key end at an empty one. */
const CHAINS_PER_RECORD = 2;

/** What a key takes in the tables, in bytes, with its reference to a block. */
export const DONE_KEY_BYTES: number = RECORD_BYTES + 8 * CHAINS_PER_RECORD + 8;

const MIN_RECORDS = 1_024;

/** Memory for keys and outcomes, as bytes and as words. */
interface Block {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  used: number;
}

const NO_BLOCK: Block = newBlock(0);

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
  /** Numbers of the oldest record and of the next one; a record's place is its number modulo the length of the ring. */
  #first = 1;
  #next = 1;
  #mask = MIN_RECORDS - 1;
  #words = new Int32Array(MIN_RECORDS * RECORD_WORDS);
  #doubles = new Float64Array(this.#words.buffer);
  #blocks: Block[] = new Array(MIN_RECORDS).fill(NO_BLOCK);
  /** Number of the newest record of each chain; 0: none. */
  #heads = new Float64Array(MIN_RECORDS * CHAINS_PER_RECORD);
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
      : (this.#doubles[(this.#first & this.#mask) * RECORD_DOUBLES + EXPIRY] as number);
  }

  /** Looks a key up. */
  get(id: PackedId): DoneKey | undefined {
    let number = this.#heads[this.#chain(id.hash)] as number;
    while (number >= this.#first) {
      const place = number & this.#mask;
      if (this.#words[place * RECORD_WORDS + HASH] === id.hash && this.#isKey(place, id))
        return this.#read(place);
      number = this.#doubles[place * RECORD_DOUBLES + BEFORE] as number;
    }
    return undefined;
  }

  /** Adds a key that is not here. */
  add(id: PackedId, shape: RequestShape, outcome: Uint8Array, expiresAt: number): void {
    if (this.size > this.#mask) this.#grow();
    const number = this.#next++;
    const place = number & this.#mask;
    // Where the next one begins, words do too.
    const length = (4 * id.size + outcome.length + 3) & ~3;
    const block = this.#room(length);
    const at = block.used;
    block.used = at + length;
    id.writeTo(block.words, at >> 2);
    block.bytes.set(outcome, at + 4 * id.size);
    this.#blocks[place] = block;
    const words = this.#words;
    const word = place * RECORD_WORDS;
    words[word + HASH] = id.hash;
    words[word + METHOD] = this.#methodNumber(shape.method);
    words[word + OFFSET] = at;
    words[word + ID_WORDS] = id.size;
    words[word + OUTCOME_BYTES] = outcome.length;
    const doubles = this.#doubles;
    const double = place * RECORD_DOUBLES;
    const chain = this.#chain(id.hash);
    doubles[double + BEFORE] = this.#heads[chain] as number;
    doubles[double + EXPIRY] = expiresAt;
    doubles[double + FINGERPRINT] = shape.fingerprint;
    this.#heads[chain] = number;
    this.bytes += DONE_KEY_BYTES + length;
  }

  /** Forgets the oldest key. */
  forgetOldest(): void {
    const place = this.#first++ & this.#mask;
    // A block goes with its last record; replays that still read from it keep it for themselves.
    this.#blocks[place] = NO_BLOCK;
    const word = place * RECORD_WORDS;
    const idBytes = 4 * (this.#words[word + ID_WORDS] as number);
    this.bytes -= DONE_KEY_BYTES + ((idBytes + (this.#words[word + OUTCOME_BYTES] as number) + 3) & ~3);
  }

  #read(place: number): DoneKey {
    const { bytes } = this.#blocks[place] as Block;
    const word = place * RECORD_WORDS;
    const start = (this.#words[word + OFFSET] as number) + 4 * (this.#words[word + ID_WORDS] as number);
    return {
      shape: {
        method: this.#methodNames[this.#words[word + METHOD] as number] as string,
        fingerprint: this.#doubles[place * RECORD_DOUBLES + FINGERPRINT] as number,
      },
      outcome: bytes.subarray(start, start + (this.#words[word + OUTCOME_BYTES] as number)),
    };
  }

  #isKey(place: number, id: PackedId): boolean {
    const word = place * RECORD_WORDS;
    if (this.#words[word + ID_WORDS] !== id.size) return false;
    return id.isAt((this.#blocks[place] as Block).words, (this.#words[word + OFFSET] as number) >> 2);
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

  #chain(hash: number): number {
    return hash & (this.#heads.length - 1);
  }

  /** Twice the room. Records move to other places, and all chains are made anew, oldest first. */
  #grow(): void {
    const mask = 2 * this.#mask + 1;
    const words = new Int32Array((mask + 1) * RECORD_WORDS);
    const doubles = new Float64Array(words.buffer);
    const blocks = new Array<Block>(mask + 1).fill(NO_BLOCK);
    this.#heads = new Float64Array((mask + 1) * CHAINS_PER_RECORD);
    for (let number = this.#first; number < this.#next; number++) {
      const from = number & this.#mask;
      const to = number & mask;
      words.set(this.#words.subarray(from * RECORD_WORDS, (from + 1) * RECORD_WORDS), to * RECORD_WORDS);
      blocks[to] = this.#blocks[from] as Block;
      const chain = this.#chain(words[to * RECORD_WORDS + HASH] as number);
      doubles[to * RECORD_DOUBLES + BEFORE] = this.#heads[chain] as number;
      this.#heads[chain] = number;
    }
    this.#words = words;
    this.#doubles = doubles;
    this.#blocks = blocks;
    this.#mask = mask;
  }
}

function newBlock(length: number): Block {
  const bytes = new Uint8Array(length);
  return { bytes, words: new Int32Array(bytes.buffer), used: 0 };
}
