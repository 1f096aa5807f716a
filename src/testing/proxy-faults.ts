import { checkDuration, checkInteger, checkKeys } from "../base/check.js";
import type { Direction } from "./network.js";

/** How a connection breaks: both sides see the end of the stream, a reset, or nothing at all. */
export type BreakKind = "end" | "reset" | "stall";

/** A break that is to come. */
export interface PlannedBreak {
  /** `"up"` is towards the target. */
  readonly direction: Direction;
  /** So many bytes of the direction still pass. */
  readonly after: number;
  readonly how: BreakKind;
}

/**
 * Something else that is to become of a connection.
 *
 * - `"half-open"`: after so many bytes, this one direction stands still, and nobody is told.
 * - `"corrupt"`: the byte after so many others is inverted.
 * - `"refuse"`: the connection is accepted and reset at once; it never reaches the target.
 * - `"duplicate"`: the target sees the connection twice.
 */
export type PlannedFault =
  | PlannedBreak
  | { readonly direction: Direction; readonly after: number; readonly how: "half-open" | "corrupt" }
  | { readonly how: "refuse" | "duplicate" };

/** How one direction passes bytes on. */
export interface WayBehaviour {
  /** Shortest time that bytes take, in milliseconds. Default 0. */
  readonly latencyMs?: number;
  /** Longest random time on top, in milliseconds. Bytes of one direction never overtake each other. Default 0. */
  readonly jitterMs?: number;
  /** Bytes per second of each connection, more than 0. Default `Infinity`: no limit. */
  readonly bytesPerSecond?: number;
}

/**
 * How a proxy passes bytes on: in both directions, unless `up` or `down` says otherwise. A new rate holds at once, a new
 * delay for the bytes that arrive from then on.
 */
export interface ProxyBehaviour extends WayBehaviour {
  /** Towards the target. */
  readonly up?: WayBehaviour;
  /** From the target. */
  readonly down?: WayBehaviour;
}

/** How each direction behaves at the moment. Looked at whenever it matters: it may change. */
export type Behaviours = Readonly<Record<Direction, Required<WayBehaviour>>>;

const WAY_KEYS = ["latencyMs", "jitterMs", "bytesPerSecond"] as const;

/** Keys of {@link ProxyBehaviour}. */
export const BEHAVIOUR_KEYS: readonly string[] = [...WAY_KEYS, "up", "down"];

/** Directions without delay and limit. */
export function goodBehaviours(): Behaviours {
  const good = () => ({ latencyMs: 0, jitterMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY });
  return { up: good(), down: good() };
}

/**
 * Changes how directions behave. What is left out stays as it is.
 *
 * @throws RangeError that names the option; nothing has changed then.
 */
export function changeBehaviours(behaviours: Behaviours, changes: ProxyBehaviour): void {
  const both = checkWay("", changes);
  const own = { up: checkWay("up.", changes.up), down: checkWay("down.", changes.down) };
  for (const direction of ["up", "down"] as const) {
    Object.assign(behaviours[direction], both, own[direction]);
  }
}

function checkWay(prefix: string, way: WayBehaviour = {}): WayBehaviour {
  if (prefix !== "") checkKeys(`createFaultProxy() ${prefix.slice(0, -1)}`, way, WAY_KEYS);
  const { latencyMs, jitterMs, bytesPerSecond } = way;
  if (bytesPerSecond !== undefined && !(bytesPerSecond > 0)) {
    throw new RangeError(
      `${prefix}bytesPerSecond must be more than 0, not ${String(bytesPerSecond)}; to let nothing pass, stall()`,
    );
  }
  return {
    ...(latencyMs !== undefined && { latencyMs: checkDuration(`${prefix}latencyMs`, latencyMs) }),
    ...(jitterMs !== undefined && { jitterMs: checkDuration(`${prefix}jitterMs`, jitterMs) }),
    ...(bytesPerSecond !== undefined && { bytesPerSecond }),
  };
}

/** Checks the offset of a fault; `Infinity` is for one that never comes. */
export function checkOffset(name: string, bytes: number): number {
  return bytes === Number.POSITIVE_INFINITY ? bytes : checkInteger(name, bytes, 0);
}
