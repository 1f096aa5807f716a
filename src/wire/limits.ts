import type { WireLimits } from "./frame.js";

/**
 * A message longer than this travels in pieces of at most this many bytes: at 10 Mbit/s one piece holds the link
 * for about 50 ms, so a heartbeat or a small call never waits longer than that behind a large message.
 */
export const CHUNK_BYTES = 65_536;

/**
 * Up to here a message, or what is left of one, goes in one piece all the same: a short second one would cost the receiver a
 * copy of the whole, and one of 64 KiB with a few fields beside it is common.
 */
export const WHOLE_BYTES: number = CHUNK_BYTES + 8_192;

/**
 * Payloads from here up are written beside their header instead of being copied into it. Below, one copy is cheaper
 * than a second write.
 */
export const BESIDE_BYTES = 4_096;

/** Credit that a frame with a payload costs on top of the payload, so that empty messages are not free. */
export const PAYLOAD_COST = 16;

/**
 * What this implementation is ready to receive unless it is told otherwise, and what a `0` in {@link WireLimits}
 * stands for.
 */
export const DEFAULT_LIMITS: WireLimits = {
  /** 1 MiB: sixteen full pieces; the largest buffer that one packet can force upon the receiver. */
  packetBytes: 1_048_576,
  /** 4 MiB: gRPC's default for received messages. */
  messageBytes: 4_194_304,
  /** 256 KiB: four pieces on the way per call; fills 20 Mbit/s at 100 ms round trip. */
  creditBytes: 262_144,
  /** 16 KiB: the customary limit of HTTP servers for all headers of a request. */
  headerBytes: 16_384,
  /** 1024: ten times what HTTP/2 servers allow by default, since a call costs no stream state in the kernel. */
  calls: 1_024,
};

/**
 * The least that can be announced; what is lower counts as this much. Nothing smaller works: a side that announces less
 * would make the other one wait for ever.
 */
export const MIN_LIMITS: WireLimits = {
  /** Frames of a full piece's size, then one more full piece with headers and trailers: what one batch can come to. */
  packetBytes: 4 * CHUNK_BYTES,
  messageBytes: 1,
  /**
   * A full piece. Credit may be held back until half of the window has been consumed; the other half has room for a
   * piece of 16 KiB at least, which no sender may refuse to send.
   */
  creditBytes: CHUNK_BYTES,
  headerBytes: 64,
  calls: 1,
};

/** Most frames that a packet may hold. Packets are flushed after about 16 frames; this only bounds memory. */
export const MAX_FRAMES_PER_PACKET = 4_096;

/**
 * Most headers, trailers and details that the frames of a packet may hold together. An empty entry is two bytes on
 * the wire and about a hundred in memory; this bounds the difference.
 */
export const MAX_ENTRIES_PER_PACKET = 65_536;

/**
 * Longest method name, agent, resume token and idempotency key, in bytes of UTF-8. Header names count against the header
 * limit instead.
 */
export const MAX_NAME_BYTES = 1_024;

/** Longest session id and epoch. Ours have 16 bytes. */
export const MAX_ID_BYTES = 64;

/**
 * How deep messages and unknown groups may nest, the packet itself being level 1. The customary recursion limit of
 * protobuf implementations.
 */
export const MAX_DEPTH = 100;

/**
 * The limits to keep to, given what the other side announced: `0` and absence become the default, lower values than
 * {@link MIN_LIMITS} become those. There is no upper end, since a sender may always use less than it is offered, with
 * one exception: metadata is limited to a quarter of a packet, so that a frame with a piece, headers and trailers
 * always fits.
 */
export function effectiveLimits(limits: WireLimits | undefined): WireLimits {
  const packetBytes = effective("packetBytes", limits);
  const found: WireLimits = {
    packetBytes,
    messageBytes: effective("messageBytes", limits),
    creditBytes: effective("creditBytes", limits),
    headerBytes: Math.min(effective("headerBytes", limits), packetBytes >>> 2),
    calls: effective("calls", limits),
  };
  if (!isSame(found, latest)) latest = found;
  return latest;
}

/** Most peers say the same; they share it. */
let latest: WireLimits = DEFAULT_LIMITS;

function isSame(a: WireLimits, b: WireLimits): boolean {
  return (Object.keys(a) as (keyof WireLimits)[]).every((key) => a[key] === b[key]);
}

function effective(key: keyof WireLimits, limits: WireLimits | undefined): number {
  const value = limits?.[key] ?? 0;
  if (value === 0) return DEFAULT_LIMITS[key];
  return Math.max(value, MIN_LIMITS[key]);
}
