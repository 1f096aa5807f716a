// What is frozen of each release, as one file without dependencies: both ends as users have them, the services that they are
// tried with, and their codec of packets. `.ci/release/freeze.ts` writes it.
export { CounterService } from "../../gen/hawser/test/v1/counter_hawser.js";
export { EchoService } from "../../gen/hawser/test/v1/echo_hawser.js";
export { NoteSchema, TopicService } from "../../gen/hawser/test/v1/topics_hawser.js";
export { connect } from "../../src/client/index.js";
export {
  Code,
  createClient,
  createServer,
  defineTopic,
  errorDetail,
  memoryIdempotencyStore,
  RpcError,
} from "../../src/server/index.js";
export { connectTabs } from "../../src/tabs/index.js";
export { decodePacket } from "../../src/wire/decode.js";

/** How its links can be carried: by a WebSocket each, by HTTP requests, several by one WebSocket. */
export const ways: readonly ("websocket" | "http" | "trunk")[] = ["websocket", "http", "trunk"];
