import type { Clock } from "../base/clock.js";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { HandlerErrorLog } from "../rpc/answer.js";
import type { CallGuard, GuardedCall } from "../rpc/guard.js";
import { Entry, type EntryOwner } from "./entry.js";
import { fingerprint } from "./fingerprint.js";
import type { Claim, IdempotencyStore } from "./store.js";

/** What a {@link Guard} needs of its process. */
export interface GuardHost {
  /** Milliseconds since the epoch. */
  readonly wallClock: Clock;
  /** Calls a function after a delay in milliseconds; returns how to call that off. */
  after(delayMs: number, task: () => void): () => void;
  /** Told when the store fails. */
  readonly onError: HandlerErrorLog;
}

/** Claims are renewed so many times per lease. */
const RENEWALS_PER_LEASE = 3;

/**
 * Stands before the handlers of calls with a key, for all sessions of a process: lets the first attempt of a key run, has
 * the others wait for it, and answers later ones with its outcome.
 */
export class Guard implements CallGuard, EntryOwner {
  readonly store: IdempotencyStore;
  readonly host: GuardHost;
  /** Keys that are under way in this process, by identity and key. */
  readonly #entries = new Map<string, Map<string, Entry>>();
  readonly #claims = new Set<Claim>();
  #stopRenewing: (() => void) | undefined;
  #closed: RpcError | undefined;

  constructor(store: IdempotencyStore, host: GuardHost) {
    this.store = store;
    this.host = host;
  }

  /** Identities with keys that are under way. */
  get identities(): number {
    return this.#entries.size;
  }

  /** Keys that are under way in this process. */
  get size(): number {
    let size = 0;
    for (const entries of this.#entries.values()) size += entries.size;
    return size;
  }

  /** Calls that wait for the outcome of another one. */
  get waiting(): number {
    let waiting = 0;
    for (const entries of this.#entries.values())
      for (const entry of entries.values()) waiting += entry.waiting;
    return waiting;
  }

  enter(call: GuardedCall, request: Uint8Array): void {
    if (this.#closed !== undefined) return call.reject(this.#closed, true);
    const { identity, key } = call;
    const print = fingerprint(request);
    const entry = this.#entries.get(identity)?.get(key);
    if (entry !== undefined) return entry.join(call, print);
    const first = new Entry(this, call, print);
    first.begin();
    // Where store and handler answer at once, it is over before anybody could ask for it.
    if (first.over) return;
    first.kept = true;
    const entries = this.#entries.get(identity);
    if (entries === undefined) this.#entries.set(identity, new Map([[key, first]]));
    else entries.set(key, first);
  }

  /** The process ends: asks handlers to stop, and turns away whoever waits. */
  close(message: string): void {
    this.#closed = new RpcError(message, Code.Unavailable);
    for (const entries of this.#entries.values()) {
      for (const entry of entries.values()) entry.close(this.#closed);
    }
    this.#stopRenewing?.();
    this.#stopRenewing = undefined;
  }

  // ---- for entries ---------------------------------------------------------------------------------------------

  claimed(claim: Claim): void {
    if (this.store.leaseMs === Number.POSITIVE_INFINITY) return;
    this.#claims.add(claim);
    this.#watch();
  }

  unclaimed(claim: Claim): void {
    this.#claims.delete(claim);
  }

  left(entry: Entry): void {
    const { identity, key } = entry;
    const entries = this.#entries.get(identity);
    if (entries?.get(key) !== entry) return;
    entries.delete(key);
    // Anonymous callers share one table for good; those of others go with their last key.
    if (entries.size === 0 && identity !== "") this.#entries.delete(identity);
  }

  #watch(): void {
    if (this.#stopRenewing !== undefined || this.#closed !== undefined) return;
    this.#stopRenewing = this.host.after(this.store.leaseMs / RENEWALS_PER_LEASE, () => {
      this.#stopRenewing = undefined;
      if (this.#claims.size === 0) return;
      this.#renew().catch((error: unknown) => this.host.onError(error, "idempotencyStore.renew"));
      this.#watch();
    });
  }

  async #renew(): Promise<void> {
    await this.store.renew([...this.#claims], this.host.wallClock());
  }
}
