import type { Schedule } from "../driver/timers.js";

/** A clock that stands still until it is told to go on. */
export interface VirtualClock {
  /** Milliseconds since the clock was made. */
  now(): number;
  /** `setTimeout` of this clock; returns how to call it off. */
  readonly schedule: Schedule;
  /** Timers that wait. */
  readonly pending: number;
  /**
   * Goes on by this many milliseconds. Timers run at their times, those of one time in the order of their making, and
   * promises settle in between.
   */
  advance(ms: number): Promise<void>;
  /**
   * Goes on from timer to timer until a condition holds.
   *
   * @throws Error when it does not hold within `limitMs` (default 600,000) of virtual time.
   */
  runUntil(holds: () => boolean, limitMs?: number): Promise<void>;
}

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly task: () => void;
}

/** Turns of the real event loop that are given to promises and `process.nextTick` between two timers. */
const SETTLE_TURNS = 2;

/** Makes a {@link VirtualClock} that shows 0. */
export function createVirtualClock(): VirtualClock {
  const timers = new Set<Timer>();
  let now = 0;
  let order = 0;

  const earliest = (): Timer | undefined => {
    let first: Timer | undefined;
    for (const timer of timers) {
      if (first === undefined || timer.at < first.at || (timer.at === first.at && timer.order < first.order))
        first = timer;
    }
    return first;
  };
  const settle = async () => {
    for (let turn = 0; turn < SETTLE_TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  /** Runs the earliest timer, if it is due by then. */
  const step = async (until: number): Promise<boolean> => {
    const timer = earliest();
    if (timer === undefined || timer.at > until) return false;
    timers.delete(timer);
    now = Math.max(now, timer.at);
    timer.task();
    await settle();
    return true;
  };

  return {
    now: () => now,
    schedule(task, delayMs) {
      const timer = { at: now + Math.max(0, delayMs), order: order++, task };
      timers.add(timer);
      return () => {
        timers.delete(timer);
      };
    },
    get pending() {
      return timers.size;
    },
    async advance(ms) {
      const until = now + ms;
      await settle();
      while (await step(until));
      now = until;
    },
    async runUntil(holds, limitMs = 600_000) {
      const until = now + limitMs;
      await settle();
      while (!holds()) {
        if (!(await step(until))) throw new Error(`it does not hold within ${limitMs} ms of virtual time`);
      }
    },
  };
}
