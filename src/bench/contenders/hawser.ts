// Hawser with what protoc-gen-hawser generates, on both sides.
import {
  BenchService,
  createBenchServiceClient,
  WatchResponseSchema,
} from "../../../gen/hawser/bench/v1/bench_hawser.js";
import type { Contender } from "../contender.js";
import { createHawser } from "./hawser-service.js";

/** See {@link createHawser}. */
export function create(variant: string): Contender {
  return createHawser(variant, { BenchService, WatchResponseSchema }, createBenchServiceClient);
}
