import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { Admission, GuardedCall } from "../rpc/guard.js";
import type { EndFrame } from "../wire/frame.js";
import type { GuardHost } from "./guard.js";
import { decodeOutcome, encodeOutcome } from "./outcome.js";
import {
  type Begun,
  type Claim,
  type IdempotencyId,
  type IdempotencyStore,
  LostClaimError,
  type RequestShape,
} from "./store.js";

/** What an {@link Entry} needs of the guard. */
export interface EntryOwner {
  readonly store: IdempotencyStore;
  readonly host: GuardHost;
  claimed(claim: Claim): void;
  unclaimed(claim: Claim): void;
  /** Nothing of this key is under way any more. */
  left(entry: Entry): void;
}

/** A key that another process runs is looked at again after at most this many milliseconds. */
const POLL_MS = 100;

const NOBODY: GuardedCall[] = [];

/** One key that is under way in this process: the call that runs, and those that wait for its outcome. */
export class Entry implements Admission, IdempotencyId, RequestShape {
  readonly identity: string;
  readonly key: string;
  readonly method: string;
  readonly fingerprint: number;
  /** Whether the guard keeps it, for others to find. */
  kept = false;
  /** Nothing of this key is under way any more. */
  over = false;
  readonly #owner: EntryOwner;
  /** The call that came first, until it runs. */
  #first: GuardedCall | undefined;
  /** Calls that came later, in the order of their arrival. */
  #waiting: GuardedCall[] = NOBODY;
  /** The call whose handler runs. */
  #running: GuardedCall | undefined;
  #claim: Claim | undefined;
  /** The handler has stored its response by itself, if its transaction went through. */
  #completed = false;
  #cancelPoll: (() => void) | undefined;

  constructor(owner: EntryOwner, first: GuardedCall, fingerprint: number) {
    this.#owner = owner;
    this.identity = first.identity;
    this.key = first.key;
    this.method = first.name;
    this.fingerprint = fingerprint;
    this.#first = first;
  }

  get attempt(): number {
    return this.#claim?.attempt ?? 0;
  }

  /** Another call with this key: it waits, if it asks for the same. */
  join(call: GuardedCall, fingerprint: number): void {
    const shape = { method: call.name, fingerprint };
    // Those that have given up meanwhile go: who opens calls and cancels them must not fill the memory.
    if (isSame(shape, this)) this.#waiting = [...this.#waiting.filter(({ finished }) => !finished), call];
    else call.reject(mismatch(this, shape, this), true);
  }

  /** Asks the store what there is of this key. */
  begin(): void {
    const { store, host } = this.#owner;
    try {
      const begun = store.begin(this, this, host.wallClock());
      if (!isPromise(begun)) return this.#onBegun(begun);
      // Also what is no answer at all must not be a rejection that nobody handles.
      begun
        .then((found) => this.#onBegun(found))
        .then(undefined, (error: unknown) => this.#onBeginFailed(error));
    } catch (error) {
      this.#onBeginFailed(error);
    }
  }

  /** Calls that wait for the outcome. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** The process ends. */
  close(reason: RpcError): void {
    this.#cancelPoll?.();
    for (const call of this.#takeWaiting()) call.reject(reason, this.#running === undefined);
    this.#running?.abort(reason);
  }

  // ---- for the call that runs ----------------------------------------------------------------------------------

  complete(outcome: EndFrame): void | Promise<void> {
    const claim = this.#claim;
    if (claim === undefined) throw new Error("the handler has ended; it cannot complete its key any more");
    this.#completed = true;
    return this.#owner.store.complete(claim, encodeOutcome(outcome), this.#owner.host.wallClock());
  }

  ended(outcome: EndFrame, final: boolean): void {
    if (this.#completed) {
      // Whether the handler's own transaction went through is known to the store alone.
      void this.#settle(outcome, final);
      return;
    }
    const claim = this.#claim as Claim;
    const { store, host } = this.#owner;
    try {
      const done = final
        ? store.complete(claim, encodeOutcome(outcome), host.wallClock())
        : store.release(claim, host.wallClock());
      if (!isPromise(done)) return this.#onEnded(outcome, final);
      done.then(
        () => this.#onEnded(outcome, final),
        (error: unknown) => this.#onEndFailed(error),
      );
    } catch (error) {
      this.#onEndFailed(error);
    }
  }

  // ---- what the store says -------------------------------------------------------------------------------------

  #onBegun(begun: Begun): void {
    const { host, store } = this.#owner;
    if (begun.state === "new") {
      const call = this.#nextWaiting();
      if (call !== undefined) return this.#run(call, begun.claim);
      // All have gone in the meantime.
      this.#leave();
      void this.#quietly(() => store.release(begun.claim, host.wallClock()));
      return;
    }
    if (!isSame(begun.shape, this)) {
      this.#leave();
      const error = mismatch(this, this, begun.shape);
      for (const call of this.#takeWaiting()) call.reject(error, true);
    } else if (begun.state === "done") {
      this.#replay(begun.outcome);
    } else {
      // Another process has it, or had it when it died.
      const delayMs = Math.max(1, Math.min(begun.leaseLeftMs, POLL_MS));
      this.#cancelPoll = host.after(delayMs, () => {
        this.#cancelPoll = undefined;
        if (this.#hasWaiting) this.begin();
        else this.#leave();
      });
    }
  }

  #onBeginFailed(error: unknown): void {
    this.#leave();
    const answer = this.#storeError(error);
    for (const call of this.#takeWaiting()) call.reject(answer, true);
  }

  #run(call: GuardedCall, claim: Claim): void {
    this.#claim = claim;
    this.#running = call;
    this.#completed = false;
    this.#owner.claimed(claim);
    call.run(this);
  }

  #onEnded(outcome: EndFrame, final: boolean): void {
    const call = this.#stopRunning();
    if (final) {
      this.#leave();
      call?.answer(outcome);
      if (this.#waiting.length > 0) for (const waiting of this.#takeWaiting()) waiting.replay(outcome);
      return;
    }
    call?.answer(outcome);
    if (this.#hasWaiting) {
      // Whoever waited for this attempt is the next one.
      this.begin();
    } else this.#leave();
  }

  #onEndFailed(error: unknown): void {
    const call = this.#stopRunning();
    if (error instanceof LostClaimError) {
      // Another attempt has taken over: its outcome is the one for all.
      this.#first = call;
      this.begin();
      return;
    }
    this.#leave();
    const answer = this.#storeError(error);
    call?.reject(answer, false);
    for (const waiting of this.#takeWaiting()) waiting.reject(answer, false);
  }

  /** After {@link Entry.complete}: goes by what the store holds. */
  async #settle(outcome: EndFrame, final: boolean): Promise<void> {
    const { store, host } = this.#owner;
    this.#completed = false;
    try {
      const begun = await store.begin(this, this, host.wallClock());
      if (begun.state === "done") {
        this.#first = this.#stopRunning();
        this.#replay(begun.outcome);
        return;
      }
      // It was rolled back. The claim may have run out meanwhile, and be given out anew, to us.
      if (begun.state === "new") {
        if (this.#claim !== undefined) this.#owner.unclaimed(this.#claim);
        this.#claim = begun.claim;
      }
      this.ended(outcome, final);
    } catch (error) {
      this.#onEndFailed(error);
    }
  }

  #replay(stored: Uint8Array): void {
    this.#leave();
    try {
      const outcome = decodeOutcome(stored);
      for (const call of this.#takeWaiting()) call.replay(outcome);
    } catch (error) {
      const answer = this.#storeError(error);
      for (const call of this.#takeWaiting()) call.reject(answer, false);
    }
  }

  #stopRunning(): GuardedCall | undefined {
    const call = this.#running;
    if (this.#claim !== undefined) this.#owner.unclaimed(this.#claim);
    this.#claim = undefined;
    this.#running = undefined;
    return call;
  }

  get #hasWaiting(): boolean {
    return this.#first?.finished === false || this.#waiting.some((call) => !call.finished);
  }

  #nextWaiting(): GuardedCall | undefined {
    const first = this.#first;
    this.#first = undefined;
    if (first?.finished === false) return first;
    if (this.#waiting.length === 0) return undefined;
    const [next, ...rest] = this.#waiting.filter((call) => !call.finished);
    this.#waiting = rest;
    return next;
  }

  #takeWaiting(): GuardedCall[] {
    const waiting = this.#first === undefined ? this.#waiting : [this.#first, ...this.#waiting];
    this.#first = undefined;
    this.#waiting = NOBODY;
    return waiting;
  }

  #leave(): void {
    this.over = true;
    if (this.kept) this.#owner.left(this);
  }

  /** What the caller is told when the store fails: what a store throws as an RpcError, else nothing of its inside. */
  #storeError(error: unknown): RpcError {
    if (error instanceof RpcError) return error;
    this.#owner.host.onError(error, "idempotencyStore");
    return new RpcError("the store of idempotency keys failed; try again later", Code.Unavailable);
  }

  async #quietly(task: () => void | Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      this.#owner.host.onError(error, "idempotencyStore");
    }
  }
}

function isSame(a: RequestShape, b: RequestShape): boolean {
  return a.fingerprint === b.fingerprint && a.method === b.method;
}

/** What of a request is not what its key stands for. */
function mismatch({ key }: IdempotencyId, asked: RequestShape, known: RequestShape): RpcError {
  const what =
    asked.method === known.method
      ? `with another request for ${known.method}`
      : `for ${known.method}, not for ${asked.method}`;
  return new RpcError(
    `idempotency key "${key}" was used before ${what}; a new request needs a new key`,
    Code.InvalidArgument,
  );
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown } | undefined)?.then === "function";
}
