import { CloseCode } from "../base/close.js";
import { closeReason, readCloseReason } from "../base/close-reason.js";

/** What a record holds. */
export const RecordKind = {
  /** A packet. */
  packet: 0,
  /** The link ends: two bytes of code, the high one first, and a reason in UTF-8, as in a close frame of RFC 6455. */
  close: 1,
  /** First record of a streamed answer, whose content means nothing: it has come through. */
  probe: 2,
  /** From the client: the probe has come. From the server, in answer to `poll`: what follows is in the stream. */
  move: 3,
} as const;

/** One entry of a body: a byte for the kind, four for the length (the high one first), and the content. */
export interface HttpRecord {
  readonly kind: number;
  readonly content: Uint8Array;
}

/** Bytes before the content. */
export const RECORD_HEAD_BYTES = 5;

const NOTHING = new Uint8Array(0);

/** What stands before the content of a record. */
export function recordHead(kind: number, length: number): Uint8Array<ArrayBuffer> {
  const head = new Uint8Array(RECORD_HEAD_BYTES);
  head[0] = kind;
  new DataView(head.buffer).setUint32(1, length);
  return head;
}

/** A whole record, content copied. */
export function encodeRecord(kind: number, content: Uint8Array = NOTHING): Uint8Array<ArrayBuffer> {
  const record = new Uint8Array(RECORD_HEAD_BYTES + content.length);
  record.set(recordHead(kind, content.length));
  record.set(content, RECORD_HEAD_BYTES);
  return record;
}

/** A record that ends a link. */
export function encodeClose(code: number, reason: string): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(closeReason(reason));
  const content = new Uint8Array(2 + text.length);
  new DataView(content.buffer).setUint16(0, code);
  content.set(text, 2);
  return encodeRecord(RecordKind.close, content);
}

/** Code and reason of a record that ends a link; a reason that is too long is cut. */
export function decodeClose(content: Uint8Array): { readonly code: number; readonly reason: string } {
  if (content.length < 2) return { code: CloseCode.noStatus, reason: "" };
  const code = new DataView(content.buffer, content.byteOffset).getUint16(0);
  return { code, reason: readCloseReason(content.subarray(2)) };
}

/** A body that is none. */
export class RecordError extends Error {
  override readonly name = "RecordError";
  /** Close code for the link. */
  readonly closeCode: number;

  constructor(message: string, closeCode: number) {
    super(message);
    this.closeCode = closeCode;
  }
}

/**
 * Bytes of a body as they come. They are copied together, so that a body of many small chunks, or of many small records, takes
 * no more than its length.
 */
export class BodyCollector {
  readonly #expected: number;
  #room: Uint8Array | undefined;
  #filled = 0;

  /** @param expected the length of the whole, or the most that it can be */
  constructor(expected: number) {
    this.#expected = expected;
  }

  /** So many bytes have come. */
  get length(): number {
    return this.#filled;
  }

  /** All that has come. */
  get bytes(): Uint8Array {
    return this.#room?.subarray(0, this.#filled) ?? NOTHING;
  }

  add(bytes: Uint8Array): void {
    if (this.#room === undefined && bytes.length === this.#expected) {
      // Nothing is copied when it comes in one piece. A plain view: messages must not carry Buffers, whose slice() differs,
      // into users' code.
      this.#room = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    } else
      this.#room = grown(
        this.#room,
        this.#filled,
        bytes,
        Math.max(this.#expected, this.#filled + bytes.length),
      );
    this.#filled += bytes.length;
  }
}

/**
 * Looks through a whole body, and keeps nothing of it.
 *
 * @throws RecordError when it is none, or holds a record that is too long.
 */
export function checkBody(body: Uint8Array, maxBytes: number): void {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  let at = 0;
  while (at + RECORD_HEAD_BYTES <= body.length) {
    const length = view.getUint32(at + 1);
    checkLength(length, maxBytes);
    at += RECORD_HEAD_BYTES + length;
  }
  if (at !== body.length) throw new RecordError("a body ends in the middle of a record", CloseCode.malformed);
}

/** The records of a body that was checked, one after the other: all at once would take many times its length. */
export function* recordsOf(body: Uint8Array): Generator<HttpRecord> {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  for (let at = 0; at < body.length; ) {
    const begin = at + RECORD_HEAD_BYTES;
    const end = begin + view.getUint32(at + 1);
    yield { kind: body[at] as number, content: body.subarray(begin, end) };
    at = end;
  }
}

function checkLength(length: number, maxBytes: number): void {
  if (length <= maxBytes) return;
  throw new RecordError(`a record of ${length} bytes is over the limit of ${maxBytes}`, CloseCode.tooBig);
}

/** Puts records together from the chunks that a body comes in. */
export class RecordReader {
  readonly #maxBytes: number;
  #head = new Uint8Array(RECORD_HEAD_BYTES);
  #headLength = 0;
  #content: Uint8Array | undefined;
  #filled = 0;

  /** @param maxBytes Longest content of a record. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether what has come so far ends with a whole record. */
  get isComplete(): boolean {
    return this.#headLength === 0;
  }

  /**
   * The records that are complete with this chunk. Their contents may be parts of it.
   *
   * @throws RecordError when a record is too long.
   */
  read(bytes: Uint8Array): HttpRecord[] {
    // A plain view: messages must not carry Buffers, whose slice() differs, into users' code.
    const chunk = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    const records: HttpRecord[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#headLength < RECORD_HEAD_BYTES) {
        const part = chunk.subarray(at, at + RECORD_HEAD_BYTES - this.#headLength);
        this.#head.set(part, this.#headLength);
        this.#headLength += part.length;
        at += part.length;
        if (this.#headLength < RECORD_HEAD_BYTES) break;
      }
      const length = new DataView(this.#head.buffer).getUint32(1);
      checkLength(length, this.#maxBytes);
      let content: Uint8Array | undefined;
      if (this.#content === undefined && chunk.length - at >= length) {
        // Nothing is copied when it is all here.
        content = chunk.subarray(at, at + length);
        at += length;
      } else {
        // Only what has come is kept room for, so that a length alone takes no memory.
        const part = chunk.subarray(at, at + length - this.#filled);
        this.#content = grown(this.#content, this.#filled, part, length);
        this.#filled += part.length;
        at += part.length;
        if (this.#filled === length) content = this.#content.subarray(0, length);
      }
      if (content === undefined) break;
      records.push({ kind: this.#head[0] as number, content });
      this.#headLength = 0;
      this.#content = undefined;
      this.#filled = 0;
    }
    return records;
  }
}

function grown(buffer: Uint8Array | undefined, filled: number, part: Uint8Array, length: number): Uint8Array {
  let room = buffer ?? new Uint8Array(Math.min(length, Math.max(part.length, 16_384)));
  if (filled + part.length > room.length) {
    const larger = new Uint8Array(Math.min(length, Math.max(2 * room.length, filled + part.length)));
    larger.set(room.subarray(0, filled));
    room = larger;
  }
  room.set(part, filled);
  return room;
}

/** Bytes of several arrays as one. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
