import { type ChildProcess, fork } from "node:child_process";
import type { Outcome, Task } from "./process.js";
import type { Scenario } from "./scenarios.js";

/** One measurement of one contender. */
export interface Sample {
  /** The scenario's headline number, in its unit. */
  readonly value: number;
  /** Server CPU per call or message, in microseconds. */
  readonly serverCpuUs: number;
  readonly clientCpuUs: number;
}

/** Where profiles go, if any are wanted. */
export interface ProfileOptions {
  readonly folder: string;
}

/** Measures a contender once: server and client in processes of their own, one connection. */
export async function measure(
  script: string,
  contender: string,
  scenario: Scenario,
  profile: ProfileOptions | undefined,
): Promise<Sample> {
  const server = start(script, ["server", contender], profile, `server-${contender}`);
  try {
    const { port } = await next<{ port: number }>(server);
    const client = start(
      script,
      ["client", contender, String(port), String(scenario.bodyBytes)],
      profile,
      `client-${contender}`,
    );
    try {
      await next(client);
      await work(client, scenario.warmUp);
      const before = await cpu(server);
      const outcome = await work(client, scenario.task);
      const after = await cpu(server);
      const count = scenario.task.kind === "echo" ? scenario.task.calls : scenario.task.messages;
      return {
        value: scenario.unit === "p50 µs" ? (outcome.p50Us ?? Number.NaN) : (count * 1000) / outcome.ms,
        serverCpuUs: ((after - before) * 1000) / count,
        clientCpuUs: (outcome.cpuMs * 1000) / count,
      };
    } finally {
      await stop(client);
    }
  } finally {
    await stop(server);
  }
}

/** The middle one of some numbers. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

function start(
  script: string,
  args: string[],
  profile: ProfileOptions | undefined,
  name: string,
): ChildProcess {
  const execArgv =
    profile === undefined
      ? []
      : [
          "--cpu-prof",
          `--cpu-prof-dir=${profile.folder}`,
          `--cpu-prof-name=${name.replaceAll(" ", "-")}.cpuprofile`,
        ];
  return fork(script, args, { execArgv });
}

function next<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) =>
      reject(new Error(`a process of the benchmark ended with ${code}`));
    child.once("exit", onExit);
    child.once("message", (message) => {
      child.off("exit", onExit);
      resolve(message as T);
    });
  });
}

function work(client: ChildProcess, task: Task): Promise<Outcome> {
  client.send(task);
  return next<Outcome>(client);
}

async function cpu(server: ChildProcess): Promise<number> {
  server.send("cpu");
  return (await next<{ cpuMs: number }>(server)).cpuMs;
}

function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    if (child.connected) child.disconnect();
  });
}
