import type { Publication } from "../broker/publication.js";
import { encodePacket, PacketEncoder } from "../wire/encode.js";
import type { AttachedFrame, PublicationFrame } from "../wire/frame.js";
import { CHUNK_BYTES, PAYLOAD_COST } from "../wire/limits.js";
import { SharedPacket } from "../wire/shared.js";

/** A packet of publications, as many subscribers get it. */
export interface TopicPacket {
  readonly shared: SharedPacket;
  /** Room that it takes at the receiver. That of a message in pieces is counted with the last one: it may never come. */
  readonly cost: number;
  /** Offset of the newest publication that is complete with it. */
  readonly last: number;
  /** Offset of the publication that it holds a piece of; 0: it holds whole ones. */
  readonly pieceOf: number;
  /** Pieces of the next publication that are out with it. */
  readonly pieces: number;
  /** Publications that it completes. */
  readonly count: number;
}

/** Publications in one packet, so that its receivers get on with other things in between. */
const MAX_FRAMES = 256;

const encoder = new PacketEncoder();

/** Packets of publications behind an offset, for a topic by its number. */
export function packetsOf(
  publications: readonly Publication[],
  topic: number,
  after: number,
  conflates: boolean,
): TopicPacket[] {
  const packets: TopicPacket[] = [];
  let last = after;
  let count = 0;
  let cost = 0;
  const finish = (pieces: number, pieceOf = 0) => {
    const { head } = encoder.finish(0, 0);
    packets.push({ shared: new SharedPacket(head), cost, last, pieceOf, pieces, count });
    count = 0;
    cost = 0;
  };
  for (const { offset, previous, payload } of publications) {
    // Of topics that conflate, a subscriber need not have had the one before.
    const step = conflates ? 0 : offset - previous;
    const { length } = payload;
    const isLarge = length > CHUNK_BYTES;
    const isFull = encoder.bytes + length > CHUNK_BYTES || encoder.frames >= MAX_FRAMES;
    if (encoder.frames > 0 && (isLarge || isFull)) finish(0);
    if (!isLarge) {
      cost += length + PAYLOAD_COST;
      encoder.add(frame(topic, offset, step, 0, payload));
      last = offset;
      count++;
      continue;
    }
    for (let at = 0, piece = 1; at < length; at += CHUNK_BYTES, piece++) {
      const end = Math.min(at + CHUNK_BYTES, length);
      encoder.add(frame(topic, offset, step, at === 0 ? length : 0, payload.subarray(at, end)));
      if (end < length) finish(piece, offset);
    }
    last = offset;
    count++;
    cost += length + PAYLOAD_COST;
    finish(0, offset);
  }
  if (encoder.frames > 0) finish(0);
  return packets;
}

/** A packet that says where a call stands in its topic. */
export function attachedPacket(attached: Omit<AttachedFrame, "kind">): SharedPacket {
  return new SharedPacket(encodePacket({ seq: 0, ack: 0, frames: [{ kind: "attached", ...attached }] }));
}

function frame(
  topic: number,
  offset: number,
  step: number,
  size: number,
  payload: Uint8Array,
): PublicationFrame {
  return { kind: "publication", topic, offset, step, size, payload };
}
