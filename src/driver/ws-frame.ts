/** Whole messages as frames of the WebSocket protocol (RFC 6455 section 5.2). */

/** FIN and the opcode of a binary message; RSV1 says that it is compressed (RFC 7692 section 6). */
const BINARY = 0x82;
const COMPRESSED = 0x40;
const MASKED = 0x80;
const MASK_BYTES = 4;

/** Length of the head of a frame, without a mask. */
export function headBytes(length: number): number {
  return length < 126 ? 2 : length < 65_536 ? 4 : 10;
}

/** Writes the head of a frame up to its mask; returns the position after it. */
function writeHead(into: Buffer, at: number, length: number, compressed: boolean, masked: boolean): number {
  into[at] = compressed ? BINARY | COMPRESSED : BINARY;
  const mask = masked ? MASKED : 0;
  if (length < 126) {
    into[at + 1] = mask | length;
    return at + 2;
  }
  if (length < 65_536) {
    into[at + 1] = mask | 126;
    return into.writeUInt16BE(length, at + 2);
  }
  into[at + 1] = mask | 127;
  // 2^53 bytes are enough for any message.
  into.writeUInt32BE(Math.floor(length / 2 ** 32), at + 2);
  return into.writeUInt32BE(length >>> 0, at + 6);
}

/** A whole message of a server as one frame: unmasked, so it is the same for every client. */
export function serverFrame(payload: Uint8Array, compressed: boolean): Buffer {
  const { length } = payload;
  const frame = Buffer.allocUnsafe(headBytes(length) + length);
  frame.set(payload, writeHead(frame, 0, length, compressed, false));
  return frame;
}

/**
 * The beginning of a server's frame: its head, and the first part of the message.
 *
 * @param room how many bytes before `first`, in the same buffer, may be written over. With enough of them nothing is copied.
 * @param length of the whole message
 */
export function beginServerFrame(first: Uint8Array, room: number, length: number): Buffer {
  const head = headBytes(length);
  if (room < head) {
    const frame = Buffer.allocUnsafe(head + first.length);
    frame.set(first, writeHead(frame, 0, length, false, false));
    return frame;
  }
  const frame = Buffer.from(first.buffer as ArrayBuffer, first.byteOffset - head, head + first.length);
  writeHead(frame, 0, length, false, false);
  return frame;
}

/** Frames are written into buffers of this size, one after the other; larger ones get a buffer of their own. */
const SLAB_BYTES = 65_536;

/** Makes frames of a client: what it sends is masked, each frame with a key that nobody can predict (section 5.3). */
export class Masker {
  readonly #randomBytes: (into: Uint8Array) => void;
  readonly #key = new Int32Array(1);
  readonly #keyBytes = new Uint8Array(this.#key.buffer);
  #slab: Buffer = Buffer.alloc(0);
  #words: Int32Array = new Int32Array(0);
  #used = 0;

  constructor(randomBytes: (into: Uint8Array) => void) {
    this.#randomBytes = randomBytes;
  }

  /** A message in two parts as one frame. */
  frame(first: Uint8Array, second: Uint8Array | undefined, compressed: boolean): Buffer {
    const length = first.length + (second === undefined ? 0 : second.length);
    const head = headBytes(length) + MASK_BYTES;
    // The message begins at a whole word, and four bytes are masked at a time, the last ones beyond the end if need be.
    const lead = -head & 3;
    const need = (lead + head + length + 3) & ~3;
    const shared = need <= SLAB_BYTES;
    if (!shared || this.#used + need > this.#slab.length) this.#allocate(shared ? SLAB_BYTES : need);
    const slab = this.#slab;
    const start = this.#used + lead;
    this.#randomBytes(this.#keyBytes);
    const payload = writeHead(slab, start, length, compressed, true) + MASK_BYTES;
    slab.set(this.#keyBytes, payload - MASK_BYTES);
    slab.set(first, payload);
    if (second !== undefined) slab.set(second, payload + first.length);
    const words = this.#words;
    const key = this.#key[0] as number;
    const end = (payload + length + 3) >>> 2;
    for (let i = payload >>> 2; i < end; i++) words[i] = (words[i] as number) ^ key;
    this.#used += need;
    return slab.subarray(start, start + head + length);
  }

  #allocate(bytes: number): void {
    this.#slab = Buffer.allocUnsafeSlow(bytes);
    this.#words = new Int32Array(this.#slab.buffer, 0, bytes >>> 2);
    this.#used = 0;
  }
}
