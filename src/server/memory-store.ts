import { randomBytes } from "node:crypto";
import {
  createMemoryStore,
  type MemoryIdempotencyStore,
  type MemoryStoreOptions,
} from "../idempotency/memory.js";

/**
 * Keeps idempotency keys in memory: the promise holds for as long as the process lives. Claims do not run out, because the
 * store dies with the attempts themselves.
 *
 * @throws TypeError or RangeError that names the option which is wrong.
 */
export function memoryIdempotencyStore(options: MemoryStoreOptions = {}): MemoryIdempotencyStore {
  const secret = randomBytes(8);
  return createMemoryStore(options, [secret.readInt32LE(0), secret.readInt32LE(4)]);
}
