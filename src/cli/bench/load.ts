import type { Clock } from "../../base/clock.js";
import type { CallTimes, Tally } from "./tally.js";

/** How much load, and for how long. */
export interface LoadPlan {
  /** Calls that may be in flight. Each has a place, numbered from 0. */
  readonly places: number;
  /** Calls per second that are to be made, whatever the answers do; `undefined`: each place calls again when it has its answer. */
  readonly rate: number | undefined;
  /** Load before the measurement, in milliseconds. */
  readonly warmUpMs: number;
  /** The measurement, in milliseconds. */
  readonly durationMs: number;
  /** Longest wait afterwards for calls that have no outcome yet, in milliseconds. */
  readonly drainMs: number;
}

/** What a load needs of the world. */
export interface LoadWorld {
  readonly clock: Clock;
  /** Resolves at a time of the clock; with `exactly` not a millisecond later, at the price of a busy processor. */
  readonly until: (time: number, exactly?: boolean) => Promise<void>;
  /** Makes a call from a place, and tells of each message. */
  readonly call: (place: number, onMessage: () => void) => Promise<void>;
  /** Aborted when there is to be no more load. */
  readonly stop: AbortSignal;
}

/** After a call that failed, its place waits this long: a server that refuses at once is not asked without end. */
const PAUSE_AFTER_FAILURE_MS = 1;

/**
 * Puts load on something, and measures.
 *
 * With a rate the load is open: every call has a moment at which it is due, and its latency counts from there, so that a
 * stall shows in all calls that were due in it. Without one it is closed: a place that waits makes no calls.
 *
 * Resolves when everything is measured. Calls that have no outcome then are left alone: they are no longer counted.
 */
export async function runLoad(plan: LoadPlan, world: LoadWorld, tally: Tally): Promise<void> {
  const { clock, stop } = world;
  const start = clock();
  const from = start + plan.warmUpMs;
  const to = from + plan.durationMs;
  tally.openAt(from, to);
  const stopped = new Promise<void>((resolve) => {
    const cut = () => {
      tally.cutAt(clock());
      resolve();
    };
    if (stop.aborted) cut();
    else stop.addEventListener("abort", cut);
  });
  const schedule = plan.rate === undefined ? undefined : new Schedule(start, to, plan.rate);
  const load =
    schedule === undefined
      ? closed(plan.places, to, world, tally)
      : open(plan.places, schedule, world, tally);
  await Promise.race([load, stopped, world.until(to + plan.drainMs)]);
  const now = clock();
  // There was no room for them until the end.
  for (let due = schedule?.take(now); due !== undefined; due = schedule?.take(now)) tally.neverSent(now, due);
  tally.close();
}

/** Makes one call, whatever becomes of it. @returns whether it succeeded */
async function callOnce(world: LoadWorld, place: number, due: number, tally: Tally): Promise<boolean> {
  const call: CallTimes = { due, sent: world.clock() };
  let first = true;
  const onMessage = () => {
    tally.message(world.clock(), call, first);
    first = false;
  };
  try {
    await world.call(place, onMessage);
    tally.success(world.clock(), call);
    return true;
  } catch (error) {
    tally.failure(world.clock(), call, error);
    return false;
  }
}

async function closed(places: number, to: number, world: LoadWorld, tally: Tally): Promise<void> {
  const { clock, stop } = world;
  const stay = async (place: number) => {
    while (clock() < to && !stop.aborted) {
      if (!(await callOnce(world, place, clock(), tally)) && !stop.aborted)
        await world.until(clock() + PAUSE_AFTER_FAILURE_MS);
    }
  };
  await Promise.all(Array.from({ length: places }, (_, place) => stay(place)));
}

async function open(places: number, schedule: Schedule, world: LoadWorld, tally: Tally): Promise<void> {
  const free = new Places(places);
  while (!world.stop.aborted && schedule.next !== undefined) {
    if (schedule.next > world.clock()) await world.until(schedule.next, true);
    const place = free.take();
    if (place === undefined) {
      await free.freed();
      continue;
    }
    const due = schedule.take(world.clock());
    if (due === undefined) free.give(place);
    else void callOnce(world, place, due, tally).then(() => free.give(place));
  }
  while (free.count < places) await free.freed();
}

/** The moments at which calls are due, at even distances. */
class Schedule {
  readonly #start: number;
  readonly #to: number;
  readonly #intervalMs: number;
  #taken = 0;

  constructor(start: number, to: number, rate: number) {
    this.#start = start;
    this.#to = to;
    this.#intervalMs = 1_000 / rate;
  }

  /** When the next call is due; `undefined` when there is none. */
  get next(): number | undefined {
    const due = this.#start + this.#taken * this.#intervalMs;
    return due < this.#to ? due : undefined;
  }

  /** Takes the next moment, if it has come. */
  take(now: number): number | undefined {
    const due = this.next;
    if (due === undefined || due > now) return undefined;
    this.#taken++;
    return due;
  }
}

/** Places that are free, the one that has been so for longest first, so that all are used alike. */
class Places {
  readonly #ring: number[];
  #first = 0;
  #count: number;
  #freed: (() => void) | undefined;

  constructor(count: number) {
    this.#ring = Array.from({ length: count }, (_, place) => place);
    this.#count = count;
  }

  get count(): number {
    return this.#count;
  }

  take(): number | undefined {
    if (this.#count === 0) return undefined;
    const place = this.#ring[this.#first];
    this.#first = (this.#first + 1) % this.#ring.length;
    this.#count--;
    return place;
  }

  give(place: number): void {
    this.#ring[(this.#first + this.#count) % this.#ring.length] = place;
    this.#count++;
    this.#freed?.();
    this.#freed = undefined;
  }

  /** Resolves when a place is given back. */
  freed(): Promise<void> {
    return new Promise((resolve) => {
      this.#freed = resolve;
    });
  }
}
