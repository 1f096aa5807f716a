import { type ChildProcess, fork } from "node:child_process";
import type { ContenderInfo } from "./contenders.js";
import { watchForeign } from "./foreign.js";
import type { Sample } from "./rows.js";
import type { Scenario } from "./scenarios.js";
import type { Outcome, ProcessArguments, Question, ServerCpu, ServerMemory, Task } from "./task.js";

/** How long things take, in milliseconds. */
export interface Pace {
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** Where the parts of a contender are, compiled. */
export interface Compiled {
  /** The script of both processes. */
  readonly script: string;
  /** URL of the contender's module. */
  readonly module: string;
}

/** A process that has not answered after this many milliseconds will not answer any more. */
const ANSWER_TIMEOUT_MS = 60_000;
/** What was under way settles: handshakes of the last connections, and what the collector has put off. */
const SETTLE_MS = 500;
/** Connections before those that are measured: what the first ones need once is not theirs alone. */
const FIRST_CONNECTIONS = 200;

/**
 * Measures a contender once: a server and a client in processes of their own.
 *
 * @param profileFolder Where both processes leave a CPU profile, if that is wanted.
 * @throws Error when a process ends or does not answer.
 */
export async function measure(
  { script, module }: Compiled,
  name: string,
  info: ContenderInfo,
  scenario: Scenario,
  pace: Pace,
  profileFolder: string | undefined,
): Promise<Sample> {
  const start = (given: ProcessArguments) => {
    const profileName = `${name}-${given.role}-${scenario.name}.cpuprofile`;
    const profile =
      profileFolder === undefined
        ? []
        : ["--cpu-prof", `--cpu-prof-dir=${profileFolder}`, `--cpu-prof-name=${profileName}`];
    return fork(script, [JSON.stringify(given)], { execArgv: ["--expose-gc", ...profile] });
  };
  const { bodyBytes, body = "numbers" } = scenario;
  const variant = info.variant ?? "";
  const server = start({ role: "server", module, variant });
  try {
    const { port } = await next<{ port: number }>(server);
    const client = start({ role: "client", module, variant, port, bodyBytes, body });
    try {
      await next(client);
      return await measureBetween(server, client, scenario, pace);
    } finally {
      await stop(client);
    }
  } finally {
    await stop(server);
  }
}

async function measureBetween(
  server: ChildProcess,
  client: ChildProcess,
  { measurement }: Scenario,
  pace: Pace,
): Promise<Sample> {
  const work = (task: Task) => ask<Outcome>(client, task);
  const { kind } = measurement;
  if (kind === "rate") {
    const warm = await work({ kind: "warmUp", work: measurement.work, ms: pace.warmUpMs });
    const { work: what, unit } = measurement;
    const lanes = what.kind === "echo" ? what.connections * what.depth : 1;
    const amount = Math.max(lanes, Math.ceil(((warm.perMs ?? 0) * pace.measureMs) / lanes) * lanes);
    const foreign = watchForeign();
    const before = await ask<ServerCpu>(server, "cpu");
    const outcome = await work({ kind: "run", work: what, amount });
    const after = await ask<ServerCpu>(server, "cpu");
    const foreignCpuPercent = foreign.percent(after.cpuMs - before.cpuMs + outcome.cpuMs);
    const count = what.kind === "fanOut" ? amount * what.connections : amount;
    const [many, one] = NAMES[unit];
    return {
      [`${many}PerSecond`]: (count * 1_000) / outcome.ms,
      ...(outcome.latency === undefined
        ? {}
        : { p50Micros: outcome.latency.p50, p99Micros: outcome.latency.p99 }),
      ...costs(one, count, before, after, outcome),
      serverRssBytes: after.rssBytes,
      foreignCpuPercent,
    };
  }
  if (kind === "idle") {
    const { connections, calls, subscribed } = measurement;
    const open = (count: number): Task =>
      subscribed
        ? { kind: "watch", connections: count }
        : { kind: "hold", connections: count, calls, reconnecting: false };
    await work(open(FIRST_CONNECTIONS));
    await settle();
    const before = await ask<ServerMemory>(server, "memory");
    await work(open(connections));
    await settle();
    const after = await ask<ServerMemory>(server, "memory");
    const each = (key: keyof ServerMemory) => (after[key] - before[key]) / connections;
    return {
      heapBytesPerConnection: each("heapBytes"),
      rssBytesPerConnection: each("rssBytes"),
      externalBytesPerConnection: each("externalBytes"),
    };
  }
  if (kind === "nodes") throw new Error("a deployment is measured by nodes.ts");
  const { connections } = measurement;
  if (kind === "connect") await work({ kind: "storm", connections: FIRST_CONNECTIONS });
  else await work({ kind: "hold", connections, calls: 1, reconnecting: true });
  const before = await ask<ServerCpu>(server, "cpu");
  let outcome: Outcome;
  let ms: number;
  if (kind === "connect") {
    outcome = await work({ kind: "storm", connections });
    ms = outcome.ms;
  } else {
    await ask(client, { kind: "recover" });
    const start = performance.now();
    tell(server, "cut");
    outcome = await next<Outcome>(client);
    ms = performance.now() - start;
  }
  const after = await ask<ServerCpu>(server, "cpu");
  return {
    connectionsPerSecond: (connections * 1_000) / ms,
    ...costs("Connection", connections, before, after, outcome),
  };
}

const NAMES = {
  call: ["calls", "Call"],
  message: ["messages", "Message"],
  delivery: ["deliveries", "Delivery"],
} as const;

function costs(one: string, count: number, before: ServerCpu, after: ServerCpu, outcome: Outcome): Sample {
  return {
    [`serverCpuMicrosPer${one}`]: ((after.cpuMs - before.cpuMs) * 1_000) / count,
    [`clientCpuMicrosPer${one}`]: (outcome.cpuMs * 1_000) / count,
    [`wireBytesPer${one}`]: (after.traffic - before.traffic) / count,
  };
}

const settle = () => new Promise((resolve) => setTimeout(resolve, SETTLE_MS));

function tell(child: ChildProcess, message: Task | Question): void {
  child.send(message);
}

function ask<Answer>(child: ChildProcess, message: Task | Question): Promise<Answer> {
  tell(child, message);
  return next<Answer>(child);
}

/**
 * The next message of a process.
 *
 * @throws Error when it ends before that, or does not answer in time.
 */
export function next<Answer>(child: ChildProcess): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const settled = () => {
      clearTimeout(timer);
      child.off("exit", onExit);
      child.off("message", onMessage);
    };
    const onExit = (code: number | null, signal: string | null) => {
      settled();
      reject(new Error(`a process of the benchmark ended with ${code ?? signal}`));
    };
    const onMessage = (message: unknown) => {
      settled();
      resolve(message as Answer);
    };
    const timer = setTimeout(() => {
      settled();
      child.kill("SIGKILL");
      reject(new Error(`a process of the benchmark did not answer within ${ANSWER_TIMEOUT_MS / 1_000} s`));
    }, ANSWER_TIMEOUT_MS);
    child.once("exit", onExit);
    child.once("message", onMessage);
  });
}

function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
    child.once("exit", () => {
      clearTimeout(timer);
      resolve();
    });
    if (child.connected) child.disconnect();
  });
}
