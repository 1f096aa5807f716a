// What a node publishes.
import { setTimeout as sleep } from "node:timers/promises";
import { Code, RpcError, type Server } from "hawser/server";
import { Counts, NODE } from "./counts.js";

/** Between two publications of a node. */
const STEP_MS = 20;
/** Until a publication that has failed is tried again. */
const AGAIN_MS = 200;

/**
 * Counts from 1 on, until it is told to stop.
 *
 * @param onAcknowledged The publication is stored: from here on it must not be lost.
 */
export async function count(
  server: Server,
  signal: AbortSignal,
  onAcknowledged: (run: string, number: number) => void,
): Promise<void> {
  const run = Date.now().toString(36);
  for (let number = 1; !signal.aborted; number++) {
    if (!(await publish(server, run, number, signal))) return;
    onAcknowledged(run, number);
    await sleep(STEP_MS);
  }
}

/** Whether the publication was stored before it was time to stop. */
async function publish(server: Server, run: string, number: number, signal: AbortSignal): Promise<boolean> {
  // The same at every attempt: what was stored without our hearing of it is not stored again.
  const id = `${NODE}-${run}-${number}`;
  while (!signal.aborted) {
    try {
      await server.publish(Counts(), { node: NODE, run, number }, { id });
      return true;
    } catch (error) {
      if (!(error instanceof RpcError) || error.code !== Code.Unavailable) throw error;
      await sleep(AGAIN_MS);
    }
  }
  return false;
}
