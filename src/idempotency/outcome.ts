import { decodePacket } from "../wire/decode.js";
import type { EndFrame } from "../wire/frame.js";
import { bodyBytes, wrappedBytes } from "../wire/size.js";
import { writeFrame } from "../wire/write.js";

/** An outcome as stores keep it: a packet that holds nothing but the End, without the number of its call. */
export function encodeOutcome(outcome: EndFrame): Uint8Array {
  const frame: EndFrame = { ...outcome, call: 0 };
  const body = bodyBytes(frame);
  const bytes = new Uint8Array(wrappedBytes(body));
  writeFrame(bytes, 0, frame, body, false);
  return bytes;
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
