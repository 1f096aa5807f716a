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
 * Length of a probe's content. Proxies that hold answers back until a buffer is full may let small ones pass, and the first ones;
 * this is more than a few buffers of nginx, and fills none of the usual sizes to its end.
 */
export const PROBE_BYTES = 20_011;

/** A `poll` that has waited this long is answered without records, and a `stream` that nobody uses is ended. */
export const HOLD_MS = 20_000;

/** A closed link has this long to say so. */
export const CLOSE_TIMEOUT_MS = 3_000;
