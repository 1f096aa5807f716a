/** Many nodes over NATS: topics, messages between nodes, idempotency keys. */
export { natsBroker } from "./broker.js";
export {
  type NatsIdempotencyStore,
  type NatsIdempotencyStoreOptions,
  natsIdempotencyStore,
} from "./idempotency-store.js";
export type { NatsBrokerOptions } from "./options.js";
