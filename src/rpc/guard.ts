import type { RpcError } from "../base/error.js";
import type { EndFrame } from "../wire/frame.js";

/** A call with an idempotency key whose request is complete. */
export interface GuardedCall {
  /** `Identity.id` of the caller; `""` without one. */
  readonly identity: string;
  readonly key: string;
  /** "package.Service/Method". */
  readonly name: string;
  /** The caller no longer waits for an answer. */
  readonly finished: boolean;
  /** Runs the handler, which has the key to itself. Its outcome goes to the admission, whatever becomes of the caller. */
  run(admission: Admission): void;
  /** Answers with the outcome of its own handler. */
  answer(outcome: EndFrame): void;
  /** Answers with the outcome of another attempt. */
  replay(outcome: EndFrame): void;
  /** Answers without running the handler. `refused`: no attempt of this key has run because of this call. */
  reject(error: RpcError, refused: boolean): void;
  /** Asks the handler to stop: the process is about to end. */
  abort(reason: RpcError): void;
}

/** The right of one attempt to run the handler of a key. */
export interface Admission {
  /** 1 for the first attempt that runs, one more after each that died or gave up. */
  readonly attempt: number;
  /**
   * Stores the outcome before the handler has ended, as part of the handler's own transaction where the store takes part
   * in it.
   *
   * @throws LostClaimError when another attempt has taken over.
   */
  complete(outcome: EndFrame): void | Promise<void>;
  /**
   * The handler has ended with this outcome. Answers the call and all that wait for it.
   *
   * @param final `false`: the handler has not run to its end, and the next attempt may run.
   */
  ended(outcome: EndFrame, final: boolean): void;
}

/** Stands before the handlers of calls with a key. */
export interface CallGuard {
  /** Decides what becomes of a call: run, replay, wait, or reject. */
  enter(call: GuardedCall, request: Uint8Array): void;
}
