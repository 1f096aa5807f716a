// `npm run guard`: what a call costs in quantities that do not depend on the machine, beside those of the last release. It
// reports, and never fails because something got worse; only a measurement that breaks makes it fail.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Baseline, compare, printedComparison } from "./compare.js";
import { measureGuard } from "./run.js";

const FILE: string = join(import.meta.dirname, "baseline.json");

const HELP = `npm run guard -- [options]

  --write-baseline   writes what was measured as the figures of the present version; done at each release
  --json FILE        writes the figures
  --help             this text`;

const { values } = parseArgs({
  options: {
    "write-baseline": { type: "boolean", default: false },
    json: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

const git = (...args: string[]): string => execFileSync("git", args, { encoding: "utf8" }).trim();

function presentState(): Omit<Baseline, "figures"> {
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { readonly version: string };
  // What is measured comes from these folders; the figures themselves do not count.
  const changed = git("status", "--porcelain", "--", "src", "gen", ":!src/bench/guard/baseline.json") !== "";
  return {
    version,
    commit: `${git("rev-parse", "--short=10", "HEAD")}${changed ? "-dirty" : ""}`,
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    arch: process.arch,
  };
}

async function report(): Promise<void> {
  const { figures, notes } = await measureGuard();
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);
  const rounded = figures.map((figure) => ({
    ...figure,
    value: Number(figure.value.toPrecision(7)),
    noise: Number(figure.noise.toPrecision(2)),
  }));
  if (values["write-baseline"])
    writeFileSync(FILE, `${JSON.stringify({ ...presentState(), figures: rounded }, null, 2)}\n`);
  const baseline = JSON.parse(readFileSync(FILE, "utf8")) as Baseline;
  const comparisons = compare(baseline.figures, figures);
  console.log(printedComparison(comparisons, baseline));
  const { version, commit, date, node, arch } = baseline;
  console.log(`${version} was measured at ${commit} on ${date}, with Node ${node} on ${arch}.`);
  if (node !== process.version || arch !== process.arch)
    console.log(`This is Node ${process.version} on ${process.arch}: changes may be due to that.`);
  for (const note of notes) console.log(note);
  const worse = comparisons.filter(({ verdict }) => verdict === "worse");
  console.log(
    worse.length === 0
      ? "Nothing got worse."
      : `${worse.length} of ${comparisons.length} got worse; it is for people to judge whether that is worth it.`,
  );
}

if (values.help) console.log(HELP);
else await report();
