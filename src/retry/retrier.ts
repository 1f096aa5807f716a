import type { DescMethod } from "@bufbuild/protobuf";
import type { Clock, Random } from "../base/clock.js";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import { abortError, type CallerCall } from "../rpc/caller-call.js";
import { retryDelay } from "./backoff.js";
import type { RetrySettings } from "./options.js";
import type { MethodRules, RetryPolicy } from "./policy.js";
import { pushBack } from "./push-back.js";
import { Throttle } from "./throttle.js";

/** Clock, randomness and timers, from whoever has them. */
export interface RetryHost {
  readonly clock: Clock;
  readonly random: Random;
  /** Calls a function after a delay in milliseconds; returns how to call that off. */
  after(delayMs: number, task: () => void): () => void;
}

/** A call over all its attempts, as the retrier sees it. */
export interface Retried {
  readonly deadlineAt: number;
  readonly signal: AbortSignal | undefined;
  /** What holds for this call; `undefined`: only what certainly did not run is attempted again. */
  readonly policy: RetryPolicy | undefined;
  /** Attempts so far that count. */
  readonly attempts: number;
  /** Delays so far, for the next one's length; begins anew after a push-back (gRFC A6). */
  backoffs: number;
  /** A refusal was answered by another attempt at once. */
  refusedBefore: boolean;
  /** Begins the next attempt. */
  restart(): void;
  /** Ends the call while it waits for its next attempt. */
  giveUp(error: RpcError): void;
}

/** Statuses of a refusal that may be another one a moment later. */
const PASSING: readonly Code[] = [Code.Unavailable, Code.ResourceExhausted];

/** Decides for all calls of a connection whether they are attempted again, and when (gRFC A6). */
export class Retrier {
  readonly settings: RetrySettings;
  readonly host: RetryHost;
  readonly #throttle: Throttle | undefined;
  /** How to end each call that waits for its next attempt. */
  readonly #waiting = new Map<Retried, () => void>();

  constructor(settings: RetrySettings, host: RetryHost) {
    this.settings = settings;
    this.host = host;
    this.#throttle = settings.throttling === undefined ? undefined : new Throttle(settings.throttling);
  }

  /** Calls that wait for their next attempt. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** What was configured for a method. */
  rules(method: DescMethod): MethodRules | undefined {
    return this.settings.rules?.(method);
  }

  /** A call ended well. */
  succeeded(): void {
    this.#throttle?.succeeded();
  }

  /** An attempt failed: the delay before the next one in milliseconds, or `undefined` when there is to be none. */
  delayAfter(call: Retried, { error, failure }: CallerCall): number | undefined {
    if (error === undefined || failure === "local" || call.signal?.aborted === true) return undefined;
    // It never left this process: as if it had not been attempted.
    if (failure === "unwritten") return 0;
    const { policy } = call;
    const passing = failure === "refused" && PASSING.includes(error.code);
    const wanted = failure === "lost" ? undefined : pushBack(error);
    const retryable = passing || policy?.retryableStatusCodes.includes(error.code) === true;
    if (failure !== "lost" && (retryable || wanted === "never")) this.#throttle?.failed();
    if (wanted === "never" || !retryable) return undefined;
    // No handler has seen it: once more at once, whatever the policy (gRFC A6, transparent retries).
    if (passing && wanted === undefined && !call.refusedBefore) {
      call.refusedBefore = true;
      return 0;
    }
    if (policy === undefined || call.attempts >= policy.maxAttempts) return undefined;
    if (failure !== "lost" && this.#throttle?.allows === false) return undefined;
    call.backoffs = wanted === undefined ? call.backoffs + 1 : 0;
    const delayMs = wanted ?? retryDelay(call.backoffs, policy, this.host.random);
    return this.host.clock() + delayMs < call.deadlineAt ? delayMs : undefined;
  }

  /** Whether hedging may send one more attempt after a failed one, or beside others that are under way. */
  mayHedge(failed: CallerCall | undefined): boolean {
    if (failed?.error !== undefined && failed.failure !== "lost") this.#throttle?.failed();
    return this.#throttle?.allows !== false;
  }

  /** Restarts a call after a delay, unless it is aborted or the connection ends before. */
  wait(call: Retried, delayMs: number): void {
    const { signal } = call;
    const stop = () => {
      cancel();
      signal?.removeEventListener("abort", onAbort);
      this.#waiting.delete(call);
    };
    const onAbort = () => {
      stop();
      call.giveUp(abortError(signal?.reason, "no"));
    };
    const cancel = this.host.after(delayMs, () => {
      stop();
      call.restart();
    });
    signal?.addEventListener("abort", onAbort);
    this.#waiting.set(call, stop);
  }

  /** A call that waits is given up by its reader. */
  forget(call: Retried): void {
    this.#waiting.get(call)?.();
  }

  /** The connection is closed: ends what waits. */
  close(message: string, code: Code): void {
    for (const [call, stop] of [...this.#waiting]) {
      stop();
      call.giveUp(new RpcError(message, code, { executed: "no" }));
    }
  }
}
