import {
  type Begun,
  type Claim,
  type IdempotencyId,
  type IdempotencyStore,
  LostClaimError,
  type RequestShape,
} from "../../src/index.js";

interface KeyRecord {
  attempt: number;
  leaseUntil: number;
  shape: RequestShape;
  outcome: Uint8Array | undefined;
}

/** A store that all servers share and that survives them, as a database does; it answers at once. */
export class SharedStore implements IdempotencyStore {
  readonly leaseMs = 2_000;
  readonly #records = new Map<string, KeyRecord>();

  begin({ identity, key }: IdempotencyId, shape: RequestShape, now: number): Begun {
    const record = this.#records.get(key);
    if (record?.outcome !== undefined) return { state: "done", shape: record.shape, outcome: record.outcome };
    if (record !== undefined && record.leaseUntil > now) {
      return { state: "running", shape: record.shape, leaseLeftMs: record.leaseUntil - now };
    }
    const attempt = (record?.attempt ?? 0) + 1;
    this.#records.set(key, { attempt, leaseUntil: now + this.leaseMs, shape, outcome: undefined });
    return { state: "new", claim: { identity, key, attempt } };
  }

  complete(claim: Claim, outcome: Uint8Array): void {
    const record = this.#held(claim);
    if (record === undefined) throw new LostClaimError(claim);
    record.outcome = outcome;
  }

  release(claim: Claim): void {
    const record = this.#held(claim);
    if (record !== undefined) record.leaseUntil = 0;
  }

  renew(claims: readonly Claim[], now: number): void {
    for (const claim of claims) {
      const record = this.#held(claim);
      if (record !== undefined) record.leaseUntil = now + this.leaseMs;
    }
  }

  #held({ key, attempt }: Claim): KeyRecord | undefined {
    const record = this.#records.get(key);
    return record?.attempt === attempt && record.outcome === undefined ? record : undefined;
  }
}
