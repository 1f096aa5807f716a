import { table } from "table";
import { aimText, type Reached, reachedAims } from "./aims.js";
import { formatNumber, type Row } from "./rows.js";
import { SCENARIOS, type Scenario } from "./scenarios.js";

/** The columns of scenarios that are measured alike: what they are called, and which metrics stand in them. */
const COLUMNS: Readonly<Record<Scenario["measurement"]["kind"], readonly (readonly [string, RegExp])[]>> = {
  rate: [
    ["p50 µs", /^p50Micros$/],
    ["server CPU µs", /^serverCpuMicros/],
    ["client CPU µs", /^clientCpuMicros/],
    ["wire B", /^wireBytes/],
  ],
  idle: [
    ["JS heap B", /^heapBytes/],
    ["RSS B", /^rssBytes/],
    ["buffers B", /^externalBytes/],
  ],
  nodes: [["p50 µs", /^p50Micros$/]],
  connect: [
    ["server CPU µs", /^serverCpuMicros/],
    ["client CPU µs", /^clientCpuMicros/],
    ["wire B", /^wireBytes/],
  ],
  reconnect: [
    ["server CPU µs", /^serverCpuMicros/],
    ["client CPU µs", /^clientCpuMicros/],
    ["wire B", /^wireBytes/],
  ],
};

const TITLES: Readonly<Record<Scenario["measurement"]["kind"], string>> = {
  rate: "per second",
  idle: "memory of a connection",
  nodes: "publications per second",
  connect: "connections per second",
  reconnect: "connections per second",
};

/** All rows as tables for a terminal, with the aims beside the ratios that were reached. */
export function printedTables(rows: readonly Row[]): string {
  const reached = reachedAims(rows);
  const kinds = ["rate", "idle", "connect", "reconnect", "nodes"] as const;
  return kinds
    .map((kind) => {
      const scenarios = SCENARIOS.filter(
        ({ name, measurement }) =>
          measurement.kind === kind && rows.some(({ scenario }) => scenario === name),
      );
      return scenarios.length === 0 ? "" : printTable(kind, scenarios, rows, reached);
    })
    .join("");
}

function printTable(
  kind: keyof typeof COLUMNS,
  scenarios: readonly Scenario[],
  rows: readonly Row[],
  reached: readonly Reached[],
): string {
  const columns = COLUMNS[kind];
  const header = [
    "scenario",
    "contender",
    TITLES[kind],
    "min … max",
    "hawser ÷ it",
    "aim",
    ...columns.map(([name]) => name),
  ];
  const lines = scenarios.flatMap((scenario) => {
    const own = rows.filter((row) => row.scenario === scenario.name);
    const first = (contender: string) =>
      own.find(
        (row) =>
          row.contender === contender &&
          (kind === "rate" || kind === "nodes"
            ? row.metric.endsWith("PerSecond")
            : row.metric === scenario.headline),
      );
    const hawser = first("hawser");
    return [...new Set(own.map(({ contender }) => contender))].map((contender, index) => {
      const of = own.filter((row) => row.contender === contender);
      const main = first(contender);
      const ratio =
        main === undefined || hawser === undefined ? "" : formatNumber(hawser.median / main.median);
      return [
        index === 0 ? scenario.name : "",
        contender,
        main === undefined ? "" : formatNumber(main.median),
        main === undefined ? "" : `${formatNumber(main.min)} … ${formatNumber(main.max)}`,
        contender === "hawser" ? "" : ratio,
        reached
          .filter(({ aim }) => aim.scenario === scenario.name && aim.against === contender)
          .map(aimCell)
          .join("\n"),
        ...columns.map(([, pattern]) => {
          const row = of.find(({ metric }) => pattern.test(metric));
          return row === undefined ? "" : formatNumber(row.median);
        }),
      ];
    });
  });
  return table([header, ...lines], {
    columns: Object.fromEntries(
      header.flatMap((name, index) =>
        index < 2 || name === "aim" ? [] : [[index, { alignment: "right" as const }] as const],
      ),
    ),
    // Between scenarios.
    drawHorizontalLine: (index, count) => index <= 1 || index === count || lines[index - 1]?.[0] !== "",
  });
}

/** As in `calls/s 1.62, aim ≥ 1.5: reached`. */
function aimCell({ aim, ratio, met }: Reached): string {
  const metric = /Cpu/.test(aim.metric)
    ? "server CPU"
    : /p50/.test(aim.metric)
      ? "p50"
      : /Bytes/.test(aim.metric)
        ? "bytes"
        : "rate";
  const who = aim.contender === "hawser" ? "" : `${aim.contender} `;
  return `${met ? "✓" : "✗"} ${who}${metric} ${formatNumber(ratio)} (${aimText(aim)})`;
}
