/** What both ends of a link over HTTP agree on; docs/PROTOCOL.md, "Links over HTTP". */

/** Type of all bodies that hold records. No form of a page can send it, so other origins have to ask first (CORS). */
export const CONTENT_TYPE = "application/vnd.hawser.v1";

/** On every answer of a Hawser server, refusals too: what lacks it was said by something in between. */
export const VERSION_HEADER = "hawser-version";
export const VERSION = "1";

/** What a request is for. */
export const OPERATION_HEADER = "hawser-do";
/** Names the link, by 128 random bits in hexadecimal: in the answer to `open`, and in every request after that. */
export const LINK_HEADER = "hawser-link";
/** Numbers `send` requests, and on their own `poll` requests: 1, 2, 3 … */
export const NUMBER_HEADER = "hawser-number";

/** What a request is for: begin a link; bring records; wait for some; get them as they come, in one answer without end. */
export type Operation = "open" | "send" | "poll" | "stream";

/** Requests of one kind that a client may have under way at a time; a server holds no more that have come too early. */
export const MAX_SENDS = 4;

/** Records are collected into one body up to this many bytes: the least that anybody's `packet_bytes` can be. */
export const BODY_BYTES: number = 256 * 1024;

/**
 * Bodies begin with this many bytes at most: they count when they are whole, and on a slow network that must not take as long as
 * the silence of a dead one.
 */
export const FIRST_BODY_BYTES: number = 64 * 1024;
/** A body of full length that was through in this time, in milliseconds, makes the next ones twice as long. */
const FAST_MS = 1_000;
/** One that took longer than this makes them as short as the first ones. */
const SLOW_MS = 5_000;

/** How long the next bodies may be, after one of `bytes` was through in `tookMs` where they could have `limit` bytes. */
export function nextBodyBytes(limit: number, bytes: number, tookMs: number): number {
  if (tookMs > SLOW_MS) return FIRST_BODY_BYTES;
  // A short one says little about the way.
  return tookMs < FAST_MS && bytes >= limit / 2 ? Math.min(2 * limit, BODY_BYTES) : limit;
}

/** A way that carries less than this, in bytes per millisecond, counts as broken. */
export const SLOWEST_BYTES_PER_MS = 8;

/** A request has this long to come as a whole, in milliseconds: the longest packet, at some ten kilobytes per second. */
export const REQUEST_TIMEOUT_MS = 120_000;

/**
 * Length of a probe's content. Proxies that hold answers back until a buffer is full may let small ones pass, and the first ones;
 * this is more than a few buffers of nginx, and fills none of the usual sizes to its end.
 */
export const PROBE_BYTES = 20_011;

/** A `poll` that has waited this long is answered without records, and a `stream` that nobody uses is ended. */
export const HOLD_MS = 20_000;

/** A closed link has this long to say so. */
export const CLOSE_TIMEOUT_MS = 3_000;
