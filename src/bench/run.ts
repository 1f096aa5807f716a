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
  /** Bytes on the wire per call or message, both ways. */
  readonly wireBytes: number;
}

/** A process that has not answered after this many milliseconds will not answer any more. */
const ANSWER_TIMEOUT_MS = 120_000;

/**
 * Measures a contender once: server and client in processes of their own, one connection.
 *
 * @param script The bundle of `process.ts`.
 * @param profileFolder Where both processes leave a CPU profile, if that is wanted.
 * @throws Error when a process ends or does not answer.
 */
export async function measure(
  script: string,
  contender: string,
  scenario: Scenario,
  profileFolder: string | undefined,
): Promise<Sample> {
  const profile = (role: string) =>
    profileFolder === undefined
      ? []
      : [
          "--cpu-prof",
          `--cpu-prof-dir=${profileFolder}`,
          `--cpu-prof-name=${slug(contender, role, scenario.name)}`,
        ];
  const server = fork(script, ["server", contender], { execArgv: ["--expose-gc", ...profile("server")] });
  try {
    const { port } = await next<{ port: number }>(server);
    const client = fork(
      script,
      ["client", contender, String(port), String(scenario.bodyBytes), scenario.body ?? "numbers"],
      {
        execArgv: profile("client"),
      },
    );
    try {
      await next(client);
      await work(client, scenario.warmUp);
      const { task } = scenario;
      const holds = task.kind === "hold" || task.kind === "watch";
      const memoryBefore = holds ? await memory(server) : 0;
      const before = await cpu(server);
      const outcome = await work(client, task);
      const after = await cpu(server);
      const count =
        task.kind === "echo"
          ? task.calls
          : task.kind === "push"
            ? task.messages
            : task.kind === "fanOut"
              ? task.messages * task.connections
              : task.connections;
      if (holds) {
        // What was under way settles: handshakes of the last connections, and what the collector has put off.
        await new Promise((resolve) => setTimeout(resolve, 500));
        return {
          value: ((await memory(server)) - memoryBefore) / count,
          serverCpuUs: ((after.cpuMs - before.cpuMs) * 1000) / count,
          clientCpuUs: (outcome.cpuMs * 1000) / count,
          wireBytes: (after.traffic - before.traffic) / count,
        };
      }
      return {
        value: scenario.unit === "p50 µs" ? (outcome.p50Us ?? Number.NaN) : (count * 1000) / outcome.ms,
        serverCpuUs: ((after.cpuMs - before.cpuMs) * 1000) / count,
        clientCpuUs: (outcome.cpuMs * 1000) / count,
        wireBytes: (after.traffic - before.traffic) / count,
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

/** Name of a profile's file, as in `hawser-server-unary-1-in-flight-32-b.cpuprofile`. */
function slug(...words: string[]): string {
  return `${words
    .join(" ")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")}.cpuprofile`;
}

function next<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      clearTimeout(timer);
      child.off("exit", onExit);
      child.off("message", onMessage);
    };
    const onExit = (code: number | null, signal: string | null) => {
      settle();
      reject(new Error(`a process of the benchmark ended with ${code ?? signal}`));
    };
    const onMessage = (message: unknown) => {
      settle();
      resolve(message as T);
    };
    const timer = setTimeout(() => {
      settle();
      child.kill("SIGKILL");
      reject(new Error(`a process of the benchmark did not answer within ${ANSWER_TIMEOUT_MS / 1000} s`));
    }, ANSWER_TIMEOUT_MS);
    child.once("exit", onExit);
    child.once("message", onMessage);
  });
}

function work(client: ChildProcess, task: Task): Promise<Outcome> {
  client.send(task);
  return next<Outcome>(client);
}

async function cpu(server: ChildProcess): Promise<{ readonly cpuMs: number; readonly traffic: number }> {
  server.send("cpu");
  return next(server);
}

async function memory(server: ChildProcess): Promise<number> {
  server.send("memory");
  return (await next<{ bytes: number }>(server)).bytes;
}

function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    if (child.connected) child.disconnect();
  });
}
