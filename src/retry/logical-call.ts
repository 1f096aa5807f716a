import type { DescMethod } from "@bufbuild/protobuf";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { Observer } from "../base/observer.js";
import type { CallerCall, CallPlan } from "../rpc/caller-call.js";
import type { Calls } from "../rpc/calls.js";
import { toWireHeaders } from "../rpc/metadata.js";
import { type MethodInfo, methodInfo } from "../rpc/method-info.js";
import { startToken, type TopicGap, type TopicOptions } from "../rpc/topic.js";
import type { CallOptions } from "../rpc/transport.js";
import type { Header } from "../wire/frame.js";
import type { MethodRules, RetryPolicy } from "./policy.js";
import type { Retried, Retrier } from "./retrier.js";

/** What calls are made with. */
export interface Caller {
  readonly calls: Calls;
  readonly retrier: Retrier;
  /** Makes an idempotency key that nobody else makes. */
  readonly newKey: () => string;
  readonly observer?: Observer | undefined;
}

/** Longest idempotency key, in UTF-16 units. UUIDs have 36. */
const MAX_KEY = 255;

/** A call as its maker sees it: one outcome, over one attempt or several. */
export abstract class LogicalCall implements CallPlan, Retried {
  readonly info: MethodInfo;
  readonly headers: readonly Header[] | undefined;
  readonly deadlineAt: number;
  readonly signal: AbortSignal | undefined;
  readonly waitForReady: boolean;
  readonly idempotencyKey: string;
  resumeToken: string;
  readonly topic: TopicOptions | undefined;
  openGap: TopicGap | undefined;
  /** Attempts that the other side may have heard of. */
  previousAttempts = 0;
  /** Attempts that count against the policy. */
  attempts = 1;
  backoffs = 0;
  refusedBefore = false;
  protected readonly caller: Caller;
  readonly #rules: MethodRules | undefined;
  readonly #repeatable: boolean;
  readonly #retryOff: boolean;
  /** The handler may have run in an earlier attempt. */
  #mayHaveRun = false;

  /** @throws RpcError INVALID_ARGUMENT for metadata or a key that cannot be sent. */
  constructor(caller: Caller, method: DescMethod, options: CallOptions | undefined) {
    const info = methodInfo(method);
    const rules = caller.retrier.rules(method);
    this.caller = caller;
    this.info = info;
    this.#rules = rules;
    this.headers = options?.headers === undefined ? undefined : toWireHeaders(options.headers);
    this.signal = options?.signal;
    this.waitForReady = options?.waitForReady ?? rules?.waitForReady ?? true;
    this.deadlineAt = deadline(caller.calls.clock(), options?.timeoutMs, rules?.timeoutMs);
    const key = options?.idempotencyKey;
    this.idempotencyKey = key === undefined ? (info.once ? caller.newKey() : "") : checkKey(key, method);
    // Whoever subscribes to a topic may do so again.
    this.#repeatable = info.idempotent || this.idempotencyKey !== "" || options?.topic !== undefined;
    this.topic = options?.topic;
    this.resumeToken = this.topic === undefined ? "" : startToken(this.topic, method);
    this.#retryOff = options?.retry === false;
  }

  get policy(): RetryPolicy | undefined {
    const configured = this.#rules?.retry;
    if (configured === false || this.#retryOff) return undefined;
    // A token is the handler's word that the call may be made again.
    const repeatable = this.#repeatable || this.resumeToken !== "";
    return configured ?? (repeatable ? this.caller.retrier.settings.policy : undefined);
  }

  abstract restart(): void;
  abstract giveUp(error: RpcError): void;

  /** The call has come on: what failed before has been made good. */
  protected startOver(): void {
    this.attempts = 1;
    this.backoffs = 0;
    this.refusedBefore = false;
  }

  /** An attempt failed. Whether there will be another one; it has begun already, or begins after a delay. */
  protected attemptAgain(failed: CallerCall): boolean {
    const { retrier } = this.caller;
    const delayMs = retrier.delayAfter(this, failed);
    if (delayMs === undefined) return false;
    if (failed.error?.executed !== "no") this.#mayHaveRun = true;
    this.caller.observer?.callRetried?.(this.info.name, failed.error?.code ?? Code.Unknown);
    if (failed.failure !== "unwritten") {
      this.previousAttempts++;
      this.attempts++;
    }
    if (delayMs === 0) this.restart();
    else retrier.wait(this, delayMs);
    return true;
  }

  /** The last attempt's error as the call's: "no" is said only if it holds for all attempts. */
  protected outcome(error: RpcError): RpcError {
    return this.#mayHaveRun ? notCertain(error) : error;
  }
}

/** An error of something else that went wrong with a call whose handler may have run. */
export function notCertain(error: RpcError): RpcError {
  if (error.executed !== "no") return error;
  const { rawMessage, code, details, metadata } = error;
  return new RpcError(rawMessage, code, { details, metadata, executed: "unknown", cause: error });
}

function deadline(now: number, timeoutMs: number | undefined, configured: number | undefined): number {
  if (timeoutMs === undefined) return configured === undefined ? Number.POSITIVE_INFINITY : now + configured;
  if (!(timeoutMs > 0)) return Number.NEGATIVE_INFINITY;
  return now + Math.min(timeoutMs, configured ?? timeoutMs);
}

function checkKey(key: unknown, method: DescMethod): string {
  const fault =
    typeof key !== "string" || key.length === 0 || key.length > MAX_KEY
      ? `must be a string of 1 to ${MAX_KEY} characters`
      : method.methodKind !== "unary"
        ? `is for unary methods, and ${method.name} is none`
        : undefined;
  if (fault !== undefined) {
    throw new RpcError(`idempotencyKey ${fault}`, Code.InvalidArgument, { executed: "no" });
  }
  return key as string;
}
