import type { WireLimits } from "./frame.js";

/**
 * A message longer than this travels in pieces of at most this many bytes: at 10 Mbit/s one piece holds the link
 * for about 50 ms, so a heartbeat or a small call never waits longer than that behind a large message.
 */
export const CHUNK_BYTES = 65_536;

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
 * The range that each limit is brought into. Lower values cannot work, higher ones cannot be meant.
 */
export const LIMIT_RANGES: { readonly [K in keyof WireLimits]: readonly [min: number, max: number] } = {
  /** At least a full piece and its metadata. */
  packetBytes: [2 * CHUNK_BYTES, 16_777_216],
  messageBytes: [1, 2_147_483_647],
  /**
   * At least two full pieces: credit may be held back until half of the window has been consumed, and what is left
   * must be enough for a whole piece, or both sides would wait for each other.
   */
  creditBytes: [2 * (CHUNK_BYTES + PAYLOAD_COST), 67_108_864],
  /** The upper end is a quarter of the packet limit as well, see {@link effectiveLimits}. */
  headerBytes: [1_024, 4_194_304],
  calls: [1, 65_536],
};

/** Most frames that a packet may hold. Packets are flushed after about 16 frames; this only bounds memory. */
export const MAX_FRAMES_PER_PACKET = 4_096;

/**
 * Most headers, trailers and details that the frames of a packet may hold together. An empty entry is two bytes on
 * the wire and dozens in memory; this bounds the difference.
 */
export const MAX_ENTRIES_PER_PACKET = 16_384;

/** Longest method name, header name and detail type name, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 1_024;

/** Longest session id and epoch. Ours have 16 bytes. */
export const MAX_ID_BYTES = 64;

/**
 * How deep messages and unknown groups may nest, the packet itself being level 1. The customary recursion limit of
 * protobuf implementations.
 */
export const MAX_DEPTH = 100;

/**
 * The limits to keep to, given what one side announced: `0` and absence become the default, other values are brought
 * into {@link LIMIT_RANGES}. Metadata is limited to a quarter of a packet, so that a frame with a piece, headers and
 * trailers always fits. Both sides apply this to what they announce and to what they are told, so they agree.
 */
export function effectiveLimits(limits: WireLimits | undefined): WireLimits {
  const packetBytes = effective("packetBytes", limits);
  return {
    packetBytes,
    messageBytes: effective("messageBytes", limits),
    creditBytes: effective("creditBytes", limits),
    headerBytes: Math.min(effective("headerBytes", limits), packetBytes >>> 2),
    calls: effective("calls", limits),
  };
}

function effective(key: keyof WireLimits, limits: WireLimits | undefined): number {
  const value = limits?.[key] ?? 0;
  if (!(value >= 1)) return DEFAULT_LIMITS[key]; // 0, negative and NaN
  const [min, max] = LIMIT_RANGES[key];
  return Math.min(Math.max(Math.floor(value), min), max);
}
