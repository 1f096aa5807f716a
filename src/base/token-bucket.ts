/**
 * A rate with bursts: tokens come at `perSecond`, and as many as `burst` are kept. It may go into debt: what was taken too
 * much has to come back first, so that one large piece does not pass for nothing.
 */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #at = Number.NEGATIVE_INFINITY;

  /** @param burst Default: what comes in a second. */
  constructor(perSecond: number, burst: number = perSecond) {
    this.#perMs = perSecond / 1_000;
    this.#burst = burst;
    this.#tokens = burst;
  }

  /** Takes tokens if there is at least one. Gives 0, or how many milliseconds it takes until there is one. */
  tryTake(count: number, now: number): number {
    this.#refill(now);
    if (this.#tokens < 1) return Math.ceil((1 - this.#tokens) / this.#perMs);
    this.#tokens -= count;
    return 0;
  }

  /** Takes tokens in any case. Gives 0, or how many milliseconds it takes to come out of debt. */
  take(count: number, now: number): number {
    this.#refill(now);
    this.#tokens -= count;
    return this.#tokens >= 0 ? 0 : Math.ceil(-this.#tokens / this.#perMs);
  }

  /** Whether it is as full as when it was made. */
  isFull(now: number): boolean {
    this.#refill(now);
    return this.#tokens >= this.#burst;
  }

  #refill(now: number): void {
    if (now <= this.#at) return;
    if (this.#at !== Number.NEGATIVE_INFINITY)
      this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMs);
    this.#at = now;
  }
}
