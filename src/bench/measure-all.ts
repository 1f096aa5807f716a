import { cpus } from "node:os";
import type { BenchArguments } from "./arguments.js";
import { type Bundles, bundle, missingPackage } from "./bundle.js";
import { CONTENDERS, type ContenderName } from "./contenders.js";
import { FOREIGN_PERCENT } from "./foreign.js";
import { startNats } from "./nats-server.js";
import { measureNodes } from "./nodes.js";
import { type Say, showProgress } from "./progress.js";
import type { BenchResult } from "./result.js";
import { formatNumber, type Row, type Sample, summarise } from "./rows.js";
import { measure, type Pace } from "./run.js";
import type { Scenario } from "./scenarios.js";

const QUICK: Pace = { warmUpMs: 750, measureMs: 250 };
const FULL: Pace = { warmUpMs: 700, measureMs: 1_000 };
/** Those that take part in a quick run. */
const QUICK_CONTENDERS: readonly ContenderName[] = ["net", "ws", "hawser"];

/** A scenario, and whom it measures in this run. */
interface Part {
  readonly scenario: Scenario;
  readonly names: readonly ContenderName[];
}

/** Measures what was chosen, contenders in turns, and shows how far it is. */
export async function measureAll(options: BenchArguments): Promise<BenchResult> {
  const date = new Date().toISOString();
  const plan: readonly Part[] = options.scenarios
    .map((scenario) => ({ scenario, names: takingPart(scenario, options) }))
    .filter(({ names }) => names.length > 0);
  const names = [...new Set(plan.flatMap(({ names }) => names))];
  const needsNats = plan.some(({ scenario }) => scenario.measurement.kind === "nodes");
  const started = needsNats && options.nats === undefined ? await startNats() : undefined;
  const bundles = await bundle(names);
  const failures: string[] = [];
  let rows: readonly Row[];
  try {
    rows = await measurePlan(plan, options, bundles, options.nats ?? started?.url, failures);
  } finally {
    started?.stop();
    bundles.remove();
  }
  const machine = cpus();
  return {
    node: process.version,
    cpu: machine[0]?.model ?? "unknown CPU",
    cpus: machine.length,
    platform: `${process.platform} ${process.arch}`,
    date,
    quick: options.quick,
    rounds: options.rounds,
    contenders: Object.fromEntries(names.map((name) => [name, CONTENDERS[name].settings])),
    failures,
    rows,
  };
}

async function measurePlan(
  plan: readonly Part[],
  options: BenchArguments,
  bundles: Bundles,
  nats: string | undefined,
  failures: string[],
): Promise<readonly Row[]> {
  const { rounds, quick, profile } = options;
  const total = plan.reduce((sum, { names }) => sum + names.length * rounds, 0);
  const start = performance.now();
  const rows: Row[] = [];
  let done = 0;

  const measureOne = async (scenario: Scenario, name: ContenderName): Promise<Sample> => {
    const info = CONTENDERS[name];
    if (info.nodes === undefined)
      return leastDisturbed(quick ? 2 : 3, () =>
        measure(bundles.of(name), name, info, scenario, quick ? QUICK : FULL, profile),
      );
    if (nats === undefined) throw new Error("no nats-server is installed; install one, or give --nats URL");
    return measureNodes(bundles.nodesOf(name), info, scenario, nats);
  };

  const measureScenario = async ({ scenario, names }: Part, say: Say): Promise<string> => {
    const samples = new Map<ContenderName, Sample[]>(names.map((name) => [name, []]));
    for (let round = 1; round <= rounds; round++) {
      for (const name of names) {
        say(`round ${round} of ${rounds}, ${name}; ${remaining(start, done, total)}`);
        try {
          samples.get(name)?.push(await measureOne(scenario, name));
        } catch (error) {
          // The others go on: a run is long.
          const reason = error instanceof Error ? error.message : String(error);
          failures.push(`${scenario.name}, ${name}: ${reason}`);
        }
        done++;
      }
    }
    const found = [...samples].flatMap(([name, all]) => summarise(scenario.name, name, all));
    rows.push(...found);
    return found
      .filter(({ metric }) => metric === scenario.headline)
      .map(({ contender, median, unit }) => `${contender} ${formatNumber(median)} ${unit}`)
      .join(", ");
  };

  const steps = plan.map((part) => ({
    title: part.scenario.name,
    run: (say: Say) => measureScenario(part, say),
  }));
  await showProgress(steps);
  return rows;
}

/** Measures again when other processes took much of the CPU meanwhile, and keeps the attempt with the least of that. */
async function leastDisturbed(attempts: number, attempt: () => Promise<Sample>): Promise<Sample> {
  const foreign = (sample: Sample) => sample["foreignCpuPercent"] ?? 0;
  let best = await attempt();
  for (let i = 1; i < attempts && foreign(best) > FOREIGN_PERCENT; i++) {
    const another = await attempt();
    if (foreign(another) < foreign(best)) best = another;
  }
  return best;
}

/** Those that were named, in a quick run those that stand for it, none whose package is missing. */
function takingPart(scenario: Scenario, options: BenchArguments): readonly ContenderName[] {
  const named = options.contenders.length > 0;
  const narrow = options.quick && scenario.quick === true && !named;
  return scenario.contenders.filter(
    (name) =>
      (!named || options.contenders.includes(name)) &&
      (!narrow || QUICK_CONTENDERS.includes(name)) &&
      missingPackage(name) === undefined,
  );
}

function remaining(start: number, done: number, total: number): string {
  if (done === 0) return `${total} measurements to go`;
  const seconds = (((performance.now() - start) / done) * (total - done)) / 1_000;
  const time = seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
  return `${done} of ${total} done, about ${time} left`;
}
