// `npm run bench`: Hawser beside raw `ws`, in one run, medians and ratios. It reports; it never fails on a speed.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { table } from "table";
import { bundleProcess } from "./bundle.js";
import { WITHOUT_RELIABILITY } from "./contenders.js";
import { measure, median, type Sample } from "./run.js";
import { type Scenario, scenarios } from "./scenarios.js";

const HELP = `npm run bench -- [options]

  --rounds N      measurements of each contender, alternating; the median counts (default 3)
  --quick         a tenth of the calls: for a look, not for a figure
  --scenario TEXT only the scenarios whose name contains this
  --json FILE     writes all samples as JSON
  --profile DIR   writes a CPU profile of every process into this folder, of the last round
  --help          this text`;

interface Row {
  readonly scenario: string;
  readonly unit: string;
  readonly aim: string;
  readonly contenders: readonly string[];
  readonly samples: Readonly<Record<string, readonly Sample[]>>;
}

function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        rounds: { type: "string", default: "3" },
        quick: { type: "boolean", default: false },
        scenario: { type: "string", default: "" },
        json: { type: "string" },
        profile: { type: "string" },
        help: { type: "boolean", default: false },
      },
    });
    const rounds = Number(values.rounds);
    if (!Number.isInteger(rounds) || rounds < 1)
      throw new Error(`--rounds must be a whole number from 1 up, not ${values.rounds}`);
    return { ...values, rounds };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    process.exit(2);
  }
}

async function measureAll(
  scriptOf: (contender: string) => string,
  chosen: readonly Scenario[],
  rounds: number,
  profile: string | undefined,
) {
  const rows: Row[] = [];
  for (const scenario of chosen) {
    const { contenders } = scenario;
    const samples: Record<string, Sample[]> = Object.fromEntries(contenders.map((name) => [name, []]));
    for (let round = 1; round <= rounds; round++) {
      for (const name of contenders) {
        progress(`${scenario.name}: round ${round} of ${rounds}, ${name}`);
        samples[name]?.push(await measure(scriptOf(name), name, scenario, profile));
      }
    }
    rows.push({ scenario: scenario.name, unit: scenario.unit, aim: scenario.aim, contenders, samples });
  }
  progress("");
  return rows;
}

/** Says on a terminal what is under way, always on the same line. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${text.padEnd(79)}\r`);
}

/** Medians of all contenders, and their ratio to the first of their scenario. */
function print(rows: readonly Row[]): void {
  const header = [
    "scenario",
    "contender",
    "median",
    "ratio",
    "server CPU µs",
    "ratio",
    "client CPU µs",
    "wire B",
    "ratio",
    "aim",
  ];
  const cells = rows.flatMap(({ scenario, unit, aim, contenders, samples }) => {
    const [baseline = ""] = contenders;
    const middle = (name: string, key: keyof Sample) =>
      median((samples[name] ?? []).map((sample) => sample[key]));
    return contenders.map((name, index) => {
      const ratio = (key: keyof Sample) => (middle(name, key) / middle(baseline, key)).toFixed(2);
      const value = middle(name, "value");
      return [
        index === 0 ? scenario : "",
        name,
        `${value >= 1000 ? Math.round(value).toLocaleString("en") : value.toFixed(1)} ${unit}`,
        ratio("value"),
        middle(name, "serverCpuUs").toFixed(2),
        ratio("serverCpuUs"),
        middle(name, "clientCpuUs").toFixed(2),
        middle(name, "wireBytes").toFixed(0),
        ratio("wireBytes"),
        index === 0 ? "" : aim,
      ];
    });
  });
  console.log(
    `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}, loopback, one connection`,
  );
  console.log(
    table([header, ...cells], {
      columns: Object.fromEntries(
        [2, 3, 4, 5, 6, 7, 8].map((index) => [index, { alignment: "right" as const }]),
      ),
      // Between scenarios.
      drawHorizontalLine: (index, count) => index <= 1 || index === count || cells[index - 1]?.[0] !== "",
    }),
  );
}

const options = readArguments();
if (options.help) {
  console.log(HELP);
  process.exit(0);
}
const chosen = scenarios(options.quick ? 0.1 : 1).filter(({ name }) => name.includes(options.scenario));
if (chosen.length === 0) {
  console.error(
    `no scenario contains "${options.scenario}"; there are: ${scenarios(1)
      .map(({ name }) => name)
      .join("; ")}`,
  );
  process.exit(2);
}
if (options.profile !== undefined) mkdirSync(options.profile, { recursive: true });

// All contenders run compiled, as their users run them.
mkdirSync(".tmp", { recursive: true });
const folder = mkdtempSync(join(".tmp", "bench-"));
try {
  const whole = await bundleProcess(folder, "whole");
  const without = await bundleProcess(folder, "without reliability");
  const scriptOf = (contender: string) => (contender === WITHOUT_RELIABILITY ? without : whole);
  const rows = await measureAll(scriptOf, chosen, options.rounds, options.profile);
  print(rows);
  if (options.json !== undefined)
    writeFileSync(options.json, `${JSON.stringify({ node: process.version, rows }, null, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
