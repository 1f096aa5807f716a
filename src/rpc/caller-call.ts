import { Code, codeFromWire } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { MessageWriter } from "../wire/encode.js";
import type { EndFrame, Header } from "../wire/frame.js";
import { Call, UNOPENED } from "./call.js";
import type { CallingCall } from "./call-table.js";
import type { Calls } from "./calls.js";
import { fromWireHeaders } from "./metadata.js";
import type { MethodInfo } from "./method-info.js";
import type { Subscription } from "./subscription.js";
import type { TopicGap, TopicOptions } from "./topic.js";

/** What all attempts of a call have in common, and what the next one is to say of itself. */
export interface CallPlan {
  readonly info: MethodInfo;
  readonly headers: readonly Header[] | undefined;
  /** By the calls' clock; `Infinity`: none. */
  readonly deadlineAt: number;
  readonly signal: AbortSignal | undefined;
  readonly waitForReady: boolean;
  readonly idempotencyKey: string;
  readonly resumeToken: string;
  /** What the caller wants of a topic. */
  readonly topic: TopicOptions | undefined;
  /** A gap that an earlier attempt has come to, before the first message of this one. */
  readonly openGap?: TopicGap | undefined;
  /** Attempts before this one. */
  readonly previousAttempts: number;
}

/** How an attempt failed, which says more about trying again than its status does. */
export type Failure =
  /** The other side turned it away before a handler saw it. */
  | "refused"
  /** The session was lost before anything of the call was written. */
  | "unwritten"
  /** The session was lost with the call in it. */
  | "lost"
  /** The other side answered with this error. */
  | "answered"
  /** This side ended it: deadline, cancellation, a limit of its own, the end of the connection. */
  | "local";

/** Says on later attempts how many there were before (gRFC A6). */
const PREVIOUS_ATTEMPTS = "grpc-previous-rpc-attempts";

/** The one message of a call, which is encoded when it is known where to. */
export interface OnlyMessage extends MessageWriter {
  /** @throws RpcError when the message does not fit the schema; the call fails with it then. */
  bytes(): Uint8Array;
}

/** Who waits for what becomes of an attempt. */
export interface CallListener {
  /** Messages have come, or the attempt is over. */
  changed(call: CallerCall): void;
}

/** The side of a call that opened it: one attempt. */
export class CallerCall extends Call implements CallingCall {
  readonly headers: readonly Header[] | undefined;
  responseHeaders: readonly Header[] | undefined;
  trailers: readonly Header[] | undefined;
  /** The error, once the call has failed. */
  error: RpcError | undefined;
  /** How it failed; says something once there is an error. */
  failure: Failure = "local";
  /** Told of every change that a reader may wait for. */
  listener: CallListener | undefined;
  subscription: Subscription | undefined;
  readonly #plan: CallPlan;
  readonly #calls: Calls;
  #onAbort: (() => void) | undefined;

  constructor(calls: Calls, plan: CallPlan) {
    super(calls, plan.info.plain);
    this.#calls = calls;
    this.#plan = plan;
    const { headers, previousAttempts } = plan;
    this.headers =
      previousAttempts === 0
        ? headers
        : [...(headers ?? []), [PREVIOUS_ATTEMPTS, String(previousAttempts)] as const];
  }

  get name(): string {
    return this.#plan.info.name;
  }

  get deadlineAt(): number {
    return this.#plan.deadlineAt;
  }

  get idempotencyKey(): string {
    return this.#plan.idempotencyKey;
  }

  get resumeToken(): string {
    return this.#plan.resumeToken;
  }

  get openGap(): TopicGap | undefined {
    return this.#plan.openGap;
  }

  get topic(): TopicOptions | undefined {
    return this.#plan.topic;
  }

  /** Sends the Open with the first message, unless the call is over before it began. */
  start(payload: Uint8Array | undefined, end: boolean): void {
    if (this.#begin()) this.#calls.outgoing.start(this, payload, end, this.#plan.waitForReady);
  }

  /** The same with the only message. */
  startWith(message: OnlyMessage): void {
    if (!this.#begin() || this.#calls.outgoing.startMessage(this, message)) return;
    let bytes: Uint8Array;
    try {
      bytes = message.bytes();
    } catch (error) {
      // Not thrown: the call has begun, and listens to its signal.
      return this.fail(error as RpcError);
    }
    this.#calls.outgoing.start(this, bytes, true, this.#plan.waitForReady);
  }

  /** Whether the call may begin. */
  #begin(): boolean {
    const { signal, deadlineAt } = this.#plan;
    if (signal?.aborted === true) {
      this.fail(abortError(signal.reason, "no"));
      return false;
    }
    if (deadlineAt !== Number.POSITIVE_INFINITY && deadlineAt <= this.#calls.clock()) {
      const message = `the deadline of ${this.name} passed before it was sent`;
      this.fail(new RpcError(message, Code.DeadlineExceeded, { executed: "no" }));
      return false;
    }
    if (signal !== undefined) {
      this.#onAbort = () => this.cancel(Code.Canceled, abortError(signal.reason, this.executedNow));
      signal.addEventListener("abort", this.#onAbort);
    }
    return true;
  }

  /** Whether the handler may have run, if the call were to fail on this side now. */
  get executedNow(): "no" | "unknown" {
    return this.sender.id === UNOPENED ? "no" : "unknown";
  }

  /** Gives up the call, and tells the other side. */
  cancel(code: Code, error: RpcError): void {
    if (this.finished) return;
    this.#calls.outgoing.cancel(this, code, code === Code.Canceled ? "" : error.rawMessage);
    this.fail(error);
  }

  fail(error: RpcError): void {
    if (this.finished) return;
    this.error = error;
    this.receiver.drop();
    this.#finish();
  }

  answered(headers: readonly Header[]): void {
    this.responseHeaders ??= headers;
  }

  concluded(frame: EndFrame): void {
    if (frame.headers !== undefined) this.answered(frame.headers);
    this.trailers = frame.trailers;
    if (frame.code !== 0) {
      this.failure = frame.refused ? "refused" : "answered";
      this.error = new RpcError(frame.message, codeFromWire(frame.code), {
        details: frame.details,
        metadata: this.#metadata(),
        executed: frame.refused ? "no" : frame.unfinished ? "unknown" : "yes",
      });
    }
    this.#finish();
  }

  /** All that came with an error: who gets it may never see a response with headers. */
  #metadata(): Headers | undefined {
    const { responseHeaders = [], trailers = [] } = this;
    return responseHeaders.length + trailers.length === 0
      ? undefined
      : fromWireHeaders([...responseHeaders, ...trailers]);
  }

  received(): void {
    this.listener?.changed(this);
  }

  expired(): void {
    if (this.finished) return;
    const why = this.#calls.outgoing.notOpenReason;
    if (this.#calls.clock() >= this.deadlineAt) {
      const where = this.sender.id === UNOPENED ? ` while waiting to be sent: ${why}` : "";
      const error = new RpcError(`the deadline of ${this.name} passed${where}`, Code.DeadlineExceeded, {
        executed: this.executedNow,
      });
      this.cancel(Code.DeadlineExceeded, error);
      return;
    }
    const [what, code] = this.#calls.outgoing.canOpen
      ? (["room", Code.ResourceExhausted] as const)
      : (["connection", Code.Unavailable] as const);
    const message = `no ${what} for ${this.name} within maxWaitMs: ${why}`;
    this.cancel(code, new RpcError(message, code, { executed: "no" }));
  }

  starved(reason: string): void {
    const error = new RpcError(reason, Code.ResourceExhausted, { executed: this.executedNow });
    this.cancel(Code.Canceled, error);
  }

  lost(unwritten: boolean): void {
    const { closed } = this.#calls;
    if (closed !== undefined) {
      this.fail(new RpcError(closed.rawMessage, closed.code, { executed: "unknown" }));
      return;
    }
    this.failure = unwritten ? "unwritten" : "lost";
    const message = unwritten
      ? `the session was lost before ${this.name} was written`
      : `the session was lost while ${this.name} was in flight`;
    this.fail(new RpcError(message, Code.Unavailable, { executed: unwritten ? "no" : "unknown" }));
  }

  #finish(): void {
    this.finished = true;
    this.#calls.remove(this);
    if (this.#onAbort !== undefined) {
      this.#plan.signal?.removeEventListener("abort", this.#onAbort);
      this.#onAbort = undefined;
    }
    const { listener } = this;
    this.listener = undefined;
    listener?.changed(this);
  }
}

/** The error of a call that its caller has aborted. */
export function abortError(reason: unknown, executed: "no" | "unknown"): RpcError {
  if (reason instanceof RpcError) return reason;
  const timedOut = reason instanceof Error && reason.name === "TimeoutError";
  return new RpcError(
    reason instanceof Error
      ? reason.message
      : reason === undefined
        ? "the call was cancelled"
        : String(reason),
    timedOut ? Code.DeadlineExceeded : Code.Canceled,
    { executed, cause: reason },
  );
}
