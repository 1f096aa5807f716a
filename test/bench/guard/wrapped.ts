import {
  BenchService,
  createBenchServiceClient,
  WatchResponseSchema,
} from "../../../gen/hawser/bench/v1/bench_hawser.js";
import type { Contender } from "../../../src/bench/contender.js";
import { createHawser } from "../../../src/bench/contenders/hawser-service.js";
import type { Transport } from "../../../src/index.js";

/** Bytes on the heap: eight for each number, and sixteen for the store. An empty array has no store, but is one. */
export const WASTED_BYTES: number = 100 * 8 + 16;

/** Keeps what is wasted, so that no compiler leaves it out. */
const kept: { last: readonly number[] } = { last: [] };

/** Hawser whose client allocates an array of so many numbers for each call. */
export function createWrapped(variant: string, numbers: number): Contender {
  return createHawser(variant, { BenchService, WatchResponseSchema }, (connection) => {
    const wasteful: Transport = {
      unary(...call) {
        kept.last = new Array<number>(numbers).fill(0);
        return connection.unary(...call);
      },
      stream: (...call) => connection.stream(...call),
    };
    return createBenchServiceClient(wasteful);
  });
}
