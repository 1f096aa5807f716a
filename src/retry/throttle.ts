import type { RetryThrottling } from "./policy.js";

/** The token bucket of gRFC A6: one per connection. */
export class Throttle {
  readonly #max: number;
  readonly #ratio: number;
  #tokens: number;

  constructor({ maxTokens, tokenRatio }: RetryThrottling) {
    this.#max = maxTokens;
    // Three decimal places count (gRFC A6).
    this.#ratio = Math.floor(tokenRatio * 1_000) / 1_000;
    this.#tokens = maxTokens;
  }

  /** Whether calls may be attempted again now. */
  get allows(): boolean {
    return this.#tokens > this.#max / 2;
  }

  succeeded(): void {
    if (this.#tokens < this.#max) this.#tokens = Math.min(this.#max, this.#tokens + this.#ratio);
  }

  failed(): void {
    this.#tokens = Math.max(0, this.#tokens - 1);
  }
}
