import { BarChart, CustomChart, LineChart } from "echarts/charts";
import { AriaComponent, GridComponent, LegendComponent, TooltipComponent } from "echarts/components";
import { type EChartsCoreOption, type EChartsType, init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { formatNumber, type Row } from "../rows.js";
import { metricText } from "./groups.js";

use([
  BarChart,
  CustomChart,
  LineChart,
  AriaComponent,
  GridComponent,
  LegendComponent,
  TooltipComponent,
  SVGRenderer,
]);

/** Height of a bar with the space around it, in pixels. */
const BAR_HEIGHT = 30;
const FONT = "system-ui, sans-serif";

/** A colour of `page.css` as it is now, in light or dark. */
function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Colour of a contender: what is ours stands out. */
function colourOf(contender: string): string {
  if (contender === "hawser") return colour("--hawser");
  if (contender.startsWith("hawser")) return colour("--hawser-quiet");
  if (contender === "ws" || contender === "ws-deflate") return colour("--ws");
  if (contender === "net") return colour("--net");
  return colour("--peer");
}

/** Bars of one metric, contender by contender, with a line from the lowest to the highest round. */
export function drawBars(element: HTMLElement, rows: readonly Row[]): void {
  element.style.height = `${rows.length * BAR_HEIGHT + 44}px`;
  const metric = rows[0]?.metric ?? "";
  const names = rows.map(({ contender }) => contender);
  show(element, () => ({
    ...common(metricText(metric)),
    grid: { left: 8, right: 76, top: 4, bottom: 4, containLabel: true },
    xAxis: { ...axis("value"), axisLabel: { ...text("--quiet"), formatter: short, hideOverlap: true } },
    yAxis: {
      ...axis("category"),
      data: names,
      inverse: true,
      axisLabel: text("--text"),
      splitLine: { show: false },
    },
    tooltip: { ...tooltip(), formatter: ({ dataIndex }: { dataIndex: number }) => spread(rows[dataIndex]) },
    series: [
      {
        type: "bar",
        barWidth: "62%",
        data: rows.map(({ contender, median }) => ({
          value: median,
          itemStyle: { color: colourOf(contender), borderRadius: [0, 3, 3, 0] },
        })),
      },
      {
        type: "custom",
        silent: true,
        data: rows.map(({ min, max, median }, index) => [index, min, max, median]),
        encode: { x: [1, 2], y: 0 },
        renderItem: drawSpread,
      },
    ],
  }));
}

interface Api {
  value(dimension: number): number;
  coord(point: readonly [number, number]): [number, number];
}

/** The line from the lowest to the highest, and the median as text behind it. */
function drawSpread(_: unknown, api: Api): object {
  const [index, min, max, median] = [api.value(0), api.value(1), api.value(2), api.value(3)];
  const [from, y] = api.coord([min, index]);
  const [to] = api.coord([max, index]);
  const style = { stroke: colour("--text"), lineWidth: 1.2, opacity: 0.75 };
  const line = (x1: number, y1: number, x2: number, y2: number) => ({
    type: "line",
    shape: { x1, y1, x2, y2 },
    style,
  });
  const whiskers =
    to - from < 1 ? [] : [line(from, y, to, y), line(from, y - 4, from, y + 4), line(to, y - 4, to, y + 4)];
  const label = {
    type: "text",
    style: {
      text: formatNumber(median),
      x: Math.max(to, from) + 7,
      y,
      verticalAlign: "middle",
      fill: colour("--text"),
      font: `12px ${FONT}`,
    },
  };
  return { type: "group", children: [...whiskers, label] };
}

/** A line for each contender; `points` are [in flight, row]. */
export function drawCurve(
  element: HTMLElement,
  lines: ReadonlyMap<string, readonly (readonly [number, Row])[]>,
): void {
  element.style.height = "320px";
  const inFlight = [...new Set([...lines.values()].flat().map(([x]) => x))].sort((a, b) => a - b);
  const names = [...lines.keys()];
  show(element, () => ({
    ...common("calls per second by calls in flight"),
    grid: { left: 8, right: 16, top: 40, bottom: 4, containLabel: true },
    legend: { top: 4, textStyle: text("--text"), itemWidth: 18, inactiveColor: colour("--line") },
    tooltip: {
      ...tooltip(),
      trigger: "axis",
      formatter: (items: readonly { readonly dataIndex: number }[]) => {
        const x = inFlight[items[0]?.dataIndex ?? 0] ?? 0;
        const found = names.map((name) => lines.get(name)?.find(([at]) => at === x)?.[1]);
        return [`${x} in flight`, ...found.flatMap((row) => (row === undefined ? [] : [spread(row)]))].join(
          "<br>",
        );
      },
    },
    xAxis: {
      ...axis("category"),
      data: inFlight.map(String),
      axisLabel: text("--quiet"),
      splitLine: { show: false },
    },
    // Depths double, so what they bring is shown by doublings, too.
    yAxis: {
      ...axis("log"),
      logBase: 2,
      min: halved,
      axisLabel: { ...text("--quiet"), formatter: short },
    },
    series: names.map((name) => ({
      name,
      type: "line",
      symbol: "circle",
      symbolSize: 7,
      lineStyle: { width: name === "hawser" ? 3 : 2 },
      itemStyle: { color: colourOf(name) },
      data: inFlight.map((x) => lines.get(name)?.find(([at]) => at === x)?.[1].median ?? null),
    })),
  }));
}

/** Draws, and draws anew when the width or the colours change. */
function show(element: HTMLElement, option: () => EChartsCoreOption): void {
  const known = shown.get(element);
  const chart = known?.chart ?? init(element, null, { renderer: "svg" });
  const draw = () => chart.setOption(option(), true);
  if (known === undefined) {
    new ResizeObserver(() => chart.resize()).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown.get(element)?.draw());
  }
  shown.set(element, { chart, draw });
  chart.resize();
  draw();
}

const shown = new WeakMap<HTMLElement, { readonly chart: EChartsType; readonly draw: () => void }>();

const common = (description: string) => ({
  animation: false,
  textStyle: { fontFamily: FONT },
  aria: { enabled: true, label: { description } },
});

const text = (name: string) => ({ color: colour(name), fontSize: 12, fontFamily: FONT });

const axis = (type: "value" | "category" | "log") => ({
  type,
  axisLine: { show: false },
  axisTick: { show: false },
  splitLine: { lineStyle: { color: colour("--line") } },
});

const tooltip = () => ({
  backgroundColor: colour("--panel"),
  borderColor: colour("--line"),
  textStyle: text("--text"),
  confine: true,
});

function spread(row: Row | undefined): string {
  if (row === undefined) return "";
  const { contender, median, min, max, unit } = row;
  return `${contender}: <b>${formatNumber(median)}</b> ${unit} (${formatNumber(min)} … ${formatNumber(max)})`;
}

/** The power of two below all values, for an axis to begin with. */
const halved = ({ min }: { readonly min: number }): number => 2 ** Math.floor(Math.log2(min));

/** `450k`, for axes. */
const short = (value: number): string =>
  new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(value);
