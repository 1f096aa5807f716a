import { cpus } from "node:os";
import type { BenchArguments } from "./arguments.js";
import { bundle, missingPackage } from "./bundle.js";
import { CONTENDERS, type ContenderName } from "./contenders.js";
import { type Say, showProgress } from "./progress.js";
import type { BenchResult } from "./result.js";
import { formatNumber, type Row, type Sample, summarise } from "./rows.js";
import { measure, type Pace } from "./run.js";
import type { Scenario } from "./scenarios.js";

const QUICK: Pace = { warmUpMs: 400, measureMs: 500 };
const FULL: Pace = { warmUpMs: 700, measureMs: 1_000 };
/** Those that take part in a quick run. */
const QUICK_CONTENDERS: readonly ContenderName[] = ["net", "ws", "hawser"];

/** Measures what was chosen, contenders in turns, and shows how far it is. */
export async function measureAll(options: BenchArguments): Promise<BenchResult> {
  const date = new Date().toISOString();
  const plan = options.scenarios
    .map((scenario) => ({ scenario, names: takingPart(scenario, options) }))
    .filter(({ names }) => names.length > 0);
  const names = [...new Set(plan.flatMap(({ names }) => names))];
  const bundles = await bundle(names);
  const total = plan.reduce((sum, { names }) => sum + names.length * options.rounds, 0);
  const start = performance.now();
  const rows: Row[] = [];
  const failures: string[] = [];
  let done = 0;

  const measureScenario = async (scenario: Scenario, names: readonly ContenderName[], say: Say) => {
    const samples = new Map<ContenderName, Sample[]>(names.map((name) => [name, []]));
    for (let round = 1; round <= options.rounds; round++) {
      for (const name of names) {
        say(`round ${round} of ${options.rounds}, ${name}; ${remaining(start, done, total)}`);
        const pace = options.quick ? QUICK : FULL;
        samples
          .get(name)
          ?.push(await measure(bundles.of(name), name, CONTENDERS[name], scenario, pace, options.profile));
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

  try {
    await showProgress(
      plan.map(({ scenario, names }) => ({
        title: scenario.name,
        run: (say) => measureScenario(scenario, names, say),
      })),
    );
  } finally {
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

/** Whom a scenario measures in this run: those that were named, in a quick run those that stand for it, none whose package is missing. */
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
