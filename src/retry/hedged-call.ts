import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import { CallerCall } from "../rpc/caller-call.js";
import { encodeMessage } from "../rpc/payload.js";
import type { CallOptions } from "../rpc/transport.js";
import { type Caller, LogicalCall, notCertain } from "./logical-call.js";
import type { HedgingPolicy } from "./policy.js";
import { pushBack } from "./push-back.js";
import { responseMessage } from "./unary-call.js";

/** A unary call that is sent several times, a delay apart; the first good answer is its outcome (gRFC A6). */
export class HedgedCall<I extends DescMessage, O extends DescMessage> extends LogicalCall {
  readonly #method: DescMethodUnary<I, O>;
  readonly #hedging: HedgingPolicy;
  readonly #payload: Uint8Array;
  readonly #resolve: (response: MessageShape<O>, call: CallerCall) => void;
  readonly #reject: (error: unknown) => void;
  /** Attempts that have no answer yet. */
  readonly #open = new Set<CallerCall>();
  #sent = 0;
  #done = false;
  /** The handler may have run in an attempt that has failed. */
  #mayHaveRun = false;

  /** @throws RpcError FAILED_PRECONDITION when the method is not marked NO_SIDE_EFFECTS. */
  constructor(
    caller: Caller,
    method: DescMethodUnary<I, O>,
    hedging: HedgingPolicy,
    input: MessageInitShape<I>,
    options: CallOptions | undefined,
    resolve: (response: MessageShape<O>, call: CallerCall) => void,
    reject: (error: unknown) => void,
  ) {
    super(caller, method, options);
    if (!this.info.noSideEffects) {
      throw new RpcError(
        `hedging is configured for ${this.info.name}, whose idempotency_level is not NO_SIDE_EFFECTS`,
        Code.FailedPrecondition,
        { executed: "no" },
      );
    }
    this.#method = method;
    this.#hedging = hedging;
    this.#payload = encodeMessage(method.input, input, Code.Internal);
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Sends one more attempt. */
  restart(): void {
    const { retrier, calls } = this.caller;
    // Others are under way: this one is for speed only.
    if (this.#open.size > 0 && !retrier.mayHedge(undefined)) return;
    this.previousAttempts = this.#sent++;
    const call = new CallerCall(calls, this);
    this.#open.add(call);
    call.listener = this;
    call.start(this.#payload, true);
    if (!this.#done && this.#sent < this.#hedging.maxAttempts) {
      retrier.wait(this, this.#hedging.hedgingDelayMs);
    }
  }

  giveUp(error: RpcError): void {
    const mayHaveRun = this.#mayHaveRun || [...this.#open].some((call) => call.executedNow === "unknown");
    this.#finish(() => this.#reject(mayHaveRun ? notCertain(error) : error));
  }

  changed(call: CallerCall): void {
    if (!call.finished || this.#done) return;
    this.#open.delete(call);
    const { error } = call;
    if (error !== undefined && error.executed !== "no") this.#mayHaveRun = true;
    if (error === undefined) {
      this.caller.retrier.succeeded();
      this.#finish(() => {
        try {
          this.#resolve(responseMessage(this.#method, call), call);
        } catch (fault) {
          this.#reject(fault);
        }
      });
    } else if (!this.#failed(call, error)) {
      this.giveUp(error);
    }
  }

  /** Whether a failed attempt leaves hope. */
  #failed(call: CallerCall, error: RpcError): boolean {
    const { retrier } = this.caller;
    if (call.failure === "local" || !this.#hedging.nonFatalStatusCodes.includes(error.code)) return false;
    const wanted = pushBack(error);
    const more = retrier.mayHedge(call) && wanted !== "never" && this.#sent < this.#hedging.maxAttempts;
    retrier.forget(this);
    if (!more) return this.#open.size > 0;
    // A failure brings the next attempt forward, a push-back moves it.
    retrier.wait(this, wanted ?? 0);
    return true;
  }

  #finish(settle: () => void): void {
    if (this.#done) return;
    this.#done = true;
    this.caller.retrier.forget(this);
    const late = new RpcError("another attempt was faster", Code.Canceled);
    for (const call of [...this.#open]) call.cancel(Code.Canceled, late);
    settle();
  }
}
