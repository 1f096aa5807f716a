import { decodePacket } from "../wire/decode.js";
import type { EndFrame } from "../wire/frame.js";
import { bodyBytes, wrappedBytes } from "../wire/size.js";
import { writeFrame } from "../wire/write.js";

/** An outcome as stores keep it: a packet that holds nothing but the End. The number of its call says nothing any more. */
export function encodeOutcome(outcome: EndFrame): Uint8Array {
  const body = bodyBytes(outcome);
  const length = wrappedBytes(body);
  const bytes = room(length);
  writeFrame(bytes, 0, outcome, body, false);
  return bytes;
}

/** Outcomes are cut from slabs of this size: memory of its own for each costs more than writing it. */
const SLAB_BYTES = 16 * 1024;

let slab = new Uint8Array(0);
let used = 0;

/** A part of a slab that nobody else has, or ever will have. */
function room(length: number): Uint8Array {
  if (length > SLAB_BYTES / 8) return new Uint8Array(length);
  if (used + length > slab.length) {
    slab = new Uint8Array(SLAB_BYTES);
    used = 0;
  }
  used += length;
  return slab.subarray(used - length, used);
}

/**
 * What {@link encodeOutcome} has made.
 *
 * @throws Error when it is something else.
 */
export function decodeOutcome(bytes: Uint8Array): EndFrame {
  const [frame] = decodePacket(bytes).frames;
  if (frame?.kind !== "end") throw new Error("the store has given back something that is no outcome");
  return frame;
}
