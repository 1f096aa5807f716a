import { randomBytes } from "node:crypto";
import { checkInteger, checkKeys } from "../base/check.js";
import type { Broker } from "../broker/broker.js";
import { createMemoryBroker } from "../broker/memory.js";

/** How much a {@link memoryBroker} keeps. */
export interface MemoryBrokerOptions {
  /**
   * What the histories of all topics may take together, in bytes. Beyond, those that were published to the longest ago go
   * first, and their subscribers are told of a gap when they come back. Default 256 MiB.
   */
  readonly maxHistoryBytes?: number;
}

/**
 * Carries topics on one node: history is kept in this process's memory, and is gone with it. What a server has unless it is
 * given another broker.
 *
 * @throws TypeError or RangeError that names the option which is wrong.
 */
export function memoryBroker(options: MemoryBrokerOptions = {}): Broker {
  checkKeys("memoryBroker()", options, ["maxHistoryBytes"]);
  return createMemoryBroker({
    clock: () => performance.now(),
    newEpoch: () => randomBytes(9).toString("base64url"),
    maxHistoryBytes: checkInteger("maxHistoryBytes", options.maxHistoryBytes ?? 256 * 1024 * 1024, 0),
  });
}
