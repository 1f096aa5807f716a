// What `--once` does, and what has become of the publications.
import { setTimeout as sleep } from "node:timers/promises";
import type { Child } from "./child.js";
import type { Cluster } from "./cluster.js";
import { cut, drain, kill, untilBack } from "./faults.js";
import { count } from "./view.js";
import type { Watcher } from "./watcher.js";

/** Between two faults. */
const QUIET_MS = 1_500;
/** How long it may take until something has happened that must happen. */
const PATIENCE_MS = 15_000;

/**
 * Cuts links until the client has come to another node than that of its session, kills the node with the session, then drains
 * the one with the next session.
 */
export async function runOnce(cluster: Cluster, watcher: Watcher, signal: AbortSignal): Promise<void> {
  const quiet = () => sleep(QUIET_MS, undefined, { signal });
  await quiet();
  await cutUntilRelayed(cluster, watcher, signal);
  await quiet();
  for (const fault of [kill, drain]) {
    const node = await homeOf(watcher, cluster.nodes, signal);
    fault(node);
    await untilBack(node, signal);
    await quiet();
  }
}

/** Whether everything that was acknowledged has arrived, once and in order, or a gap was told; and the text that says so. */
export async function judge(watcher: Watcher): Promise<{ readonly held: boolean; readonly text: string }> {
  const { ledger, resumed, lost } = watcher;
  // Nodes go on publishing; what they know to be stored at one moment arrives soon after it.
  for (const deadline = Date.now() + PATIENCE_MS; ledger.missing > 0 && Date.now() < deadline; )
    await sleep(5);
  const { acknowledged, missing, faults, gaps, runs } = ledger;
  const held = acknowledged > 0 && missing === 0 && faults.length === 0;
  const numbers = [
    `${acknowledged} publications acknowledged in ${count(runs, "run")} of 3 nodes`,
    `${missing} missing`,
    `${count(faults.length, "fault")} in their order`,
    `${count(gaps, "gap")} told`,
    `session resumed ${resumed} and lost ${lost} times`,
  ];
  return { held, text: [`${held ? "HELD" : "DID NOT HOLD"}: ${numbers.join(", ")}`, ...faults].join("\n  ") };
}

/** A link that is cut comes to any of the nodes: to another one than that of the session soon. */
async function cutUntilRelayed(cluster: Cluster, watcher: Watcher, signal: AbortSignal): Promise<void> {
  for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; ) {
    const { resumed } = watcher;
    cut(cluster);
    while (watcher.resumed === resumed && Date.now() < deadline) await sleep(20, undefined, { signal });
    const where = await watcher.locate();
    if (where !== undefined && where.linkNode !== where.sessionNode) return;
  }
  throw new Error("no link has come to another node than that of its session");
}

/** The node with the client's session. */
async function homeOf(watcher: Watcher, nodes: readonly Child[], signal: AbortSignal): Promise<Child> {
  for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; ) {
    const where = await watcher.locate();
    const node = nodes.find(({ name }) => name === where?.sessionNode);
    if (node !== undefined) return node;
    await sleep(20, undefined, { signal });
  }
  throw new Error("no node has answered the client");
}
