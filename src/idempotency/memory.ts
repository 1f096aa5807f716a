import { checkDuration, checkInteger, checkKeys } from "../base/check.js";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import { DoneRing } from "./done-ring.js";
import { type HashSecret, PackedId } from "./packed-id.js";
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

/** What a key that runs costs beside its text: objects and map entries (Node 24, measured). */
const RUNNING_BYTES = 480;

/** A key that runs, or whose attempt has given up. */
interface OpenKey extends Claim {
  readonly hash: number;
  /** Another key with this hash. */
  next: OpenKey | undefined;
  readonly shape: RequestShape;
  /** `Infinity` while the attempt runs; after it gave up, when that is forgotten. */
  expiresAt: number;
}

/**
 * Keeps idempotency keys in memory: the promise holds for as long as the process lives. Claims do not run out, because the
 * store dies with the attempts themselves.
 *
 * @param secret for the hashes of keys
 * @throws TypeError or RangeError that names the option which is wrong.
 */
export function createMemoryStore(options: MemoryStoreOptions, secret: HashSecret): MemoryIdempotencyStore {
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
    secret,
  );
}

class MemoryStore implements MemoryIdempotencyStore {
  readonly leaseMs: number = Number.POSITIVE_INFINITY;
  readonly #done = new DoneRing();
  readonly #packed: PackedId;
  /** What `#packed` is at the moment. */
  #packedKey: OpenKey | undefined;
  /** The key that began last: most end before another one begins, and need no table. */
  #latest: OpenKey | undefined;
  /** The other keys that run, by hash: numbers are found faster than texts. */
  readonly #running = new Map<number, OpenKey>();
  /** Keys whose attempt has given up, in the order in which they are forgotten. */
  readonly #free = new Map<string, OpenKey>();
  #runningKeys = 0;
  #runningBytes = 0;
  readonly #ttlMs: number;
  readonly #maxKeys: number;
  readonly #maxBytes: number;
  readonly #whenFull: "refuse" | "forget";

  constructor(
    ttlMs: number,
    maxKeys: number,
    maxBytes: number,
    whenFull: "refuse" | "forget",
    secret: HashSecret,
  ) {
    this.#packed = new PackedId(secret);
    this.#ttlMs = ttlMs;
    this.#maxKeys = maxKeys;
    this.#maxBytes = maxBytes;
    this.#whenFull = whenFull;
  }

  get keys(): number {
    return this.#done.size + this.#runningKeys + this.#free.size;
  }

  get bytes(): number {
    return this.#done.bytes + this.#runningBytes + this.#free.size * RUNNING_BYTES;
  }

  begin(id: IdempotencyId, shape: RequestShape, now: number): Begun {
    this.#expire(now);
    this.#packedKey = undefined;
    this.#packed.pack(id);
    const { hash } = this.#packed;
    if (this.#latest !== undefined) this.#file(this.#latest);
    for (let open = this.#running.get(hash); open !== undefined; open = open.next) {
      if (!isSame(open, id)) continue;
      return { state: "running", shape: open.shape, leaseLeftMs: Number.POSITIVE_INFINITY };
    }
    const done = this.#done.get(this.#packed);
    if (done !== undefined) return { state: "done", shape: done.shape, outcome: done.outcome };
    const free = this.#free.size === 0 ? undefined : this.#free.get(freeName(id));
    if (free !== undefined) this.#free.delete(freeName(id));
    else this.#makeRoom(runningBytes(id));
    const { identity, key } = id;
    const attempt = (free?.attempt ?? 0) + 1;
    const claim: OpenKey = {
      identity,
      key,
      attempt,
      hash,
      next: undefined,
      shape,
      expiresAt: Number.POSITIVE_INFINITY,
    };
    this.#latest = claim;
    this.#packedKey = claim;
    this.#runningKeys++;
    this.#runningBytes += runningBytes(claim);
    return { state: "new", claim };
  }

  complete(claim: Claim, outcome: Uint8Array, now: number): void {
    const running = this.#take(claim);
    if (running === undefined) throw new LostClaimError(claim);
    if (this.#packedKey !== running) this.#packed.pack(running);
    this.#packedKey = undefined;
    this.#done.add(this.#packed, running.shape, outcome, now + this.#ttlMs);
    // The oldest outcomes make room for one that is larger than what was free; the newest stays.
    if (this.#whenFull === "forget") {
      while (this.bytes > this.#maxBytes && this.#done.size > 1) this.#done.forgetOldest();
    }
  }

  release(claim: Claim, now: number): void {
    const running = this.#take(claim);
    if (running === undefined) return;
    running.expiresAt = now + this.#ttlMs;
    this.#free.set(freeName(claim), running);
  }

  renew(): void {
    // Claims last as long as the process.
  }

  /** Takes a key that runs out of its table, if the claim is the one that runs. */
  #take(claim: Claim): OpenKey | undefined {
    const latest = this.#latest;
    if (latest !== undefined && claim === latest) {
      this.#latest = undefined;
      this.#runningKeys--;
      this.#runningBytes -= runningBytes(latest);
      return latest;
    }
    if (latest !== undefined) this.#file(latest);
    const hash = (claim as Partial<OpenKey>).hash ?? this.#hashOf(claim);
    let before: OpenKey | undefined;
    let open = this.#running.get(hash);
    while (open !== undefined && !isSame(open, claim)) {
      before = open;
      open = open.next;
    }
    if (open?.attempt !== claim.attempt) return undefined;
    if (before !== undefined) before.next = open.next;
    else if (open.next !== undefined) this.#running.set(hash, open.next);
    else this.#running.delete(hash);
    open.next = undefined;
    this.#runningKeys--;
    this.#runningBytes -= runningBytes(open);
    return open;
  }

  #hashOf(id: IdempotencyId): number {
    this.#packedKey = undefined;
    this.#packed.pack(id);
    return this.#packed.hash;
  }

  /** Puts the latest key into the table. */
  #file(latest: OpenKey): void {
    latest.next = this.#running.get(latest.hash);
    this.#running.set(latest.hash, latest);
    this.#latest = undefined;
  }

  #makeRoom(more: number): void {
    if (!this.#isFull(more)) return;
    if (this.#whenFull === "forget")
      while (this.#isFull(more) && this.#done.size > 0) this.#done.forgetOldest();
    if (this.#isFull(more)) throw full(this.keys, this.bytes);
  }

  #isFull(more: number): boolean {
    return this.keys >= this.#maxKeys || this.bytes + more > this.#maxBytes;
  }

  #expire(now: number): void {
    while (this.#done.oldestExpiry <= now) this.#done.forgetOldest();
    if (this.#free.size === 0) return;
    for (const [name, { expiresAt }] of this.#free) {
      if (expiresAt > now) return;
      this.#free.delete(name);
    }
  }
}

function isSame(a: IdempotencyId, b: IdempotencyId): boolean {
  return a.key === b.key && a.identity === b.identity;
}

function runningBytes({ identity, key }: IdempotencyId): number {
  return RUNNING_BYTES + 2 * (identity.length + key.length);
}

/** One name for both parts, which no other two parts have. */
function freeName({ identity, key }: IdempotencyId): string {
  return `${identity.length} ${identity}${key}`;
}

function full(keys: number, bytes: number): RpcError {
  return new RpcError(
    `the store of idempotency keys is full (${keys} keys, ${bytes} bytes): raise maxKeys or maxBytes, or lower ttlMs`,
    Code.ResourceExhausted,
    { executed: "no" },
  );
}
