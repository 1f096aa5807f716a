import type { Random } from "../base/clock.js";

/** Delays between attempts. */
export interface BackoffSettings {
  readonly initialDelayMs: number;
  readonly maxDelayMs: number;
}

/**
 * The delay before attempt number `attempt` (1, 2, 3 …) in milliseconds: full jitter on exponential backoff, that is,
 * random between 0 and a bound that doubles each time.
 */
export function backoffDelay(attempt: number, settings: BackoffSettings, random: Random): number {
  const bound = Math.min(settings.maxDelayMs, settings.initialDelayMs * 2 ** Math.min(attempt - 1, 30));
  return random() * bound;
}
