import { checkDuration, checkInteger, checkKeys } from "../base/check.js";
import { Code, codeName } from "../base/code.js";

/** How a call is attempted again (gRFC A6). */
export interface RetryPolicy {
  /** Attempts, the first one included; at least 2. Default 5. */
  readonly maxAttempts: number;
  /** Delay before the second attempt, in milliseconds, 20% more or less by chance. Default 100. */
  readonly initialBackoffMs: number;
  /** The delay grows no further, in milliseconds. Default 5,000. */
  readonly maxBackoffMs: number;
  /** What each delay is multiplied with for the next. Default 2. */
  readonly backoffMultiplier: number;
  /** Statuses after which there is another attempt. Default UNAVAILABLE. */
  readonly retryableStatusCodes: readonly Code[];
}

/**
 * Sends a call several times without waiting for the first to fail (gRFC A6); the first good answer counts. For unary
 * methods with `idempotency_level = NO_SIDE_EFFECTS`.
 */
export interface HedgingPolicy {
  /** Attempts, the first one included; at least 2. Default 3. */
  readonly maxAttempts: number;
  /** Time between attempts, in milliseconds. 0 sends all at once. Default 500. */
  readonly hedgingDelayMs: number;
  /** Statuses which only bring the next attempt forward; any other one is the call's outcome. Default UNAVAILABLE. */
  readonly nonFatalStatusCodes: readonly Code[];
}

/**
 * Stops retries when too many calls fail (gRFC A6). Each failed answer takes one token, each success gives `tokenRatio`
 * back; at half of `maxTokens` or below there are no retries. Lost sessions take none: reconnecting has its own backoff.
 */
export interface RetryThrottling {
  /** Above 0, at most 1,000. Default 100. */
  readonly maxTokens: number;
  /** Above 0. Default 0.1. */
  readonly tokenRatio: number;
}

/** What is configured for one method. Naming a method here says that calling it twice does no harm. */
export interface MethodConfig {
  /** `false`: never attempted again, but for calls that certainly did not run. */
  readonly retry?: Partial<RetryPolicy> | false | undefined;
  /** Instead of `retry`. */
  readonly hedging?: Partial<HedgingPolicy> | undefined;
  /** Deadline in milliseconds for calls that have none, or a later one. */
  readonly timeoutMs?: number | undefined;
  /** For calls that do not say. */
  readonly waitForReady?: boolean | undefined;
}

/** {@link MethodConfig}, complete and checked. */
export interface MethodRules {
  /** `undefined`: nothing was said; `false`: no retries. */
  readonly retry: RetryPolicy | false | undefined;
  readonly hedging: HedgingPolicy | undefined;
  readonly timeoutMs: number | undefined;
  readonly waitForReady: boolean | undefined;
}

const DEFAULT_POLICY: RetryPolicy = {
  maxAttempts: 5,
  initialBackoffMs: 100,
  maxBackoffMs: 5_000,
  backoffMultiplier: 2,
  retryableStatusCodes: [Code.Unavailable],
};

const DEFAULT_HEDGING: HedgingPolicy = {
  maxAttempts: 3,
  hedgingDelayMs: 500,
  nonFatalStatusCodes: [Code.Unavailable],
};

const DEFAULT_THROTTLING: RetryThrottling = { maxTokens: 100, tokenRatio: 0.1 };

/** Checks the configuration of a method; `where` names it in errors. */
export function resolveMethodConfig(where: string, config: MethodConfig): MethodRules {
  checkKeys(where, config, ["retry", "hedging", "timeoutMs", "waitForReady"]);
  const { retry, hedging, timeoutMs, waitForReady } = config;
  if (retry !== undefined && retry !== false && hedging !== undefined) {
    throw new TypeError(`${where}: retry and hedging exclude each other`);
  }
  return {
    retry: retry === undefined || retry === false ? retry : resolvePolicy(`${where}.retry`, retry),
    hedging: hedging === undefined ? undefined : resolveHedging(`${where}.hedging`, hedging),
    timeoutMs: timeoutMs === undefined ? undefined : checkDuration(`${where}.timeoutMs`, timeoutMs),
    waitForReady,
  };
}

/** Checks a policy and fills in the defaults; `where` names it in errors. */
export function resolvePolicy(where: string, given: Partial<RetryPolicy>): RetryPolicy {
  const policy = { ...DEFAULT_POLICY, ...given };
  checkKeys(where, policy, Object.keys(DEFAULT_POLICY));
  checkInteger(`${where}.maxAttempts`, policy.maxAttempts, 2);
  checkDuration(`${where}.initialBackoffMs`, policy.initialBackoffMs);
  checkDuration(`${where}.maxBackoffMs`, policy.maxBackoffMs);
  if (!(policy.backoffMultiplier > 0)) {
    throw new RangeError(`${where}.backoffMultiplier must be above 0, not ${policy.backoffMultiplier}`);
  }
  if (policy.retryableStatusCodes.length === 0) {
    throw new RangeError(`${where}.retryableStatusCodes is empty: nothing would ever be attempted again`);
  }
  checkCodes(`${where}.retryableStatusCodes`, policy.retryableStatusCodes);
  return policy;
}

function resolveHedging(where: string, given: Partial<HedgingPolicy>): HedgingPolicy {
  const policy = { ...DEFAULT_HEDGING, ...given };
  checkKeys(where, policy, Object.keys(DEFAULT_HEDGING));
  checkInteger(`${where}.maxAttempts`, policy.maxAttempts, 2);
  checkDuration(`${where}.hedgingDelayMs`, policy.hedgingDelayMs, true);
  checkCodes(`${where}.nonFatalStatusCodes`, policy.nonFatalStatusCodes);
  return policy;
}

/** Checks throttling and fills in the defaults; `where` names it in errors. */
export function resolveThrottling(where: string, given: Partial<RetryThrottling>): RetryThrottling {
  const throttling = { ...DEFAULT_THROTTLING, ...given };
  checkKeys(where, throttling, Object.keys(DEFAULT_THROTTLING));
  const { maxTokens, tokenRatio } = throttling;
  if (!(maxTokens > 0 && maxTokens <= 1_000)) {
    throw new RangeError(`${where}.maxTokens must be above 0 and at most 1,000, not ${maxTokens}`);
  }
  if (!(tokenRatio > 0)) throw new RangeError(`${where}.tokenRatio must be above 0, not ${tokenRatio}`);
  return throttling;
}

function checkCodes(where: string, codes: readonly Code[]): void {
  const known: readonly number[] = Object.values(Code);
  for (const code of codes) {
    if (!known.includes(code)) throw new RangeError(`${where}: ${codeName(code)} is no status code of gRPC`);
  }
}
