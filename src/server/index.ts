export type { PresenceMember } from "../../gen/hawser/v1/presence_pb.js";
export type { Broker } from "../broker/broker.js";
export type { CompressionOptions, CompressionProfile } from "../compression/settings.js";
export type { MemoryIdempotencyStore, MemoryStoreOptions } from "../idempotency/memory.js";
export {
  type SqliteDatabase,
  type SqliteIdempotencyStore,
  type SqliteStatement,
  type SqliteStoreOptions,
  sqliteIdempotencyStore,
} from "../idempotency/sqlite.js";
export * from "../index.js";
export type { AuthRequest } from "./authentication.js";
export type { EvictionLimit, ServerEvents } from "./events.js";
export type { Health } from "./health.js";
export type { ServerInspector } from "./inspection.js";
export type { LimitOptions } from "./limits.js";
export { type MemoryBrokerOptions, memoryBroker } from "./memory-broker.js";
export { memoryIdempotencyStore } from "./memory-store.js";
export type { Logger, ServerOptions } from "./options.js";
export {
  type AttachableServer,
  createServer,
  type DrainOptions,
  type Listening,
  type ListenOptions,
  type Server,
} from "./server.js";
export type { ServerSession } from "./session.js";
