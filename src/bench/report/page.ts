// The report in the browser: reads what the run has found from the page, and draws it.
import { aimText, reachedAims } from "../aims.js";
import type { BenchResult } from "../result.js";
import { formatNumber, type Row } from "../rows.js";
import { SCENARIOS } from "../scenarios.js";
import { drawBars, drawCurve } from "./charts.js";
import { GROUPS, lessIsBetter, metricText, type ReportGroup } from "./groups.js";

const data = document.querySelector("#data")?.textContent ?? "{}";
const found = JSON.parse(data) as BenchResult;
const main = document.querySelector("main") as HTMLElement;

function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  text = "",
  className = "",
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  made.textContent = text;
  if (className !== "") made.className = className;
  return made;
}

function table(
  header: readonly string[],
  lines: readonly (readonly (string | HTMLElement)[])[],
): HTMLElement {
  const made = element("table");
  const head = made.createTHead().insertRow();
  for (const name of header) head.append(element("th", name));
  const body = made.createTBody();
  for (const line of lines) {
    const row = body.insertRow();
    for (const cell of line) row.insertCell().append(cell);
  }
  const scroller = element("div", "", "scroller");
  scroller.append(made);
  return scroller;
}

function section(title: string, text: string): HTMLElement {
  const made = element("section");
  made.append(element("h2", title), element("p", text));
  main.append(made);
  return made;
}

function showMachine(): void {
  const rounds = found.rounds === 1 ? "1 round" : `medians of ${found.rounds} alternating rounds`;
  const words = [
    `Node ${found.node}`,
    `${found.cpus} × ${found.cpu}`,
    found.platform,
    `loopback, ${rounds}${found.quick ? ", quick" : ""}`,
    found.date.slice(0, 10),
  ];
  (document.querySelector("#machine") as HTMLElement).textContent = words.join(" · ");
}

function showAims(): void {
  const reached = reachedAims(found.rows);
  if (reached.length === 0) return;
  const met = reached.filter((one) => one.met).length;
  const made = section(
    "Aims",
    `Medians of Hawser over medians of others, of the same run. Reached: ${met} of ${reached.length}.`,
  );
  const lines = reached.map(({ aim, ratio, met }) => [
    aim.scenario,
    metricText(aim.metric),
    `${aim.contender} ÷ ${aim.against}`,
    aimText(aim),
    formatNumber(ratio),
    element("span", met ? "✓ reached" : "✗ missed", met ? "met" : "missed"),
  ]);
  made.append(table(["scenario", "what", "ratio", "aim", "measured", ""], lines));
}

function showGroup(group: ReportGroup): void {
  const rows = found.rows.filter(({ scenario }) => group.scenarios.includes(scenario));
  if (rows.length === 0) return;
  const made = section(group.title, group.text);
  if (group.kind === "curve") showCurves(made, rows);
  else for (const name of group.scenarios) showBars(made, name, rows);
}

/** A chart of bars with a choice of metrics, and everything that was measured as a table. */
function showBars(parent: HTMLElement, scenario: string, all: readonly Row[]): void {
  const rows = all.filter((row) => row.scenario === scenario);
  if (rows.length === 0) return;
  const info = SCENARIOS.find(({ name }) => name === scenario);
  const metrics = [...new Set(rows.map(({ metric }) => metric))];
  const figure = element("figure");
  const caption = element("figcaption");
  const choice = element("select");
  choice.setAttribute("aria-label", "what is shown");
  for (const metric of metrics) {
    const better = lessIsBetter(metric) ? "less is better" : "more is better";
    choice.add(new Option(`${metricText(metric)} (${better})`, metric));
  }
  choice.value = info?.headline ?? metrics[0] ?? "";
  caption.append(element("strong", info?.title ?? scenario), element("code", scenario), choice);
  const plot = element("div", "", "plot");
  const draw = () =>
    drawBars(
      plot,
      rows.filter(({ metric }) => metric === choice.value),
    );
  choice.addEventListener("change", draw);
  figure.append(caption, plot, details(rows, metrics));
  parent.append(figure);
  draw();
}

function details(rows: readonly Row[], metrics: readonly string[]): HTMLElement {
  const made = element("details");
  const contenders = [...new Set(rows.map(({ contender }) => contender))];
  const lines = contenders.map((contender) => [
    contender,
    ...metrics.map((metric) => {
      const row = rows.find((row) => row.contender === contender && row.metric === metric);
      return row === undefined ? "" : formatNumber(row.median);
    }),
  ]);
  made.append(element("summary", "all figures"), table(["contender", ...metrics.map(metricText)], lines));
  return made;
}

/** `unary-32B-8x4`: 8 connections with 4 calls in flight on each. */
function showCurves(parent: HTMLElement, rows: readonly Row[]): void {
  const points = rows
    .filter(({ metric }) => metric === "callsPerSecond")
    .map((row) => {
      const [first = 1, second] = (row.scenario.split("-")[2] ?? "1").split("x").map(Number);
      return { row, connections: second === undefined ? 1 : first, depth: second ?? first };
    });
  for (const connections of [...new Set(points.map((point) => point.connections))].sort((a, b) => a - b)) {
    const lines = new Map<string, (readonly [number, Row])[]>();
    for (const { row, depth } of points.filter((point) => point.connections === connections)) {
      const line = lines.get(row.contender) ?? [];
      line.push([connections * depth, row]);
      lines.set(row.contender, line);
    }
    // Those that were measured at one depth only make no line.
    for (const [name, line] of lines) if (line.length < 2) lines.delete(name);
    if (lines.size === 0) continue;
    const figure = element("figure");
    const caption = element("figcaption");
    const words = connections === 1 ? "one connection" : `${connections} connections`;
    caption.append(element("strong", words));
    const plot = element("div", "", "plot");
    figure.append(caption, plot);
    parent.append(figure);
    drawCurve(plot, lines);
  }
}

function showContenders(): void {
  const made = section("Contenders", "How each is set up. All are compiled; each side is one process.");
  const list = element("dl");
  for (const [name, settings] of Object.entries(found.contenders))
    list.append(element("dt", name), element("dd", settings));
  made.append(list);
}

showMachine();
showAims();
for (const group of GROUPS) showGroup(group);
showContenders();
