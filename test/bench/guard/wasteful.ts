// Hawser with a client that allocates for each call what nobody needs.
import {
  BenchService,
  createBenchServiceClient,
  WatchResponseSchema,
} from "../../../gen/hawser/bench/v1/bench_hawser.js";
import type { Contender } from "../../../src/bench/contender.js";
import { createHawser } from "../../../src/bench/contenders/hawser-service.js";
import type { Transport } from "../../../src/index.js";

/** Bytes on the heap: eight for each number, and sixteen for the array and its store each. */
export const WASTED_BYTES: number = 100 * 8 + 32;

/** Keeps what is wasted, so that no compiler leaves it out. */
const kept: { last: readonly number[] } = { last: [] };

/** As the contender that is guarded, but for one thing. */
export function create(variant: string): Contender {
  return createHawser(variant, { BenchService, WatchResponseSchema }, (connection) => {
    const wasteful: Transport = {
      unary(...call) {
        kept.last = new Array<number>(100).fill(0);
        return connection.unary(...call);
      },
      stream: (...call) => connection.stream(...call),
    };
    return createBenchServiceClient(wasteful);
  });
}
