/** What a message or a piece takes beside its bytes (Node 24, measured). */
export const HELD_OVERHEAD = 128;

/** So many buffers of the network may be kept alive by messages that wait in the order in which they came, and as many by others. */
const MANY_BUFFERS = 128;

/**
 * Messages of a session that wait for their readers, in and out, of all its calls.
 *
 * Those that came in are views into what the network has brought, up to 64 KiB at a time, and keep all of it: were there no bound
 * of how many buffers are kept, a hostile sender could make a few bytes that wait cost 64 KiB.
 */
export class Held {
  /** What they take in memory, about. */
  bytes = 0;
  /** How many messages and pieces came in and wait. */
  messages = 0;
  readonly #limit: number;
  /** Buffers that are kept alive by messages beyond the first ones, at most. */
  #buffers = 0;

  /** @param limit what they may take in bytes (`maxHeldBytes`) */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether a payload that would have to wait is too much. One message always has room, whatever its size: that has a limit of its own. */
  hasNoRoomFor(payload: Uint8Array | undefined): boolean {
    return payload !== undefined && this.bytes > 0 && this.bytes + payload.length > this.#limit;
  }

  /**
   * A message that is to wait: the view itself, or memory of its own.
   *
   * @param previous the one that came before it and still waits
   */
  keep(message: Uint8Array, previous: Uint8Array | undefined): Uint8Array {
    if (this.messages <= MANY_BUFFERS) {
      this.#buffers = 0;
      return message;
    }
    if (isLarge(message) || previous?.buffer === message.buffer) return message;
    return ++this.#buffers > MANY_BUFFERS ? new Uint8Array(message) : message;
  }

  /** A piece of a message, which may wait for the others for as long as their sender likes. */
  keepPiece(piece: Uint8Array): Uint8Array {
    return isLarge(piece) ? piece : new Uint8Array(piece);
  }
}

/** Whether it is not much smaller than what it keeps alive. */
function isLarge(view: Uint8Array): boolean {
  return view.length * 4 >= view.buffer.byteLength;
}
