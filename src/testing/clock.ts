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
  /** `undefined` once it was called off. */
  task: (() => void) | undefined;
}

/** Turns of the real event loop that are given to promises and `process.nextTick` between two timers. */
const SETTLE_TURNS = 2;

/** Makes a {@link VirtualClock} that shows 0. */
export function createVirtualClock(): VirtualClock {
  /** A binary heap by time and order; timers that were called off stay until they come up. */
  const heap: Timer[] = [];
  let pending = 0;
  let now = 0;
  let order = 0;

  const settle = async () => {
    for (let turn = 0; turn < SETTLE_TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  /** Runs the earliest timer, if it is due by then. */
  const step = async (until: number): Promise<boolean> => {
    let timer = heap[0];
    while (timer !== undefined && timer.task === undefined) {
      pop(heap);
      timer = heap[0];
    }
    if (timer?.task === undefined || timer.at > until) return false;
    pop(heap);
    pending--;
    now = Math.max(now, timer.at);
    const { task } = timer;
    timer.task = undefined;
    task();
    await settle();
    return true;
  };

  return {
    now: () => now,
    schedule(task, delayMs) {
      const timer: Timer = { at: now + Math.max(0, delayMs), order: order++, task };
      push(heap, timer);
      pending++;
      return () => {
        if (timer.task === undefined) return;
        timer.task = undefined;
        pending--;
      };
    },
    get pending() {
      return pending;
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

function isBefore(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function push(heap: Timer[], timer: Timer): void {
  let index = heap.length;
  while (index > 0) {
    const parent = (index - 1) >> 1;
    const above = heap[parent] as Timer;
    if (isBefore(above, timer)) break;
    heap[index] = above;
    index = parent;
  }
  heap[index] = timer;
}

function pop(heap: Timer[]): void {
  const last = heap.pop() as Timer;
  if (heap.length === 0) return;
  let index = 0;
  for (;;) {
    const left = 2 * index + 1;
    if (left >= heap.length) break;
    const right = left + 1;
    const child = right < heap.length && isBefore(heap[right] as Timer, heap[left] as Timer) ? right : left;
    const below = heap[child] as Timer;
    if (isBefore(last, below)) break;
    heap[index] = below;
    index = child;
  }
  heap[index] = last;
}
