import { setTimeout as delay } from "node:timers/promises";
import { Code } from "../base/code.js";
import type { Claim, IdempotencyId, RequestShape } from "../idempotency/store.js";
import type { IdempotencyBucket } from "./idempotency-bucket.js";
import type { IdempotencyRecord } from "./idempotency-record.js";
import { StoreFailure } from "./store-failure.js";
import { encodeToken } from "./subject.js";

/** A claim with what it takes to replace its record without reading it first. */
export interface HeldClaim extends Claim {
  readonly shape: RequestShape;
  readonly nonce: string;
  /**
   * Of the record as this claim last saw it while it ran; an old one costs a round trip more. (In a bucket that was deleted
   * and made again they count from 1 anew: only there, and with luck, one may be that of another attempt's record.)
   */
  revision: number;
}

/** Whether a claim is one of ours. */
export function isHeld(claim: Claim): claim is HeldClaim {
  return (claim as Partial<HeldClaim>).nonce !== undefined;
}

/** The KV key of an id. Identity and key stay visible to `nats kv ls`, unless they are long. */
export function tokenOf({ identity, key }: IdempotencyId): string {
  return `${encodeToken(identity)}.${encodeToken(key)}`;
}

/** What could not be written is tried again after so many milliseconds. */
const RETRY_MS = 250;

/** Who loses to others so many times in a row, although the claim is still theirs, looks at something that is broken. */
const MAX_CONFLICTS = 10;

/**
 * Replaces the record of a claim, if the claim still holds it. A record that is gone counts as held: nobody else has begun.
 *
 * @param waits asked when NATS is down or has no leader: whether to try again
 * @returns whether it has been replaced.
 * @throws StoreFailure when NATS does not come back in time: it may have been replaced, or not.
 */
export async function replaceRecord(
  bucket: IdempotencyBucket,
  claim: HeldClaim,
  change: Partial<IdempotencyRecord> & { readonly until: number },
  waits: () => boolean,
): Promise<boolean> {
  const { attempt, nonce, shape } = claim;
  const record: IdempotencyRecord = { attempt, ...shape, nonce, outcome: undefined, ...change };
  const ends = record.outcome !== undefined || record.nonce !== nonce;
  const token = tokenOf(claim);
  // Whether the record may have been written already, by a try whose answer was lost.
  let unsure = false;
  for (let conflicts = 0; conflicts < MAX_CONFLICTS; ) {
    try {
      const revision = await bucket.write(token, record, claim.revision);
      if (revision !== undefined) {
        // A claim that has ended must not be taken up again by a renewal on its way.
        if (!ends) claim.revision = revision;
        return true;
      }
      const { record: holder, revision: newest } = await bucket.read(token);
      if (holder !== undefined && holder.nonce !== nonce) return false;
      if (holder?.outcome !== undefined) return unsure && record.outcome !== undefined;
      claim.revision = newest;
      conflicts++;
    } catch (error) {
      const passes = error instanceof StoreFailure && error.code === Code.Unavailable;
      if (!passes || !waits()) throw error;
      unsure = true;
      await delay(RETRY_MS);
    }
  }
  throw new StoreFailure("NATS refuses every revision of a key; try again later", Code.Unavailable);
}
