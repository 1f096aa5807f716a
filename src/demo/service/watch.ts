import { setTimeout as delay } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { WatchRequest, WatchResponseSchema } from "../../../gen/hawser/demo/v1/host_pb.js";
import type { Sampler } from "../host/sampler.js";

/** Readings are never closer than this, nor farther apart than timers reach. */
const MIN_INTERVAL_MS = 20;
const MAX_INTERVAL_MS = 3_600_000;

const DEFAULT_INTERVAL_MS = 1_000;

/** Answers a Watch call: numbered readings at a steady pace, the first one at once. */
export async function* watch(
  request: WatchRequest,
  signal: AbortSignal,
  sampler: Sampler,
): AsyncGenerator<MessageInitShape<typeof WatchResponseSchema>> {
  const wanted = request.interval === undefined ? DEFAULT_INTERVAL_MS : durationMs(request.interval);
  const intervalMs = Math.min(Math.max(wanted, MIN_INTERVAL_MS), MAX_INTERVAL_MS);
  let dueAt = performance.now();
  for (let number = 1; request.count === 0 || number <= request.count; number++) {
    yield { number: BigInt(number), reading: await sampler.read(request.maxProcesses) };
    // A reader that stopped the stream for a while gets the next reading now, and not a burst of old ones.
    dueAt = Math.max(dueAt + intervalMs, performance.now());
    if (number !== request.count) await delay(Math.max(0, dueAt - performance.now()), undefined, { signal });
  }
}
