// Hawser with what protoc-gen-es generates alone: messages are encoded by protobuf-es.
import { BenchService, WatchResponseSchema } from "../../../gen/hawser/bench/v1/bench_pb.js";
import { createClient } from "../../client/index.js";
import type { Contender } from "../contender.js";
import { createHawser } from "./hawser-service.js";

/** See {@link createHawser}. */
export function create(variant: string): Contender {
  const schema = { BenchService, WatchResponseSchema };
  return createHawser(variant, schema, (connection) => createClient(BenchService, connection));
}
