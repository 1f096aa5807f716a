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
    let hash = 0x811c9dc5 | 0;
    for (let i = 0; i < this.size; i++) {
      hash = Math.imul(hash ^ (words[i] as number), 0x2c1b3c6d);
      hash ^= hash >>> 15;
    }
    this.hash = hash;
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
