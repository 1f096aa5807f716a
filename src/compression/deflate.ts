import { constants, createDeflateRaw, createInflateRaw, type DeflateRaw, type InflateRaw } from "node:zlib";
import type { CompressionSettings } from "./settings.js";

/** What of Node's zlib streams is used here: its native half, which works on the spot. */
interface NativeZlib {
  readonly _handle: {
    writeSync(
      flush: number,
      from: Uint8Array,
      fromStart: number,
      fromLength: number,
      into: Uint8Array,
      intoStart: number,
      intoLength: number,
    ): void;
    reset(): void;
    onerror: (message: string, errno: number, code: string) => void;
  };
  /** Room left in `into`, and bytes left in `from`, after a write. */
  readonly _writeState: Uint32Array;
}

/** Compressed data that is none (RFC 1951), or that becomes more than is allowed. */
export class InflateError extends Error {
  override readonly name = "InflateError";
  /** More than is allowed. */
  readonly tooLong: boolean;

  constructor(message: string, tooLong: boolean) {
    super(message);
    this.tooLong = tooLong;
  }
}

/** How much is made at a time. */
const SCRATCH_BYTES = 64 * 1024;

/** Shared by all streams of the process: each is done with it before another one begins. */
const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

/** Every message ends with an empty block, whose four last bytes are not sent (RFC 7692 section 7.2.1). */
const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff]);

/**
 * Whether this Node can (de)compress on the spot with a stream that stays. It is what Node's own `deflateRawSync` does with a
 * stream for each call; only keeping the stream is not public. Making one costs three times what compressing 1 KiB does.
 */
export function canDeflate(): boolean {
  const stream = createDeflateRaw();
  const { _handle, _writeState } = stream as unknown as Partial<NativeZlib>;
  const can =
    typeof _handle?.writeSync === "function" &&
    typeof _handle.reset === "function" &&
    _writeState instanceof Uint32Array &&
    _writeState.length === 2;
  stream.close();
  return can;
}

/** A stream of raw deflate data that is made on the spot. */
abstract class SyncStream {
  readonly #stream: DeflateRaw | InflateRaw;
  readonly #native: NativeZlib;
  #error: string | undefined;

  constructor(stream: DeflateRaw | InflateRaw) {
    this.#stream = stream;
    this.#native = stream as unknown as NativeZlib;
    this.#native._handle.onerror = (message) => {
      this.#error = message;
    };
  }

  /** Forgets what came before. */
  reset(): void {
    this.#native._handle.reset();
  }

  /** Gives its memory back; not to be used any more. */
  close(): void {
    this.#stream.close();
  }

  /**
   * Adds what becomes of `data` to `parts`.
   *
   * @returns bytes of `data` that were not taken: more than 0 behind the end of a stream
   * @throws InflateError when it is no deflate data, or becomes more than `most` bytes
   */
  protected run(data: Uint8Array, parts: Buffer[], most: number): number {
    const { _handle, _writeState } = this.#native;
    let start = 0;
    let made = 0;
    for (;;) {
      _handle.writeSync(constants.Z_SYNC_FLUSH, data, start, data.length - start, scratch, 0, SCRATCH_BYTES);
      if (this.#error !== undefined) {
        const error = this.#error;
        this.#error = undefined;
        this.reset();
        throw new InflateError(error, false);
      }
      const [room = 0, left = 0] = _writeState;
      const length = SCRATCH_BYTES - room;
      made += length;
      if (made > most) {
        this.reset();
        throw new InflateError(`more than ${most} bytes come out of it`, true);
      }
      if (length > 0) parts.push(Buffer.from(scratch.subarray(0, length)));
      start = data.length - left;
      // It stops short of the end of its input only when there is no room, or where a stream ends.
      if (room > 0) return left;
    }
  }
}

/** Compresses messages. */
export class Deflater extends SyncStream {
  readonly #keeps: boolean;

  /** @param windowBits the largest window that the other side allows */
  constructor({ level, memLevel, windowBits, contextTakeover }: CompressionSettings, mostWindowBits = 15) {
    super(createDeflateRaw({ level, memLevel, windowBits: Math.min(windowBits, mostWindowBits) }));
    this.#keeps = contextTakeover;
  }

  /** A message in one or two parts, compressed, without its tail. */
  deflate(head: Uint8Array, body: Uint8Array | undefined): Buffer {
    const parts: Buffer[] = [];
    this.run(body === undefined ? head : Buffer.concat([head, body]), parts, Number.POSITIVE_INFINITY);
    if (!this.#keeps) this.reset();
    const whole = join(parts);
    return whole.subarray(0, whole.length - TAIL.length);
  }
}

/** Decompresses messages. */
export class Inflater extends SyncStream {
  readonly #keeps: boolean;

  /** @param keeps whether the other side refers to earlier messages */
  constructor(keeps: boolean) {
    super(createInflateRaw());
    this.#keeps = keeps;
  }

  /**
   * A message, or a fragment of one.
   *
   * @param last whether the message ends here
   * @throws InflateError when it is no deflate data, or becomes more than `most` bytes
   */
  inflate(data: Uint8Array, last: boolean, most: number): Buffer {
    const parts: Buffer[] = [];
    let left = this.run(data, parts, most);
    if (last && left === 0) left = this.run(TAIL, parts, most);
    // Behind the end of a stream, which a sender may put there (RFC 7692 section 7.2.3.4), comes nothing but the tail.
    if (last && (left > 0 || !this.#keeps)) this.reset();
    return join(parts);
  }
}

function join(parts: readonly Buffer[]): Buffer {
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
}
