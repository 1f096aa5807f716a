/** Four steps for each doubling: what is read is within a tenth of what was. */
const STEPS = 4;
/** The first bucket ends at a microsecond, the last one is above an hour. */
const BUCKETS = 32 * STEPS;
const WINDOW_MS = 60_000;

/**
 * Durations by size, in fixed memory: those of the last minute or two, for which a percentile can be asked.
 *
 * Buckets grow by a fourth root of two. For measurements there is HdrHistogram, whose three digits cost a hundred times the memory.
 */
export class Durations {
  #now = new Uint32Array(BUCKETS);
  #before = new Uint32Array(BUCKETS);
  #max = 0;
  #maxBefore = 0;
  #turnAt: number;

  /** @param now milliseconds of the clock that {@link Durations.add} goes by */
  constructor(now: number) {
    this.#turnAt = now + WINDOW_MS;
  }

  /** Counts a duration in milliseconds. */
  add(durationMs: number, now: number): void {
    if (now >= this.#turnAt) this.#turn(now);
    const bucket = bucketOf(durationMs);
    this.#now[bucket] = (this.#now[bucket] as number) + 1;
    if (durationMs > this.#max) this.#max = durationMs;
  }

  /** Longest, in milliseconds. */
  max(now: number): number {
    if (now >= this.#turnAt) this.#turn(now);
    return Math.max(this.#max, this.#maxBefore);
  }

  /** The durations that so many percent did not exceed, in milliseconds, about; 0 where there are none. */
  percentiles(percents: readonly number[], now: number): number[] {
    if (now >= this.#turnAt) this.#turn(now);
    let total = 0;
    for (let i = 0; i < BUCKETS; i++) total += this.#count(i);
    return percents.map((percent) => {
      let left = (total * percent) / 100;
      for (let i = 0; i < BUCKETS && total > 0; i++) {
        left -= this.#count(i);
        if (left <= 0 && this.#count(i) > 0)
          return Math.min(middleOf(i), Math.max(this.#max, this.#maxBefore));
      }
      return 0;
    });
  }

  /** Forgets everything. */
  clear(): void {
    this.#now.fill(0);
    this.#before.fill(0);
    this.#max = 0;
    this.#maxBefore = 0;
  }

  #count(bucket: number): number {
    return (this.#now[bucket] as number) + (this.#before[bucket] as number);
  }

  #turn(now: number): void {
    const old = this.#before;
    this.#before = this.#now;
    this.#maxBefore = this.#max;
    old.fill(0);
    this.#now = old;
    this.#max = 0;
    // Nothing came for longer than that: what was before is too old as well.
    if (now >= this.#turnAt + WINDOW_MS) {
      this.#before.fill(0);
      this.#maxBefore = 0;
    }
    this.#turnAt = now + WINDOW_MS;
  }
}

function bucketOf(durationMs: number): number {
  const micros = durationMs * 1_000;
  return micros < 1 ? 0 : Math.min(BUCKETS - 1, 1 + Math.floor(Math.log2(micros) * STEPS));
}

/** In milliseconds. */
function middleOf(bucket: number): number {
  return bucket === 0 ? 0 : 2 ** ((bucket - 0.5) / STEPS) / 1_000;
}
