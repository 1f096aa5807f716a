import type { Clock } from "../base/clock.js";
import { DeadlineHeap, type HeapItem } from "../base/heap.js";

/** Something with a due time. */
export interface TimerItem extends HeapItem {
  /** The time has come. The item is out of the heap then, and may set itself again. */
  expire(now: number): void;
}

/** setTimeout takes no longer time than this (2^31 - 1 ms). */
const MAX_TIMEOUT_MS = 2_147_483_647;

/** Calls a function after a delay in milliseconds; returns how to call that off. */
export type Schedule = (task: () => void, delayMs: number) => () => void;

const platformSchedule: Schedule = (task, delayMs) => {
  const handle = setTimeout(task, delayMs);
  return () => clearTimeout(handle);
};

/** One platform timer for any number of items: connections, sessions, and what they wait for. */
export class Timers {
  readonly clock: Clock;
  readonly #heap = new DeadlineHeap<TimerItem>();
  readonly #schedule: Schedule;
  #cancel: (() => void) | undefined;
  #armedFor: number = Number.POSITIVE_INFINITY;

  /** @param schedule Default: `setTimeout`; tests hand in that of a virtual clock. */
  constructor(clock: Clock, schedule: Schedule = platformSchedule) {
    this.clock = clock;
    this.#schedule = schedule;
  }

  /** Number of items that wait. */
  get size(): number {
    return this.#heap.size;
  }

  /**
   * Makes sure that the item is called at `dueAt` or earlier; `Infinity` for never. A later time than the one that is
   * set costs nothing: the item is called at the earlier one, and asks again.
   */
  atLatest(item: TimerItem, dueAt: number): void {
    if (dueAt === Number.POSITIVE_INFINITY || (item.heapIndex >= 0 && item.dueAt <= dueAt)) return;
    this.#heap.set(item, dueAt);
    this.#arm();
  }

  /** Calls a function once after a delay in milliseconds; returns how to call that off. */
  after(delayMs: number, task: () => void): () => void {
    const item = { dueAt: 0, heapIndex: -1, expire: task };
    this.atLatest(item, this.clock() + delayMs);
    return () => this.delete(item);
  }

  /** Takes an item out. */
  delete(item: TimerItem): void {
    this.#heap.delete(item);
    if (this.#heap.size === 0) this.#disarm();
  }

  #arm(): void {
    const { next } = this.#heap;
    if (next >= this.#armedFor) return;
    this.#disarm();
    this.#armedFor = next;
    // Rounded up, so that what is due is due when the timer fires.
    const delay = Math.min(Math.max(0, Math.ceil(next - this.clock())), MAX_TIMEOUT_MS);
    this.#cancel = this.#schedule(() => {
      this.#cancel = undefined;
      this.#armedFor = Number.POSITIVE_INFINITY;
      const now = this.clock();
      try {
        for (let item = this.#heap.takeDue(now); item !== undefined; item = this.#heap.takeDue(now))
          item.expire(now);
      } finally {
        // One that throws does not take the others with it.
        if (this.#heap.size > 0) this.#arm();
      }
    }, delay);
  }

  #disarm(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#armedFor = Number.POSITIVE_INFINITY;
  }
}
