// `npm run bench`: Hawser beside what it stands on and beside its peers, in one run. It reports; it never fails on a speed.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { type BenchArguments, HELP, readArguments } from "./arguments.js";
import { HOW_TO_INSTALL_PEERS, missingPackage } from "./bundle.js";
import { CONTENDERS, type ContenderName } from "./contenders.js";
import { writeDocs } from "./docs.js";
import { FOREIGN_PERCENT } from "./foreign.js";
import { measureAll } from "./measure-all.js";
import { renderReport } from "./report/report.js";
import { type BenchResult, merge } from "./result.js";
import type { Row } from "./rows.js";
import { SCENARIOS } from "./scenarios.js";
import { printedTables } from "./table.js";

function chosenArguments(): BenchArguments {
  try {
    return readArguments(process.argv.slice(2));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    process.exit(2);
  }
}

function disturbedMeasurements(rows: readonly Row[]): readonly string[] {
  const disturbed = rows.filter(({ metric, max }) => metric === "foreignCpuPercent" && max > FOREIGN_PERCENT);
  return disturbed.map(({ scenario, contender }) => `${scenario} with ${contender}`);
}

function list(): void {
  for (const { name, title, contenders } of SCENARIOS)
    console.log(`${name.padEnd(30)} ${title}\n${"".padEnd(31)}${contenders.join(", ")}`);
  console.log("");
  for (const name of Object.keys(CONTENDERS) as ContenderName[]) {
    console.log(`${name.padEnd(22)} ${CONTENDERS[name].settings}`);
  }
}

async function result(options: BenchArguments): Promise<BenchResult> {
  if (options.from.length > 0)
    return merge(options.from.map((file) => JSON.parse(readFileSync(file, "utf8")) as BenchResult));
  if (options.profile !== undefined) mkdirSync(options.profile, { recursive: true });
  const found = await measureAll(options);
  const missing = (Object.keys(CONTENDERS) as ContenderName[]).filter(
    (name) => missingPackage(name) !== undefined,
  );
  if (missing.length > 0)
    console.error(`not installed, and left out: ${missing.join(", ")}; to install: ${HOW_TO_INSTALL_PEERS}`);
  return found;
}

// An exit, so that what was begun is cleared away.
process.once("SIGINT", () => process.exit(130));
process.once("SIGTERM", () => process.exit(143));

const options = chosenArguments();
if (options.help) console.log(HELP);
else if (options.list) list();
else {
  const found = await result(options);
  console.log(`Node ${found.node}, ${found.cpus} × ${found.cpu}, loopback, ${found.rounds} rounds`);
  console.log(printedTables(found.rows));
  const disturbed = disturbedMeasurements(found.rows);
  if (disturbed.length > 0)
    console.error(
      `other processes used more than ${FOREIGN_PERCENT}% of the CPU during: ${disturbed.join(", ")}`,
    );
  if (found.failures.length > 0) {
    console.error(`could not be measured:\n${found.failures.join("\n")}`);
    process.exitCode = 1;
  }
  if (options.html !== undefined) writeFileSync(options.html, await renderReport(found));
  if (options.writeDocs) writeDocs(found);
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(found, null, 2)}\n`);
}
