import type { Random } from "../base/clock.js";
import type { BreakKind, FaultProxy, FaultProxyOptions } from "../testing/index.js";

/** One cut that is to come. */
export interface PlannedCut {
  /** A stall is half open: no byte passes any more, and only a timeout can notice it. */
  readonly kind: BreakKind;
  /** The link breaks after this many bytes went from the client to the server, counted over all connections. */
  readonly atByte: number;
}

/** A cut that was made. */
export interface Cut {
  /** 1 for the first. */
  readonly number: number;
  readonly kind: BreakKind;
  /** Bytes that had gone up and down through the link, over all connections, when it broke. */
  readonly up: number;
  readonly down: number;
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
    const kind = index === stall ? "stall" : random() < 0.5 ? "end" : "reset";
    return { kind, atByte: Math.max(1, Math.floor(position * bytes)) };
  });
}

/** Bytes that went through a link so far, over all connections. */
export function bytesThrough(link: Pick<FaultProxy, "passed">): {
  readonly up: number;
  readonly down: number;
} {
  const total = { up: 0, down: 0 };
  for (const { up, down } of link.passed) {
    total.up += up;
    total.down += down;
  }
  return total;
}

/**
 * Options that make a fault proxy cut the link of one client as planned: the proxy plans for each connection by itself,
 * and the next cut of the plan is for whichever connection the client has then.
 *
 * @param plan In the order of the bytes.
 * @param link Gives the proxy, which is asked only when it has connections.
 */
export function cutByPlan(
  plan: readonly PlannedCut[],
  link: () => FaultProxy,
  onCut: (cut: Cut) => void,
): Required<Pick<FaultProxyOptions, "plan" | "onBreak">> {
  return {
    plan() {
      const next = plan[link().breaks];
      if (next === undefined) return undefined;
      return { direction: "up", after: Math.max(0, next.atByte - bytesThrough(link()).up), how: next.kind };
    },
    onBreak: ({ number, how }) => onCut({ number, kind: how, ...bytesThrough(link()) }),
  };
}
