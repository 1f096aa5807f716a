import { type ChildProcess, fork } from "node:child_process";
import type { ContenderInfo } from "./contenders.js";
import type { NodesArguments } from "./nodes-client.js";
import type { Sample } from "./rows.js";
import { next } from "./run.js";
import type { Scenario } from "./scenarios.js";

/** Where the parts of a deployment are, compiled. */
export interface CompiledNodes {
  /** The script of a node; one of Socket.IO starts all nodes. */
  readonly server: string;
  /** The script of the clients, and the module that it opens them by. */
  readonly client: string;
  readonly module: string;
}

/**
 * Measures a deployment once: each node in a process of its own, both clients in one.
 *
 * @param nats URL of a nats-server, for those that need it.
 * @throws Error when a process ends or does not answer.
 */
export async function measureNodes(
  { server, client, module }: CompiledNodes,
  { nodes, needs }: ContenderInfo,
  { bodyBytes }: Scenario,
  nats: string,
): Promise<Sample> {
  const { count, arguments: args } = nodes ?? { count: 1, arguments: [] };
  // Socket.IO's nodes are forked by a process of their own.
  const processes = needs === undefined ? count : 1;
  const children: ChildProcess[] = [];
  try {
    for (let i = 0; i < processes; i++) children.push(fork(server, [...args, nats]));
    const ports = (await Promise.all(children.map((child) => next<readonly number[]>(child)))).flat();
    const given = JSON.stringify({ module, ports, bodyBytes } satisfies NodesArguments);
    const clients = fork(client, [given]);
    children.push(clients);
    return await next<Sample>(clients);
  } finally {
    await Promise.all(children.map(end));
  }
}

/** They end by themselves when their parent lets go of them. */
function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
    child.once("exit", () => {
      clearTimeout(timer);
      resolve();
    });
    if (child.connected) child.disconnect();
  });
}
