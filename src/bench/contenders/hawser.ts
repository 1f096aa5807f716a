// Hawser with what protoc-gen-hawser generates: importing that makes its codecs known, on either side.
import { createBenchServiceClient } from "../../../gen/hawser/bench/v1/bench_hawser.js";
import type { Contender } from "../contender.js";
import { createHawser } from "./hawser-service.js";

/** See {@link createHawser}. */
export function create(variant: string): Contender {
  return createHawser(variant, createBenchServiceClient);
}
