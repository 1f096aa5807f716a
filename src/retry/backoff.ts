import type { Random } from "../base/clock.js";
import type { RetryPolicy } from "./policy.js";

/** Attempts are moved by up to this part of their delay, earlier or later (gRFC A6). */
const JITTER = 0.2;

/**
 * The delay before a retry, in milliseconds.
 *
 * @param retry 1 for the first retry, counted anew after a push-back (gRFC A6).
 */
export function retryDelay(retry: number, policy: RetryPolicy, random: Random): number {
  const { initialBackoffMs, maxBackoffMs, backoffMultiplier } = policy;
  const delay = Math.min(initialBackoffMs * backoffMultiplier ** (retry - 1), maxBackoffMs);
  return delay * (1 - JITTER + 2 * JITTER * random());
}
