// What can happen to a cluster.
import { setTimeout as sleep } from "node:timers/promises";
import type { Arguments } from "./arguments.js";
import type { Child } from "./child.js";
import type { Cluster } from "./cluster.js";
import { say } from "./view.js";

const POLL_MS = 50;

/** Kills a node at once, as a crash or an `OOM killer` would. */
export function kill(node: Child): void {
  say(`kill ${node.name} (SIGKILL)`);
  node.signal("SIGKILL");
}

/** Has a node end in peace, as for an update. */
export function drain(node: Child): void {
  say(`drain ${node.name} (SIGTERM)`);
  node.signal("SIGTERM");
}

/** Cuts all links. */
export function cut(cluster: Cluster): void {
  say("cut all links (nginx is reloaded)");
  cluster.cut();
}

/** Does what the user wants, as often as the user wants, until the signal. */
export function startFaults(cluster: Cluster, wanted: Arguments, signal: AbortSignal): void {
  const toNode = (what: (node: Child) => void) => () => {
    // Somebody must be there to go to.
    const ready = cluster.nodes.filter((node) => node.ready);
    const node = ready[Math.floor(Math.random() * ready.length)];
    if (node !== undefined && ready.length > 1) what(node);
  };
  const rows = [
    { seconds: wanted.kill, what: toNode(kill) },
    { seconds: wanted.drain, what: toNode(drain) },
    { seconds: wanted.cut, what: () => cut(cluster) },
  ];
  for (const { seconds, what } of rows) {
    if (seconds === undefined) continue;
    const timer = setInterval(what, seconds * 1_000);
    signal.addEventListener("abort", () => clearInterval(timer));
  }
}

/** Waits until a node that was killed or drained is back. */
export async function untilBack(node: Child, signal: AbortSignal): Promise<void> {
  while (node.ready) await sleep(POLL_MS, undefined, { signal });
  while (!node.ready) await sleep(POLL_MS, undefined, { signal });
}
