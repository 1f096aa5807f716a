/** Messages of a session that wait for their readers, in and out, of all its calls. */
export class Held {
  /** What they take in memory, about. */
  bytes = 0;
  /** How many messages and pieces came in and wait. */
  messages = 0;
  readonly #limit: number;

  /** @param limit what they may take in bytes (`maxHeldBytes`) */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether a payload that would have to wait is too much. One message always has room, whatever its size: that has a limit of its own. */
  hasNoRoomFor(payload: Uint8Array | undefined): boolean {
    return payload !== undefined && this.bytes > 0 && this.bytes + payload.length > this.#limit;
  }
}

/** What a message or a piece takes beside its bytes (Node 24, measured). */
export const HELD_OVERHEAD = 128;

/** With more messages waiting than this, each gets memory of its own. */
const MANY_MESSAGES = 256;

/**
 * A payload that is to wait. It is a view into what the network has brought, up to 64 KiB at a time, and keeps all of it:
 * a few bytes that wait are given memory of their own, or a hostile sender could make each of them cost 64 KiB.
 */
export function toHold(payload: Uint8Array, held: Held, isPiece: boolean): Uint8Array {
  const isSmall = payload.length * 4 < payload.buffer.byteLength;
  return isSmall && (isPiece || held.messages > MANY_MESSAGES) ? new Uint8Array(payload) : payload;
}
