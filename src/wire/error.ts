/** What was wrong with bytes that arrived; decides the close code. */
export const WIRE_CLOSE = {
  /** A text message: this protocol is binary only. RFC 6455 section 7.4.1, "unsupported data". */
  text: 1003,
  /** The bytes are not a packet. RFC 6455 section 7.4.1, "invalid payload data". */
  malformed: 1007,
  /** The bytes are a packet over a limit of `limits.ts`. RFC 6455 section 7.4.1, "message too big". */
  tooBig: 1009,
} as const;

/**
 * The other side sent something that is not a packet, or one over a limit. The link is closed with
 * {@link WireError.closeCode}; nothing of the packet may be used.
 */
export class WireError extends Error {
  override readonly name = "WireError";
  /** WebSocket close code: 1003, 1007 or 1009, see {@link WIRE_CLOSE}. */
  readonly closeCode: number;

  /**
   * @param message says what was wrong and at which byte offset of the packet
   * @param options the error of the platform behind it, if there is one
   */
  constructor(message: string, closeCode: number, options?: ErrorOptions) {
    super(message, options);
    this.closeCode = closeCode;
  }
}

/** Bytes that are not a packet (1007). */
export function malformed(what: string, offset: number, options?: ErrorOptions): WireError {
  return new WireError(`${what} at byte ${offset}`, WIRE_CLOSE.malformed, options);
}

/** A packet over a limit (1009). */
export function tooBig(what: string, offset: number): WireError {
  return new WireError(`${what} at byte ${offset}`, WIRE_CLOSE.tooBig);
}
