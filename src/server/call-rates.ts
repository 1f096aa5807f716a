import type { Clock } from "../base/clock.js";
import { Code } from "../base/code.js";
import { TokenBucket } from "../base/token-bucket.js";
import { retryInfo } from "../retry/push-back.js";
import type { EndRefusal } from "../rpc/call-table.js";
import type { Identity } from "../rpc/context.js";

/** Whose calls are counted together: an identity's, or those of a session without one. */
export interface RateOwner {
  readonly identity: Identity | undefined;
}

/** Buckets that nobody has used for long are looked for whenever so many new ones were made. */
const SWEEP_EVERY = 1_024;

/** How many calls each identity may open per second. */
export class CallRates {
  readonly #perSecond: number;
  readonly #clock: Clock;
  readonly #onLimit: (identity: string | undefined) => void;
  readonly #ofIdentities = new Map<string, TokenBucket>();
  readonly #ofSessions = new Map<RateOwner, TokenBucket>();
  #made = 0;

  /** @param onLimit called with the identity whose call was turned away */
  constructor(perSecond: number, clock: Clock, onLimit: (identity: string | undefined) => void) {
    this.#onLimit = onLimit;
    this.#perSecond = perSecond;
    this.#clock = clock;
  }

  /** Counts a call. Why it is turned away; `undefined` when it is not. */
  admit(owner: RateOwner): EndRefusal | undefined {
    const { identity } = owner;
    const bucket =
      identity === undefined
        ? this.#bucket(this.#ofSessions, owner)
        : this.#bucket(this.#ofIdentities, identity.id);
    const waitMs = bucket.tryTake(1, this.#clock());
    if (waitMs === 0) return undefined;
    this.#onLimit(identity?.id);
    return {
      refused: true,
      code: Code.ResourceExhausted,
      message: `more than ${this.#perSecond} calls per second (callsPerSecond)`,
      details: [retryInfo(waitMs)],
    };
  }

  /** A session is over. */
  delete(owner: RateOwner): void {
    this.#ofSessions.delete(owner);
  }

  #bucket<Key>(buckets: Map<Key, TokenBucket>, key: Key): TokenBucket {
    let bucket = buckets.get(key);
    if (bucket === undefined) {
      bucket = new TokenBucket(this.#perSecond);
      buckets.set(key, bucket);
      // An identity that has gone must not get a full bucket by coming back, so its own is kept until it is full.
      if (++this.#made % SWEEP_EVERY === 0) this.#sweep();
    }
    return bucket;
  }

  #sweep(): void {
    const now = this.#clock();
    for (const [id, bucket] of this.#ofIdentities) if (bucket.isFull(now)) this.#ofIdentities.delete(id);
  }
}
