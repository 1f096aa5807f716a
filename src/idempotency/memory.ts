import { checkDuration, checkInteger, checkKeys } from "../base/check.js";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import {
  type Begun,
  type Claim,
  type IdempotencyId,
  type IdempotencyStore,
  LostClaimError,
  type RequestShape,
} from "./store.js";

/** How much a {@link memoryIdempotencyStore} keeps. */
export interface MemoryStoreOptions {
  /** How long the outcome of a key is kept, in milliseconds. Clients must not use a key for longer. Default 300,000. */
  readonly ttlMs?: number;
  /** Keys, running and done. Default 250,000. */
  readonly maxKeys?: number;
  /** Bytes of all keys and outcomes, with what a record costs beside them. Default 128 MiB. */
  readonly maxBytes?: number;
  /**
   * What happens to a new key when there is no room. `"refuse"` (the default): its call fails with RESOURCE_EXHAUSTED and
   * `executed: "no"`, so that no promise is broken. `"forget"`: the oldest outcome goes, and a late attempt of that key
   * would run its handler again.
   */
  readonly whenFull?: "refuse" | "forget";
}

/** An {@link IdempotencyStore} in this process's memory. */
export interface MemoryIdempotencyStore extends IdempotencyStore {
  /** Keys that are kept, running and done. */
  readonly keys: number;
  /** What they take, in bytes, about. */
  readonly bytes: number;
  begin(id: IdempotencyId, shape: RequestShape, now: number): Begun;
  complete(claim: Claim, outcome: Uint8Array, now: number): void;
  release(claim: Claim, now: number): void;
  renew(): void;
}

/** What a record costs beside its key and its outcome: objects, map entries, the typed array's head (Node 24, measured). */
const RECORD_BYTES = 480;

interface KeyRecord extends Claim {
  readonly shape: RequestShape;
  state: "running" | "free" | "done";
  outcome: Uint8Array | undefined;
  /** When it is forgotten, unless it runs. */
  expiresAt: number;
}

/**
 * Keeps idempotency keys in memory: the promise holds for as long as the process lives. Claims do not run out, because the
 * store dies with the attempts themselves.
 *
 * @throws TypeError or RangeError that names the option which is wrong.
 */
export function memoryIdempotencyStore(options: MemoryStoreOptions = {}): MemoryIdempotencyStore {
  checkKeys("memoryIdempotencyStore()", options, ["ttlMs", "maxKeys", "maxBytes", "whenFull"]);
  const { whenFull = "refuse" } = options;
  if (whenFull !== "refuse" && whenFull !== "forget") {
    throw new RangeError(`whenFull must be "refuse" or "forget", not ${JSON.stringify(whenFull)}`);
  }
  return new MemoryStore(
    checkDuration("ttlMs", options.ttlMs ?? 300_000),
    checkInteger("maxKeys", options.maxKeys ?? 250_000, 1),
    checkInteger("maxBytes", options.maxBytes ?? 128 * 1024 * 1024, 1),
    whenFull,
  );
}

class MemoryStore implements MemoryIdempotencyStore {
  readonly leaseMs: number = Number.POSITIVE_INFINITY;
  keys = 0;
  bytes = 0;
  readonly #records = new Map<string, Map<string, KeyRecord>>();
  /** Records that do not run, in the order in which they are forgotten; those before the head are gone. */
  #done: (KeyRecord | undefined)[] = [];
  #head = 0;
  readonly #ttlMs: number;
  readonly #maxKeys: number;
  readonly #maxBytes: number;
  readonly #whenFull: "refuse" | "forget";

  constructor(ttlMs: number, maxKeys: number, maxBytes: number, whenFull: "refuse" | "forget") {
    this.#ttlMs = ttlMs;
    this.#maxKeys = maxKeys;
    this.#maxBytes = maxBytes;
    this.#whenFull = whenFull;
  }

  begin(id: IdempotencyId, shape: RequestShape, now: number): Begun {
    this.#expire(now);
    const record = this.#records.get(id.identity)?.get(id.key);
    if (record === undefined) return { state: "new", claim: this.#create(id, shape) };
    if (record.outcome !== undefined) return { state: "done", shape: record.shape, outcome: record.outcome };
    if (record.state === "running") {
      return { state: "running", shape: record.shape, leaseLeftMs: Number.POSITIVE_INFINITY };
    }
    // A record of its own for each attempt: the old one waits in line to be forgotten.
    return {
      state: "new",
      claim: this.#put({ ...record, shape, state: "running", attempt: record.attempt + 1 }),
    };
  }

  complete(claim: Claim, outcome: Uint8Array, now: number): void {
    const record = this.#held(claim);
    if (record === undefined) throw new LostClaimError(claim);
    record.state = "done";
    record.outcome = outcome;
    record.expiresAt = now + this.#ttlMs;
    this.bytes += outcome.length;
    this.#done.push(record);
    // What came in before is more than what it has grown to: the oldest outcomes make room, the new one stays.
    if (this.#whenFull === "forget") {
      while (this.bytes > this.#maxBytes && this.#head < this.#done.length - 1) this.#forgetOldest();
    }
  }

  release(claim: Claim, now: number): void {
    const record = this.#held(claim);
    if (record === undefined) return;
    record.state = "free";
    record.expiresAt = now + this.#ttlMs;
    this.#done.push(record);
  }

  renew(): void {
    // Claims last as long as the process.
  }

  /** The record of a claim that still stands. */
  #held({ identity, key, attempt }: Claim): KeyRecord | undefined {
    const record = this.#records.get(identity)?.get(key);
    return record?.state === "running" && record.attempt === attempt ? record : undefined;
  }

  #create({ identity, key }: IdempotencyId, shape: RequestShape): Claim {
    const bytes = recordBytes(identity, key);
    if (this.#whenFull === "forget") {
      while (this.#isFull(bytes) && this.#head < this.#done.length) this.#forgetOldest();
    }
    if (this.#isFull(bytes)) throw full(this.keys, this.bytes);
    this.keys++;
    this.bytes += bytes;
    return this.#put({
      identity,
      key,
      attempt: 1,
      shape,
      state: "running",
      outcome: undefined,
      expiresAt: Number.POSITIVE_INFINITY,
    });
  }

  #put(record: KeyRecord): KeyRecord {
    let records = this.#records.get(record.identity);
    if (records === undefined) {
      records = new Map();
      this.#records.set(record.identity, records);
    }
    records.set(record.key, record);
    return record;
  }

  #isFull(more: number): boolean {
    return this.keys >= this.#maxKeys || this.bytes + more > this.#maxBytes;
  }

  #expire(now: number): void {
    for (;;) {
      const oldest = this.#done[this.#head];
      if (oldest === undefined || oldest.expiresAt > now) return;
      this.#forgetOldest();
    }
  }

  #forgetOldest(): void {
    const record = this.#done[this.#head] as KeyRecord;
    this.#done[this.#head++] = undefined;
    if (this.#head > 1_024 && this.#head * 2 > this.#done.length) {
      this.#done = this.#done.slice(this.#head);
      this.#head = 0;
    }
    this.#remove(record);
  }

  #remove(record: KeyRecord): void {
    const { identity, key, outcome } = record;
    const records = this.#records.get(identity);
    // A later attempt may have taken its place.
    if (records?.get(key) !== record) return;
    records.delete(key);
    if (records.size === 0) this.#records.delete(identity);
    this.keys--;
    this.bytes -= recordBytes(identity, key) + (outcome?.length ?? 0);
  }
}

function recordBytes(identity: string, key: string): number {
  return RECORD_BYTES + identity.length + key.length;
}

function full(keys: number, bytes: number): RpcError {
  return new RpcError(
    `the store of idempotency keys is full (${keys} keys, ${bytes} bytes): raise maxKeys or maxBytes, or lower ttlMs`,
    Code.ResourceExhausted,
    { executed: "no" },
  );
}
