import type { IdempotencyId } from "./store.js";

/** Both lengths come first: without them, two ids could have the same characters. */
const HEAD_WORDS = 2;

/** In the first word: some units do not fit into a byte, so all take two. */
const WIDE = 0x8000_0000 | 0;

/**
 * An id as a row of words, and a hash of them, made in one go over its texts, so that it is compared and copied by the
 * word. A unit takes a byte where that is enough for all of them, as it is for every UUID.
 */
export class PackedId {
  /** The id is the first so many words. */
  size = 0;
  words: Int32Array = new Int32Array(64);
  hash = 0;
  readonly #secret: HashSecret;

  /** @param secret makes hashes that nobody else can foresee, so that nobody can choose ids that share one */
  constructor(secret: HashSecret = [0, 0]) {
    this.#secret = secret;
  }

  /** Becomes another id. */
  pack({ identity, key }: IdempotencyId): void {
    const most = HEAD_WORDS + wordsFor(identity, 2) + wordsFor(key, 2);
    if (this.words.length < most) this.words = new Int32Array(2 * most);
    const { words } = this;
    words[0] = identity.length;
    words[1] = key.length;
    const middle = HEAD_WORDS + wordsFor(identity, 1);
    const all = packBytes(identity, words, HEAD_WORDS) | packBytes(key, words, middle);
    if (all < 0x100) this.size = middle + wordsFor(key, 1);
    else {
      words[0] |= WIDE;
      packUnits(identity, words, HEAD_WORDS);
      packUnits(key, words, HEAD_WORDS + wordsFor(identity, 2));
      this.size = most;
    }
    this.hash = halfSipHash(words, this.size, this.#secret);
  }

  /** Whether the words from there on are this id. */
  isAt(words: Int32Array, start: number): boolean {
    const own = this.words;
    for (let i = 0; i < this.size; i++) if (own[i] !== words[start + i]) return false;
    return true;
  }

  /** Writes itself there. */
  writeTo(words: Int32Array, start: number): void {
    const own = this.words;
    for (let i = 0; i < this.size; i++) words[start + i] = own[i] as number;
  }
}

/** 64 random bits, as two numbers. */
export type HashSecret = readonly [number, number];

/**
 * HalfSipHash-1-3 (Aumasson and Bernstein): made for tables whose keys come from strangers. Simpler functions have keys that
 * collide whatever the secret is.
 */
function halfSipHash(words: Int32Array, size: number, [k0, k1]: HashSecret): number {
  let v0 = k0 | 0;
  let v1 = k1 | 0;
  let v2 = 0x6c796765 ^ k0;
  let v3 = 0x74656462 ^ k1;
  // One round for each word, one for the length, and three more at the end.
  for (let i = 0; i < size + 4; i++) {
    const word = i < size ? (words[i] as number) : i === size ? size << 26 : 0;
    if (i === size + 1) v2 ^= 0xff;
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  return v1 ^ v3;
}

function wordsFor(text: string, width: 1 | 2): number {
  return (text.length * width + 3) >>> 2;
}

/** Four units to a word. Gives all of their bits, which tell whether a byte was enough for each. */
function packBytes(text: string, words: Int32Array, start: number): number {
  const { length } = text;
  let at = start;
  let all = 0;
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    const a = text.charCodeAt(i);
    const b = text.charCodeAt(i + 1);
    const c = text.charCodeAt(i + 2);
    const d = text.charCodeAt(i + 3);
    all |= a | b | c | d;
    words[at++] = a | (b << 8) | (c << 16) | (d << 24);
  }
  if (i === length) return all;
  let last = 0;
  for (let shift = 0; i < length; i++, shift += 8) {
    const unit = text.charCodeAt(i);
    all |= unit;
    last |= unit << shift;
  }
  words[at] = last;
  return all;
}

/** Two units to a word. */
function packUnits(text: string, words: Int32Array, start: number): void {
  for (let i = 0; i < text.length; i += 2) {
    const second = i + 1 < text.length ? text.charCodeAt(i + 1) : 0;
    words[start + (i >> 1)] = text.charCodeAt(i) | (second << 16);
  }
}
