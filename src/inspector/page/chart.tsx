/** @jsxImportSource preact */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import type { Sample } from "../../../gen/hawser/inspect/v1/inspect_pb.js";
import { paused, samples } from "./server.js";

/** One line of a chart. */
export interface ChartLine {
  readonly label: string;
  /** Name of a colour of `page.css`: `--first`. */
  readonly colour: string;
  /** What is drawn of a sample. */
  readonly of: (sample: Sample) => number;
  /** The area below it is filled. */
  readonly filled?: boolean;
}

interface ChartProps {
  readonly title: string;
  readonly lines: readonly ChartLine[];
  /** A value as text. */
  readonly format: (value: number) => string;
  /** The axis is marked at round numbers of bytes. */
  readonly binary?: boolean;
  /** Least upper end of the axis. Default 1. */
  readonly least?: number;
  /** How much of the past is shown, in seconds. */
  readonly seconds: number;
}

/** A chart of the samples, with its newest values, or those under the pointer, as text. */
export function Chart({ title, lines, format, binary = false, least = 1, seconds }: ChartProps): JSX.Element {
  const plot = useRef<HTMLDivElement>(null);
  const key = useRef<HTMLParagraphElement>(null);

  useEffect(() => {
    const element = plot.current;
    if (element === null) return;
    const chart = createChart(element, lines, format, binary, least, seconds, (index) => {
      const words = key.current?.querySelectorAll("b") ?? [];
      const values = chart.data;
      for (const [line, word] of [...words].entries()) {
        const value = values[line + 1]?.[index ?? values[0].length - 1];
        word.textContent = value === undefined || value === null ? "–" : format(value);
      }
    });
    let frame = 0;
    const draw = () => {
      frame = 0;
      const newest = samples.peek().slice(-(seconds + 1));
      chart.setData([
        newest.map(({ at }) => Number(at?.seconds ?? 0n)),
        ...lines.map((line) => newest.map(line.of)),
      ]);
      chart.setCursor({ left: chart.cursor.left ?? -10, top: chart.cursor.top ?? -10 });
    };
    const unsubscribe = samples.subscribe(() => {
      // However many come at once, they are drawn once, and with everything else that is drawn.
      if (!paused.peek() && frame === 0) frame = requestAnimationFrame(draw);
    });
    const resized = new ResizeObserver(() =>
      chart.setSize({ width: element.clientWidth, height: element.clientHeight }),
    );
    resized.observe(element);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const recolour = () => chart.redraw(false);
    dark.addEventListener("change", recolour);
    return () => {
      unsubscribe();
      cancelAnimationFrame(frame);
      resized.disconnect();
      dark.removeEventListener("change", recolour);
      chart.destroy();
    };
  }, [lines, format, binary, least, seconds]);

  return (
    <section class="card" aria-label={title}>
      <h2>{title}</h2>
      <p class="key" ref={key}>
        {lines.map((line) => (
          <span key={line.label} style={{ "--colour": `var(${line.colour})` }}>
            {line.label} <b>–</b>
          </span>
        ))}
      </p>
      <div class="plot" ref={plot} aria-hidden="true" />
    </section>
  );
}

function createChart(
  element: HTMLElement,
  lines: readonly ChartLine[],
  format: (value: number) => string,
  binary: boolean,
  least: number,
  seconds: number,
  onCursor: (index: number | undefined) => void,
): uPlot {
  const line = { stroke: () => colour("--line"), width: 1 };
  const axis = { stroke: () => colour("--quiet"), grid: line, ticks: { ...line, size: 4 }, gap: 4 };
  return new uPlot(
    {
      width: element.clientWidth,
      height: element.clientHeight,
      legend: { show: false },
      padding: [8, 16, 0, 0],
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      scales: {
        // As long as there is little, it is not lost at the right edge.
        x: { range: (_, min, max) => [Math.max(max - seconds, Math.min(min, max - LEAST_SECONDS)), max] },
        y: { range: (_, __, max) => [0, Math.max(least, (max ?? 0) * 1.1)] },
      },
      axes: [
        {
          ...axis,
          space: 80,
          size: 26,
          font: FONT,
          values: (_, splits) => splits.map((at) => new Date(at * 1_000).toLocaleTimeString("en-GB")),
        },
        {
          ...axis,
          size: 66,
          font: FONT,
          space: 34,
          ...(binary ? { incrs: POWERS } : {}),
          values: (_, splits) => splits.map((value) => format(value)),
        },
      ],
      series: [
        {},
        ...lines.map(({ label, colour: name, filled }) => ({
          label,
          stroke: () => colour(name),
          width: 1.75,
          points: { show: false },
          ...(filled === true ? { fill: () => `color-mix(in srgb, ${colour(name)} 16%, transparent)` } : {}),
        })),
      ],
      hooks: { setCursor: [(chart) => onCursor(chart.cursor.idx ?? undefined)] },
    },
    [[], ...lines.map(() => [])],
    element,
  );
}

const LEAST_SECONDS = 60;
/** Powers of two, from 1 B to 64 TiB. */
const POWERS = Array.from({ length: 47 }, (_, power) => 2 ** power);
const FONT = "11px system-ui, sans-serif";

/** A colour of `page.css` as it is now, in light or dark. */
function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
