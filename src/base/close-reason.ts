/** Longest reason of a close, in bytes of UTF-8 (RFC 6455 section 5.5: a control frame holds 125). */
const MAX_REASON_BYTES = 123;

/** A reason that fits into a close frame. */
export function closeReason(reason: string): string {
  if (reason.length * 3 <= MAX_REASON_BYTES) return reason;
  const bytes = new TextEncoder().encode(reason);
  return bytes.length <= MAX_REASON_BYTES ? reason : firstBytes(bytes);
}

/** The reason that these bytes are, as far as it would fit into a close frame, however many of them have come. */
export function readCloseReason(bytes: Uint8Array): string {
  // What is no UTF-8 may have become longer by what stands in for it.
  return closeReason(bytes.length <= MAX_REASON_BYTES ? new TextDecoder().decode(bytes) : firstBytes(bytes));
}

/** Decoding in stream mode leaves out a character that the cut went through. */
function firstBytes(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes.subarray(0, MAX_REASON_BYTES), { stream: true });
}
