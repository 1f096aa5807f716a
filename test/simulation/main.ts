// `npm run sim`: runs seeds of the simulation, replays one with its trace, soaks, or shows that it finds bugs.
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import {
  type Batch,
  type Failure,
  failureOf,
  type Job,
  runInProcesses,
  runSeeds,
  shrinkFailure,
} from "./batch.js";
import { describeScenario, generate, type Scenario } from "./scenario.js";
import { World } from "./world.js";

const HELP = `Usage: npm run sim -- [options]

  --seed N       replays seed N, with its trace; together with --seeds, where to begin
  --seeds K      runs K seeds (default 1000, from 1)
  --minutes M    runs seeds for M minutes
  --jobs J       in so many processes (default: one per core)
  --quiet        no trace, no shrinking
  --mutants      puts bugs into copies of the sources, and shows which of them the simulation finds
  --help

Exit code: 0 when everything held, 1 when not, 2 for wrong arguments.
`;

/** Lines of a trace that are shown: the beginning says little, the end how it failed. */
const TRACE_LINES = 400;

const out = (text: string) => process.stdout.write(`${text}\n`);

async function main(): Promise<number> {
  const options = readOptions();
  if (typeof options === "number") return options;
  const { seed, seeds, minutes, jobs, quiet, job } = options;
  if (job !== undefined) return runJob(JSON.parse(job) as Job);
  if (options.mutants) {
    const { showMutants } = await import("./mutants.js");
    return (await showMutants(out)) ? 0 : 1;
  }
  if (seed !== undefined && seeds === undefined && minutes === undefined) return replay(generate(seed));
  const start = performance.now();
  const forMs = minutes === undefined ? 0 : minutes * 60_000;
  const count = seeds ?? (minutes === undefined ? 1_000 : Number.MAX_SAFE_INTEGER);
  const script = process.argv[1] ?? "";
  const batch = await runInProcesses(script, seed ?? 1, count, jobs, forMs);
  const [failure] = [...batch.failures].sort((a, b) => a.seed - b.seed);
  if (failure !== undefined) await explain(failure, quiet);
  out(figures(batch, (performance.now() - start) / 1_000));
  return failure === undefined ? 0 : 1;
}

/** The options, or the exit code when there is nothing to run. */
function readOptions() {
  const fail = (message: string): number => {
    process.stderr.write(`${message}\n\n${HELP}`);
    return 2;
  };
  let values: Record<string, string | boolean | undefined>;
  try {
    ({ values } = parseArgs({
      options: {
        seed: { type: "string" },
        seeds: { type: "string" },
        minutes: { type: "string" },
        jobs: { type: "string" },
        job: { type: "string" },
        quiet: { type: "boolean" },
        mutants: { type: "boolean" },
        help: { type: "boolean" },
      },
    }));
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
  if (values["help"] === true) {
    process.stdout.write(HELP);
    return 0;
  }
  const numbers: Record<string, number | undefined> = {};
  for (const name of ["seed", "seeds", "minutes", "jobs"]) {
    const text = values[name];
    if (text === undefined) continue;
    const value = Number(text);
    const whole =
      name === "minutes" ? value > 0 : Number.isSafeInteger(value) && value >= (name === "seed" ? 0 : 1);
    if (!whole) return fail(`--${name} must be a number${name === "seed" ? "" : " above 0"}, not "${text}"`);
    numbers[name] = value;
  }
  return {
    seed: numbers["seed"],
    seeds: numbers["seeds"],
    minutes: numbers["minutes"],
    jobs: numbers["jobs"] ?? availableParallelism(),
    quiet: values["quiet"] === true,
    mutants: values["mutants"] === true,
    job: values["job"] as string | undefined,
  };
}

async function runJob({ first, count, step, forMs }: Job): Promise<number> {
  const until = forMs > 0 ? performance.now() + forMs : Number.POSITIVE_INFINITY;
  const batch = await runSeeds(first, count, step, until);
  await new Promise((resolve) => process.send?.(batch, resolve));
  process.disconnect?.();
  return 0;
}

/** Runs one scenario and shows what happens in it. */
async function replay(scenario: Scenario): Promise<number> {
  const world = new World(scenario, true);
  let failure: Failure | undefined;
  try {
    await world.run();
  } catch (error) {
    failure = failureOf(scenario.seed, error);
  }
  const trace = world.trace ?? [];
  out(describeScenario(scenario));
  out("\n  virtual ms  who         what");
  if (trace.length > TRACE_LINES) out(`  … ${trace.length - TRACE_LINES} lines before`);
  for (const line of trace.slice(-TRACE_LINES)) out(`  ${line}`);
  out(
    failure === undefined
      ? `\nseed ${scenario.seed}: everything held`
      : `\nseed ${scenario.seed}: ${failure.message}`,
  );
  return failure === undefined ? 0 : 1;
}

async function explain(failure: Failure, quiet: boolean): Promise<void> {
  out(`seed ${failure.seed}: ${failure.message}`);
  if (!quiet) {
    out("\nThe smallest scenario found that breaks the same:\n");
    await replay(await shrinkFailure(failure));
  }
  out(`\nReplay it with: npm run sim -- --seed ${failure.seed}\n`);
}

function figures({ seeds, figures: all, failures }: Batch, seconds: number): string {
  const hours = (all.virtualMs / 3_600_000).toFixed(1);
  return (
    `${seeds} seeds, ${failures.length} failed: ${all.calls} calls (${all.ok} ok, ${all.no} no, ${all.unknown} unknown, ` +
    `${all.yes} yes), ${all.breaks} breaks, ${all.crashes} crashes, ${all.resumes} resumes, ${all.losses} sessions lost, ` +
    `${hours} h simulated in ${seconds.toFixed(1)} s`
  );
}

process.exitCode = await main();
