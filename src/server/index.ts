export {
  type MemoryIdempotencyStore,
  type MemoryStoreOptions,
  memoryIdempotencyStore,
} from "../idempotency/memory.js";
export {
  type SqliteDatabase,
  type SqliteIdempotencyStore,
  type SqliteStatement,
  type SqliteStoreOptions,
  sqliteIdempotencyStore,
} from "../idempotency/sqlite.js";
export * from "../index.js";
export type { EvictionLimit, ServerEvents } from "./events.js";
export type { AuthRequest, Logger, ServerOptions } from "./options.js";
export {
  createServer,
  type DrainOptions,
  type Listening,
  type ListenOptions,
  type Server,
} from "./server.js";
export type { ServerSession } from "./session.js";
