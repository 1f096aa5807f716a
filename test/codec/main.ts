// `npm run fuzz:codecs`: holds generated codecs against protobuf-es for as many seeds as wanted, or replays one.
import { fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { describeReport, type Report, total } from "./fuzz.js";
import { findMutant, MUTANTS } from "./mutants.js";
import { describeFailure, type Failure, runSeeds, seedsFrom } from "./seeds.js";

const HELP = `Usage: npm run fuzz:codecs -- [options]

  --seed N      replays seed N; together with --seeds, where to begin
  --seeds K     tries K seeds (default 200, from 1)
  --rounds R    tries each type R times (default 4)
  --apart       runs the generator for each file by itself
  --mutants     puts bugs into generated codecs, and shows whether seeds find them
  --jobs J      in so many processes (default: one per core)
  --help

Exit code: 0 when codecs and protobuf-es agreed on everything, 1 when not, 2 for wrong arguments.
`;

/** Seeds whose code is generated together. More would only make the process larger: modules are never unloaded. */
const BATCH = 10;

/** What a process is asked to do, and then what came of it. */
interface Job {
  readonly seeds: readonly number[];
  readonly rounds: number;
  readonly apart: boolean;
}
interface Result {
  readonly reports: readonly Report[];
  readonly failures: readonly Failure[];
}

async function main(): Promise<number> {
  const options = {
    seed: { type: "string" },
    seeds: { type: "string" },
    rounds: { type: "string", default: "4" },
    jobs: { type: "string", default: String(availableParallelism()) },
    job: { type: "string" },
    apart: { type: "boolean" },
    mutants: { type: "boolean" },
    help: { type: "boolean" },
  } as const;
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>["values"];
  try {
    ({ values } = parseArgs({ options }));
    for (const name of ["seed", "seeds", "rounds", "jobs"] as const) {
      const text = values[name];
      if (
        text === undefined ||
        (Number.isSafeInteger(Number(text)) && Number(text) >= (name === "seed" ? 0 : 1))
      )
        continue;
      throw new Error(`--${name} must be a whole number${name === "seed" ? "" : " above 0"}, not "${text}"`);
    }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`);
    return 2;
  }
  if (values.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  if (values.job !== undefined) return runJob(JSON.parse(values.job) as Job);
  const rounds = Number(values.rounds);
  if (values.mutants === true) return showMutants(rounds);
  const count = values.seeds === undefined ? (values.seed === undefined ? 200 : 1) : Number(values.seeds);
  const start = performance.now();
  const all = { seeds: seedsFrom(Number(values.seed ?? 1), count), rounds, apart: values.apart === true };
  const results = await runAll(all, Number(values.jobs));
  const failures = results.flatMap((result) => result.failures).sort((a, b) => a.seed - b.seed);
  for (const failure of failures.slice(0, 5)) process.stdout.write(`${describeFailure(failure, rounds)}\n\n`);
  const seconds = ((performance.now() - start) / 1_000).toFixed(1);
  process.stdout.write(`${count} seeds, ${failures.length} failed, in ${seconds} s\n`);
  process.stdout.write(`${describeReport(total(results.flatMap(({ reports }) => reports)))}\n`);
  return failures.length === 0 ? 0 : 1;
}

/** Seeds that a bug has to be found in. */
const MUTANT_SEEDS = 10;

async function showMutants(rounds: number): Promise<number> {
  let alive = 0;
  for (const mutant of MUTANTS) {
    const found = await findMutant(mutant, seedsFrom(1, MUTANT_SEEDS), rounds);
    if (found === undefined) alive++;
    const how = found === undefined ? "NOT FOUND" : `seed ${found.seed}: ${found.message.slice(0, 160)}`;
    process.stdout.write(`${mutant.name}\n    ${how}\n`);
  }
  process.stdout.write(`${MUTANTS.length} bugs, ${MUTANTS.length - alive} found\n`);
  return alive === 0 ? 0 : 1;
}

async function runJob({ seeds, rounds, apart }: Job): Promise<number> {
  const result = await runSeeds(seeds, rounds, { apart });
  await new Promise((resolve) => process.send?.(result, resolve));
  process.disconnect?.();
  return 0;
}

/** Batches, each in a process of its own, `jobs` of them at a time. */
async function runAll({ seeds, ...rest }: Job, jobs: number): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < seeds.length) {
      const batch = seeds.slice(next, next + BATCH);
      next += BATCH;
      results.push(await inProcess({ ...rest, seeds: batch }));
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return results;
}

function inProcess(job: Job): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = fork(process.argv[1] ?? "", ["--job", JSON.stringify(job)]);
    let result: Result | undefined;
    child.once("message", (message) => {
      result = message as Result;
    });
    child.once("exit", (code, signal) => {
      const seeds = `${job.seeds[0]} to ${job.seeds.at(-1)}`;
      if (result === undefined)
        reject(new Error(`the process for the seeds ${seeds} ended with ${code ?? signal}`));
      else resolve(result);
    });
  });
}

process.exitCode = await main();
