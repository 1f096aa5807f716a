import uPlot from "uplot";

/** One line of a chart. */
export interface ChartLine {
  readonly label: string;
  /** Name of a colour of `page.css`: `--first`. */
  readonly colour: string;
}

/** What a chart shows. */
export interface ChartOptions {
  readonly plot: HTMLElement;
  /** Where the values stand as text: those under the pointer, else the last ones. */
  readonly key: HTMLElement;
  readonly lines: readonly ChartLine[];
  /** A value as text. */
  readonly format: (value: number) => string;
  /** Upper end of the axis, from the largest value that is shown; the lower end is 0. */
  readonly top: (largest: number) => number;
  /** When the link was down, drawn behind the lines. */
  readonly downTimes: readonly DownTime[];
}

/** A time during which the link was down, in seconds since 1970; without an end: it still is. */
export interface DownTime {
  readonly from: number;
  to?: number;
}

/** A chart of the last minutes. */
export interface Chart {
  /** Adds a point of each line; `null`: none. */
  add(seconds: number, values: readonly (number | null)[]): void;
  /** Draws anew, because the down times have changed. */
  redraw(): void;
}

/** How much of the past is shown, in seconds. */
const WINDOW_SECONDS = 60;

/** Makes a chart that fills the width of its element, and follows the colours of light and dark. */
export function createChart(options: ChartOptions): Chart {
  const { plot, key, lines, format } = options;
  const times: number[] = [];
  const values: (number | null)[][] = lines.map(() => []);
  const words = lines.map((line) => {
    const word = document.createElement("span");
    word.style.setProperty("--colour", `var(${line.colour})`);
    key.append(word);
    return word;
  });

  const chart = new uPlot(
    {
      width: plot.clientWidth,
      height: plot.clientHeight,
      legend: { show: false },
      // The last time on the axis reaches beyond it.
      padding: [8, 32, 0, 0],
      cursor: { y: false, drag: { x: false, y: false } },
      scales: {
        x: { range: (_, __, max) => [max - WINDOW_SECONDS, max] },
        y: { range: (_, __, max) => [0, options.top(max ?? 0)] },
      },
      axes: [
        {
          ...axisStyle(),
          space: 90,
          size: 30,
          values: (_, splits) => splits.map((seconds) => new Date(seconds * 1_000).toLocaleTimeString()),
        },
        {
          ...axisStyle(),
          size: 62,
          // The ends of an axis are round numbers: decimals would only widen it.
          values: (_, splits) => splits.map((value) => format(value).replace(/\.0+(?= )/, "")),
        },
      ],
      series: [
        {},
        ...lines.map((line) => ({
          label: line.label,
          stroke: () => colour(line.colour),
          width: 2,
          points: { show: false },
        })),
      ],
      hooks: {
        drawClear: [(self) => drawDownTimes(self, options.downTimes)],
        setCursor: [(self) => writeKey(self.cursor.idx ?? times.length - 1)],
      },
    },
    [times, ...values],
    plot,
  );

  function writeKey(index: number): void {
    for (const [line, word] of words.entries()) {
      const value = values[line]?.[index] ?? undefined;
      word.textContent = `${lines[line]?.label} ${value === undefined ? "–" : format(value)}`;
    }
  }

  let drawing = false;
  const draw = () => {
    if (drawing) return;
    drawing = true;
    // After a resume many points come at once; they are drawn together.
    requestAnimationFrame(() => {
      drawing = false;
      chart.setData([times, ...values]);
      if (chart.cursor.idx === null || chart.cursor.idx === undefined) writeKey(times.length - 1);
    });
  };

  new ResizeObserver(() => chart.setSize({ width: plot.clientWidth, height: plot.clientHeight })).observe(
    plot,
  );
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart.redraw());

  return {
    add(seconds, point) {
      times.push(seconds);
      for (const [line, row] of values.entries()) row.push(point[line] ?? null);
      while ((times[0] ?? seconds) < seconds - WINDOW_SECONDS) {
        times.shift();
        for (const row of values) row.shift();
      }
      draw();
    },
    redraw: draw,
  };
}

/** A colour of `page.css` as it is now, in light or dark. */
function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function axisStyle() {
  const line = { stroke: () => colour("--line"), width: 1 };
  return { stroke: () => colour("--quiet"), grid: line, ticks: line };
}

function drawDownTimes(chart: uPlot, downTimes: readonly DownTime[]): void {
  const { left, top, width, height } = chart.bbox;
  const { ctx } = chart;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.fillStyle = colour("--down");
  for (const { from, to } of downTimes) {
    const begin = chart.valToPos(from, "x", true);
    const end = to === undefined ? left + width : chart.valToPos(to, "x", true);
    // A short break would be thinner than a pixel; it is to be seen all the same.
    ctx.fillRect(begin, top, Math.max(end - begin, 3 * devicePixelRatio), height);
  }
  ctx.restore();
}
