import type { Random } from "./random.js";

/**
 * How a link breaks.
 *
 * - `"close"`: both sockets are closed in the middle of whatever was going through (FIN).
 * - `"reset"`: the same, as when a router forgets the connection (RST).
 * - `"stall"`: half open. Both sockets stay, and no byte passes any more: only a timeout can notice it.
 */
export type CutKind = "close" | "reset" | "stall";

/** One cut that is to come. */
export interface PlannedCut {
  readonly kind: CutKind;
  /** The link breaks after this many bytes went from the client to the server, counted over all connections. */
  readonly atByte: number;
}

/** Leaves some way between two cuts, in shares of an equal part: a cut must find the link up again. */
const MARGIN = 0.15;

/**
 * Where to cut while `bytes` go up a link: each cut at a random byte of its own equal part. With at least one cut,
 * exactly one of them is a stall, because a stall takes the time of a timeout to be noticed.
 */
export function planCuts(count: number, bytes: number, random: Random): PlannedCut[] {
  const stall = Math.floor(random() * count);
  return Array.from({ length: count }, (_, index) => {
    const position = (index + MARGIN + random() * (1 - 2 * MARGIN)) / count;
    const kind = index === stall ? "stall" : random() < 0.5 ? "close" : "reset";
    return { kind, atByte: Math.max(1, Math.floor(position * bytes)) };
  });
}
