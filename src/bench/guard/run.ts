import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { median, type Sample } from "../rows.js";
import type { Figure } from "./compare.js";
import { GUARD_SCENARIOS, type GuardScenario } from "./quantities.js";

const run = promisify(execFile);

const HERE: string = import.meta.dirname;

/** The contender that is guarded. */
export const HAWSER_MODULE: string = join(HERE, "../contenders/hawser.ts");

const PROCESSES = 3;
const RATIO_PROCESSES = 2;

/** Counts of the interpreter's instructions were not this far apart, on an idle machine and on a busy one. */
const INSTRUCTION_NOISE = 0.0025;

/**
 * A young generation that holds all that is allocated in a round, and compilers and a collector that work when they are asked to,
 * not when another thread has time: so a process does the same as the one before it. Buffers that another thread frees some time
 * after a collection would be taken off what the next round allocates; on a busy machine, a third of it was missing now and then.
 */
export const STEADY: readonly string[] = [
  "--expose-gc",
  "--min-semi-space-size=256",
  "--max-semi-space-size=512",
  "--no-concurrent-recompilation",
  "--no-concurrent-sparkplug",
  "--no-concurrent-array-buffer-sweeping",
];

/** What makes the interpreter's work repeatable to a few instructions. */
const INTERPRETED = ["--jitless", "--single-threaded", "--hash-seed=1", "--random-seed=1"];

/** What the guard found. */
export interface GuardRun {
  readonly figures: readonly Figure[];
  /** What this machine cannot measure, and why. */
  readonly notes: readonly string[];
}

/** What {@link measureGuard} measures. */
export interface GuardOptions {
  /** File of the contender's module. Default: Hawser as users get it. */
  readonly module?: string;
  readonly scenarios?: readonly GuardScenario[];
  /** Processes of each scenario but for ratios: how far they are apart is the noise. Default 3. */
  readonly processes?: number;
}

/**
 * Measures everything that the guard watches.
 *
 * @throws Error when a measurement breaks.
 */
export async function measureGuard(options: GuardOptions = {}): Promise<GuardRun> {
  const { module = HAWSER_MODULE, scenarios = GUARD_SCENARIOS, processes = PROCESSES } = options;
  mkdirSync(".tmp", { recursive: true });
  const folder = mkdtempSync(resolve(".tmp", "guard-"));
  try {
    const compiled = await compile(folder, module);
    const found = new Map<string, Figure[]>();
    const notes: string[] = [];
    // What does not depend on time may run side by side, the longest first.
    const order = ["instructions", "echo", "push", "idle", "codec"];
    const counted = scenarios
      .filter(({ work }) => work.kind !== "ratio")
      .sort((a, b) => order.indexOf(a.work.kind) - order.indexOf(b.work.kind));
    const next = async () => {
      for (let scenario = counted.shift(); scenario !== undefined; scenario = counted.shift()) {
        const { name, work } = scenario;
        if (work.kind !== "instructions")
          found.set(name, await repeated(compiled, STEADY, scenario, processes));
        else {
          const { figures, note } = await countInstructions(compiled, name, work);
          found.set(name, figures);
          if (note !== undefined) notes.push(note);
        }
      }
    };
    await Promise.all([next(), next()]);
    for (const scenario of scenarios)
      if (scenario.work.kind === "ratio")
        found.set(scenario.name, await repeated(compiled, [], scenario, RATIO_PROCESSES));
    return { figures: scenarios.flatMap(({ name }) => found.get(name) ?? []), notes };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface CompiledProbe {
  readonly script: string;
  readonly module: string;
}

/** As users' code is compiled, so that what is measured is what runs in the end. */
async function compile(outdir: string, module: string): Promise<CompiledProbe> {
  await build({
    entryPoints: { probe: join(HERE, "probe.ts"), contender: module },
    outdir,
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    target: "es2023",
    packages: "external",
    logLevel: "error",
  });
  return {
    script: join(outdir, "probe.js"),
    module: pathToFileURL(join(outdir, "contender.js")).href,
  };
}

function commandOf({ script, module }: CompiledProbe, flags: readonly string[], work: unknown): string[] {
  return [...flags, script, JSON.stringify({ work, module })];
}

/** One process after the other. */
async function repeated(
  compiled: CompiledProbe,
  flags: readonly string[],
  { name, work }: GuardScenario,
  processes: number,
): Promise<Figure[]> {
  const samples: Sample[] = [];
  while (samples.length < processes) {
    const { stdout } = await run(process.execPath, commandOf(compiled, flags, work));
    samples.push(JSON.parse(stdout) as Sample);
  }
  return Object.keys(samples[0] ?? {}).map((quantity) => {
    const values = samples.map((sample) => sample[quantity] ?? Number.NaN);
    const value = median(values);
    if (!Number.isFinite(value)) throw new Error(`${name} has no ${quantity}`);
    const noise = (Math.max(...values) - Math.min(...values)) / Math.abs(value);
    return { scenario: name, quantity, value, noise };
  });
}

/** Instructions per call: what more calls take, so that starting does not count. */
async function countInstructions(
  compiled: CompiledProbe,
  scenario: string,
  work: GuardScenario["work"] & { kind: "instructions" },
): Promise<{ readonly figures: Figure[]; readonly note?: string }> {
  const total = async (amount: number) => {
    const cachegrind = ["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"];
    const command = commandOf(compiled, INTERPRETED, { ...work, amount });
    const { stderr } = await run("valgrind", [...cachegrind, process.execPath, ...command]);
    const [, count] = /I +refs: +([\d,]+)/.exec(stderr) ?? [];
    if (count === undefined) throw new Error(`valgrind counted nothing: ${stderr}`);
    return Number(count.replaceAll(",", ""));
  };
  try {
    const few = work.amount / 8;
    const value = ((await total(work.amount)) - (await total(few))) / (work.amount - few);
    return { figures: [{ scenario, quantity: "instructions", value, noise: INSTRUCTION_NOISE }] };
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== "ENOENT") throw error;
    const note = "Instructions are not counted: valgrind is not installed (Debian package valgrind).";
    return { figures: [], note };
  }
}
