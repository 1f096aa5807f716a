/** What names a call over all its attempts: who calls, and the key that the caller gave. */
export interface IdempotencyId {
  /** `Identity.id` of the caller; `""` for callers without one, who share their keys. */
  readonly identity: string;
  /** The caller's key. */
  readonly key: string;
}

/** What a request looks like: with the same key it must look the same. */
export interface RequestShape {
  /** "package.Service/Method". */
  readonly method: string;
  /** Hash of the encoded request: a whole number below 2^53. */
  readonly fingerprint: number;
}

/** An attempt's right to run the handler of a key. */
export interface Claim extends IdempotencyId {
  /** 1 for the first attempt that runs; one more after each attempt that died or gave up. Fences off older attempts. */
  readonly attempt: number;
}

/** What {@link IdempotencyStore.begin} found. */
export type Begun =
  /** Nobody has run this key, or who ran it died or gave up: the caller has the claim now, and runs the handler. */
  | { readonly state: "new"; readonly claim: Claim }
  /** Another attempt holds the claim, for so many milliseconds more if it does not renew it. */
  | { readonly state: "running"; readonly shape: RequestShape; readonly leaseLeftMs: number }
  /** The handler has run to its end; this is its outcome. */
  | { readonly state: "done"; readonly shape: RequestShape; readonly outcome: Uint8Array };

/**
 * Where idempotent handlers keep what has run. One record per identity and key: new, running under a lease, or done with
 * its outcome.
 *
 * All methods may answer at once or by a promise. `now` is wall-clock time in milliseconds since the epoch; a store with a
 * clock of its own, such as a database server's, may use that instead.
 */
export interface IdempotencyStore {
  /**
   * How long a claim lasts without being renewed, in milliseconds. An attempt whose claim has run out counts as dead, and
   * the next one may run. `Infinity` when the store dies with the attempts themselves, as memory does.
   */
  readonly leaseMs: number;
  /**
   * Takes the claim of a key, or says who has it or what came of it. Must be atomic: of two that begin at the same time
   * one gets the claim. A claim whose lease has run out is given to the next that begins.
   *
   * @throws RpcError RESOURCE_EXHAUSTED with `executed: "no"` when there is no room for a new key.
   */
  begin(id: IdempotencyId, shape: RequestShape, now: number): Begun | Promise<Begun>;
  /**
   * Stores the outcome of a claim, which ends it. From now on the key is done.
   *
   * @throws LostClaimError when the claim is no longer the caller's.
   */
  complete(claim: Claim, outcome: Uint8Array, now: number): void | Promise<void>;
  /** Gives a claim back: its attempt has not run to the end, and the next may run. Without effect on a claim that is lost. */
  release(claim: Claim, now: number): void | Promise<void>;
  /** Begins the leases of claims anew. Without effect on claims that are lost. */
  renew(claims: readonly Claim[], now: number): void | Promise<void>;
}

/** The claim of an attempt ran out, and another attempt has taken it, or the record is gone. */
export class LostClaimError extends Error {
  override readonly name = "LostClaimError";
  readonly claim: Claim;

  constructor(claim: Claim) {
    super(
      `attempt ${claim.attempt} of key "${claim.key}" no longer holds its claim: its lease ran out, and another attempt may have run`,
    );
    this.claim = claim;
  }
}
