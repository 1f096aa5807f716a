import { randomUUID } from "node:crypto";
import type { NatsConnection } from "@nats-io/transport-node";
import { checkInteger, checkKeys } from "../base/check.js";
import { Code } from "../base/code.js";
import { type Executed, RpcError } from "../base/error.js";
import { encodeOutcome } from "../idempotency/outcome.js";
import {
  type Begun,
  type Claim,
  type IdempotencyId,
  type IdempotencyStore,
  LostClaimError,
  type RequestShape,
} from "../idempotency/store.js";
import { endFrame } from "../rpc/ending.js";
import { type HeldClaim, isHeld, replaceRecord, tokenOf } from "./held-claim.js";
import { type Found, IdempotencyBucket, RecordTooLargeError } from "./idempotency-bucket.js";
import type { IdempotencyRecord } from "./idempotency-record.js";
import { StoreFailure } from "./store-failure.js";

/** Where and how long a {@link natsIdempotencyStore} keeps keys. All nodes must give the same, but for the connection. */
export interface NatsIdempotencyStoreOptions {
  /**
   * An open connection, as `connect()` of `@nats-io/transport-node` makes it; give it `maxReconnectAttempts: -1`, or it gives
   * up after 10 attempts. It stays yours to close.
   */
  readonly connection: NatsConnection;
  /** Name of the KV bucket, made when it is missing. Default `hawser-idempotency`. */
  readonly bucket?: string;
  /**
   * How long the outcome of a key is kept, in milliseconds, from 100 and above `leaseMs`. Clients must not use a key for
   * longer. It is the bucket's TTL too, so that a bucket belongs to one `ttlMs`. Default 86,400,000 (a day).
   */
  readonly ttlMs?: number;
  /** How long a node that died keeps its keys from being attempted again, in milliseconds. Default 10,000. */
  readonly leaseMs?: number;
  /**
   * On how many servers of a cluster the keys are kept, 1 to 5; with 3, one may die. Above 1, each outcome and each renewal
   * takes some 250 bytes of the memory of these servers for two minutes. Default 1.
   */
  readonly replicas?: number;
  /** `"memory"` forgets the keys when the servers that hold them are restarted. Default `"file"`. */
  readonly storage?: "file" | "memory";
}

/** An {@link IdempotencyStore} on NATS, which all nodes share. */
export interface NatsIdempotencyStore extends IdempotencyStore {
  begin(id: IdempotencyId, shape: RequestShape, now: number): Promise<Begun>;
  complete(claim: Claim, outcome: Uint8Array, now: number): Promise<void>;
  release(claim: Claim): Promise<void>;
  renew(claims: readonly Claim[], now: number): Promise<void>;
  /** Nothing begins any more, and what waits for NATS to come back gives up. Call it after the server's `close()`. */
  close(): void;
}

/** Ten years: as nanoseconds this still is a number that every server can read. */
const MAX_TTL_MS = 10 * 366 * 86_400_000;

/** The handler has run: its outcome is worth waiting until NATS is back. An election of a new leader takes some 7 seconds. */
const COMPLETE_PATIENCE_MS = 30_000;

/** So many claims are renewed at a time: the client of NATS sends whatever it is given at once. */
const RENEW_WINDOW = 256;

/** A key that changes before every attempt to take it, so many times, is given up. */
const BEGIN_TRIES = 10;

/**
 * Keeps idempotency keys in a KV bucket of NATS JetStream (2.9.10 or later), so that all nodes know what has run on any of
 * them, and survive it. Every write is a compare-and-set on the revision of the key, so that one of two attempts gets a claim
 * whatever happens.
 *
 * - The bucket's TTL begins anew at each write. A claim that is renewed is never forgotten, however long its handler runs,
 *   and the outcome is kept for `ttlMs` from the moment that it was stored. That is why `ttlMs` must be above `leaseMs`: else
 *   the bucket would forget a claim whose lease has not run out.
 * - Leases and outcomes end by the time that is handed in; nodes whose clocks differ by more than the lease take each other
 *   for dead.
 * - A record that is gone (the bucket was deleted, or its memory is lost) is written again by the attempt that runs, unless
 *   another has begun meanwhile.
 * - While NATS is down or has no leader `begin` throws UNAVAILABLE with `executed: "no"`. It may have taken the claim all
 *   the same, if NATS was lost before the answer came: then the key can be attempted again after `leaseMs`.
 * - `complete` waits up to 30 seconds for NATS to come back, then throws UNAVAILABLE: the key stays claimed until its lease has
 *   run out, and the next attempt runs the handler again.
 * - An outcome that is over the server's `max_payload`, or for which there is no room, cannot be kept. `complete` throws
 *   RESOURCE_EXHAUSTED, and keeps that as the outcome of the key: the handler has run, and must not do so again.
 *
 * @throws TypeError or RangeError for a wrong option. That a bucket of this name has other settings is found when the first
 * key is used: `begin` throws an Error.
 */
export function natsIdempotencyStore(options: NatsIdempotencyStoreOptions): NatsIdempotencyStore {
  const known = ["connection", "bucket", "ttlMs", "leaseMs", "replicas", "storage"];
  checkKeys("natsIdempotencyStore()", options, known);
  const { connection, bucket = "hawser-idempotency", storage = "file" } = options;
  if (typeof connection?.status !== "function" || typeof connection.request !== "function") {
    throw new TypeError(
      "natsIdempotencyStore() needs connection: await connect({ servers }), of @nats-io/transport-node",
    );
  }
  if (typeof bucket !== "string" || !/^[A-Za-z0-9_-]+$/.test(bucket)) {
    throw new TypeError(
      `bucket must be a name of letters, digits, "_" and "-", not ${JSON.stringify(bucket)}`,
    );
  }
  if (storage !== "file" && storage !== "memory") {
    throw new TypeError(`storage must be "file" or "memory", not ${JSON.stringify(storage)}`);
  }
  const replicas = checkInteger("replicas", options.replicas ?? 1, 1, 5);
  const leaseMs = checkInteger("leaseMs", options.leaseMs ?? 10_000, 1, MAX_TTL_MS - 1);
  // Less than 100 the server does not take.
  const ttlMs = checkInteger("ttlMs", options.ttlMs ?? 86_400_000, Math.max(100, leaseMs + 1), MAX_TTL_MS);
  return new NatsStore(
    new IdempotencyBucket(connection, { bucket, ttlMs, replicas, storage }),
    ttlMs,
    leaseMs,
  );
}

class NatsStore implements NatsIdempotencyStore {
  readonly leaseMs: number;
  readonly #bucket: IdempotencyBucket;
  readonly #ttlMs: number;
  #closed = false;

  constructor(bucket: IdempotencyBucket, ttlMs: number, leaseMs: number) {
    this.#bucket = bucket;
    this.#ttlMs = ttlMs;
    this.leaseMs = leaseMs;
  }

  async begin(id: IdempotencyId, shape: RequestShape, now: number): Promise<Begun> {
    try {
      if (this.#closed) throw new StoreFailure("the store of idempotency keys is closed", Code.Unavailable);
      return await this.#begin(id, shape, now);
    } catch (error) {
      throw told(error, "no");
    }
  }

  async #begin(
    { identity, key }: IdempotencyId,
    { method, fingerprint }: RequestShape,
    now: number,
  ): Promise<Begun> {
    const token = tokenOf({ identity, key });
    const nonce = randomUUID();
    const until = now + this.leaseMs;
    // Most keys are new: they are taken without looking.
    let { revision, record }: Found = { revision: 0, record: undefined };
    for (let tries = 0; tries < BEGIN_TRIES; tries++) {
      if (record !== undefined && record.until > now) return begunBy(record, now);
      const attempt: number = (record?.attempt ?? 0) + 1;
      const own = { attempt, method, fingerprint, nonce, until, outcome: undefined };
      const taken = await this.#bucket.write(token, own, revision);
      if (taken !== undefined) {
        const claim: HeldClaim = {
          identity,
          key,
          attempt,
          shape: { method, fingerprint },
          nonce,
          revision: taken,
        };
        return { state: "new", claim };
      }
      ({ revision, record } = await this.#bucket.read(token));
    }
    throw new StoreFailure("the idempotency key changes all the time; try again later", Code.Unavailable);
  }

  async complete(claim: Claim, outcome: Uint8Array, now: number): Promise<void> {
    try {
      await this.#finish(claim, outcome, now);
    } catch (error) {
      const refusal = refusalOf(error, outcome);
      if (refusal === undefined) throw error;
      // Without an outcome the key would be attempted again when the lease has run out; where there is no room, even at once:
      // 2.9.10 deletes the record that it has refused to replace.
      await this.#finish(claim, encodeOutcome(endFrame(1, refusal, undefined, undefined, "answered")), now);
      throw refusal;
    }
  }

  async release(claim: Claim): Promise<void> {
    if (isHeld(claim)) await this.#replace(claim, { nonce: "", until: 0 }, this.#patience(this.leaseMs / 3));
  }

  async renew(claims: readonly Claim[], now: number): Promise<void> {
    const until = now + this.leaseMs;
    // Until the next renewal comes; for all of them together.
    const waits = this.#patience(this.leaseMs / 3);
    const failures: unknown[] = [];
    const waiting = claims.values();
    const work = async () => {
      for (const claim of waiting) {
        // What has kept one from being renewed keeps all.
        if (failures.length > 0) return;
        try {
          if (isHeld(claim)) await this.#replace(claim, { until }, waits);
        } catch (error) {
          failures.push(error);
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(RENEW_WINDOW, claims.length) }, work));
    if (failures.length > 0) throw failures[0];
  }

  close(): void {
    this.#closed = true;
  }

  async #finish(claim: Claim, outcome: Uint8Array, now: number): Promise<void> {
    const change = { until: now + this.#ttlMs, outcome };
    const done = isHeld(claim) && (await this.#replace(claim, change, this.#patience(COMPLETE_PATIENCE_MS)));
    if (!done) throw new LostClaimError(claim);
  }

  async #replace(
    claim: HeldClaim,
    change: Partial<IdempotencyRecord> & { readonly until: number },
    waits: () => boolean,
  ): Promise<boolean> {
    try {
      return await replaceRecord(this.#bucket, claim, change, waits);
    } catch (error) {
      throw told(error, "unknown");
    }
  }

  /** Says for so long that it is worth trying again. */
  #patience(ms: number): () => boolean {
    const endsAt = performance.now() + ms;
    return () => !this.#closed && performance.now() < endsAt;
  }
}

function begunBy({ method, fingerprint, outcome, until }: IdempotencyRecord, now: number): Begun {
  const shape = { method, fingerprint };
  if (outcome !== undefined) return { state: "done", shape, outcome };
  return { state: "running", shape, leaseLeftMs: until - now };
}

/** Why an outcome cannot be kept, if it is the outcome's fault. */
function refusalOf(error: unknown, outcome: Uint8Array): RpcError | undefined {
  if (error instanceof RecordTooLargeError) {
    return new RpcError(
      `an outcome of ${outcome.length} bytes is over the max_payload of NATS (${error.maxPayload} bytes, with headers): raise it, or answer with less`,
      Code.ResourceExhausted,
      { cause: error },
    );
  }
  return error instanceof RpcError && error.code === Code.ResourceExhausted ? error : undefined;
}

/** A failure of the store as the caller hears of it. */
function told(error: unknown, executed: Executed): unknown {
  return error instanceof StoreFailure ? error.toRpcError(executed) : error;
}
