import { fork } from "node:child_process";
import { Broken } from "./invariants.js";
import { generate, type Scenario } from "./scenario.js";
import { shrink } from "./shrink.js";
import { type Figures, World } from "./world.js";

/** A seed that fails. */
export interface Failure {
  readonly seed: number;
  /** Number of the invariant in the design; 0 when something else went wrong. */
  readonly invariant: number;
  readonly message: string;
}

/** What many seeds came to. */
export interface Batch {
  readonly seeds: number;
  readonly figures: Figures;
  readonly failures: readonly Failure[];
}

const NOTHING: Figures = {
  calls: 0,
  ok: 0,
  no: 0,
  unknown: 0,
  yes: 0,
  breaks: 0,
  crashes: 0,
  resumes: 0,
  losses: 0,
  virtualMs: 0,
};

/** Runs a scenario: its figures, or how it failed. */
export async function runScenario(scenario: Scenario): Promise<Figures | Failure> {
  try {
    return await new World(scenario, false).run();
  } catch (error) {
    return failureOf(scenario.seed, error);
  }
}

export function failureOf(seed: number, error: unknown): Failure {
  if (error instanceof Broken) return { seed, invariant: error.invariant, message: error.message };
  return {
    seed,
    invariant: 0,
    message: error instanceof Error ? (error.stack ?? error.message) : String(error),
  };
}

/** Runs seeds one after the other, as long as they hold and there is time. */
export async function runSeeds(
  first: number,
  count: number,
  step: number = 1,
  until: number = Number.POSITIVE_INFINITY,
): Promise<Batch> {
  let figures = NOTHING;
  let seeds = 0;
  for (; seeds < count && performance.now() < until; seeds++) {
    const result = await runScenario(generate(first + seeds * step));
    if ("message" in result) return { seeds: seeds + 1, figures, failures: [result] };
    figures = sum(figures, result);
  }
  return { seeds, figures, failures: [] };
}

/** Shrinks a failing seed to a scenario that breaks the same invariant. */
export function shrinkFailure(failure: Failure): Promise<Scenario> {
  return shrink(generate(failure.seed), async (smaller) => {
    const result = await runScenario(smaller);
    return "message" in result && result.invariant === failure.invariant;
  });
}

/** What a child process is asked to run. */
export interface Job {
  readonly first: number;
  readonly count: number;
  readonly step: number;
  /** Milliseconds from now; 0: no limit. */
  readonly forMs: number;
}

/** Runs seeds in several processes, each its share of them. */
export async function runInProcesses(
  script: string,
  first: number,
  count: number,
  jobs: number,
  forMs: number,
): Promise<Batch> {
  const shares = Array.from({ length: jobs }, (_, job): Job => {
    return { first: first + job, count: Math.ceil((count - job) / jobs), step: jobs, forMs };
  });
  const batches = await Promise.all(shares.filter((job) => job.count > 0).map((job) => runJob(script, job)));
  return {
    seeds: batches.reduce((all, { seeds }) => all + seeds, 0),
    figures: batches.map(({ figures }) => figures).reduce(sum, NOTHING),
    failures: batches.flatMap(({ failures }) => failures),
  };
}

function runJob(script: string, job: Job): Promise<Batch> {
  return new Promise((resolve, reject) => {
    const child = fork(script, ["--job", JSON.stringify(job)]);
    let batch: Batch | undefined;
    child.once("message", (message) => {
      batch = message as Batch;
    });
    child.once("exit", (code, signal) => {
      if (batch === undefined) reject(new Error(`a process of the simulation ended with ${code ?? signal}`));
      else resolve(batch);
    });
  });
}

function sum(a: Figures, b: Figures): Figures {
  const all: Record<string, number> = { ...a };
  for (const [name, value] of Object.entries(b)) all[name] = (all[name] ?? 0) + value;
  return all as unknown as Figures;
}
