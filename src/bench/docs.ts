import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { aimText, reachedAims } from "./aims.js";
import { metricText } from "./report/groups.js";
import type { BenchResult } from "./result.js";
import { formatNumber, type Row } from "./rows.js";
import { SCENARIOS } from "./scenarios.js";

/** The page whose figures are written by a run. */
const PAGE: string = join(import.meta.dirname, "../../docs/benchmarks.md");
const BEGIN = "<!-- figures: written by npm run bench -- --write-docs -->";
const END = "<!-- end of figures -->";

/** Writes the figures of a run into `docs/benchmarks.md`. */
export function writeDocs(found: BenchResult): void {
  writeFileSync(PAGE, withFigures(readFileSync(PAGE, "utf8"), found));
}

/**
 * A page with the figures of a run between its marks.
 *
 * @throws Error when the page has no marks.
 */
export function withFigures(page: string, found: BenchResult): string {
  const from = page.indexOf(BEGIN);
  const to = page.indexOf(END);
  if (from < 0 || to < from)
    throw new Error(`the page has no place for figures: it needs ${BEGIN} and ${END}`);
  return `${page.slice(0, from + BEGIN.length)}\n\n${figures(found)}\n${page.slice(to)}`;
}

function figures(found: BenchResult): string {
  const { node, cpus, cpu, platform, rounds, date } = found;
  const how = `Node ${node}, ${cpus} × ${cpu}, ${platform}, loopback, medians of ${rounds} alternating rounds, ${date.slice(0, 10)}.`;
  const settings = Object.entries(found.contenders).map(([name, text]) => [`\`${name}\``, text]);
  return [
    how,
    "### Aims",
    table(
      ["scenario", "what", "ratio", "aim", "measured"],
      reachedAims(found.rows).map(({ aim, ratio, met }) => [
        `\`${aim.scenario}\``,
        metricText(aim.metric),
        `${aim.contender} ÷ ${aim.against}`,
        aimText(aim),
        `${formatNumber(ratio)}${met ? "" : " (missed)"}`,
      ]),
    ),
    "### Figures",
    ...SCENARIOS.flatMap(({ name, title, headline }) => {
      const rows = found.rows.filter(({ scenario }) => scenario === name);
      return rows.length === 0 ? [] : [`\`${name}\`: ${title}`, scenarioTable(rows, headline)];
    }),
    "### Settings",
    table(["contender", "what it is"], settings),
    "",
  ].join("\n\n");
}

/** Medians; of the headline also the spread. */
function scenarioTable(rows: readonly Row[], headline: string): string {
  const metrics = [...new Set(rows.map(({ metric }) => metric))].filter(
    (metric) => !/^(serverRssBytes|foreignCpuPercent)$/.test(metric),
  );
  const contenders = [...new Set(rows.map(({ contender }) => contender))];
  const lines = contenders.map((contender) => [
    contender,
    ...metrics.map((metric) => {
      const row = rows.find((row) => row.contender === contender && row.metric === metric);
      if (row === undefined) return "";
      const { median, min, max } = row;
      const spread = metric === headline ? ` (${formatNumber(min)} … ${formatNumber(max)})` : "";
      return `${formatNumber(median)}${spread}`;
    }),
  ]);
  return table(["contender", ...metrics.map(metricText)], lines);
}

function table(header: readonly string[], lines: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(header), line(header.map(() => "---")), ...lines.map(line)].join("\n");
}
