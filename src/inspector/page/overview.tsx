/** @jsxImportSource preact */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Sample } from "../../../gen/hawser/inspect/v1/inspect_pb.js";
import { bytes, count, percent, short, time } from "../format.js";
import { Chart, type ChartLine } from "./chart.js";
import { EventList } from "./events.js";
import { MethodTable } from "./methods.js";
import { samples, useWatch } from "./server.js";

/** Per second, whatever time a sample covers. */
const rate =
  (of: (sample: Sample) => number) =>
  (sample: Sample): number =>
    sample.spanMs === 0 ? 0 : (of(sample) * 1_000) / sample.spanMs;

const line = (label: string, colour: string, of: (sample: Sample) => number, filled = false): ChartLine => ({
  label,
  colour,
  of,
  filled,
});

const CHARTS: readonly {
  readonly title: string;
  readonly lines: readonly ChartLine[];
  readonly format: (value: number) => string;
  readonly binary?: boolean;
  readonly least?: number;
}[] = [
  {
    title: "Calls per second",
    lines: [
      line(
        "ended",
        "--first",
        rate(({ callsEnded }) => callsEnded),
        true,
      ),
      line(
        "refused",
        "--warn",
        rate(({ callsRefused }) => callsRefused),
      ),
      line(
        "failed",
        "--bad",
        rate(({ callsFailed }) => callsFailed),
      ),
    ],
    format: short,
    least: 10,
  },
  {
    title: "Duration of unary calls",
    lines: [line("p50", "--first", ({ p50Ms }) => p50Ms), line("p99", "--second", ({ p99Ms }) => p99Ms)],
    format: time,
    least: 0.1,
  },
  {
    title: "Connections and calls in flight",
    lines: [
      line("connections", "--first", ({ links }) => links, true),
      line("without a link", "--second", ({ detached }) => detached),
      line("calls in flight", "--third", ({ callsInFlight }) => callsInFlight),
    ],
    format: short,
    least: 5,
  },
  {
    title: "Traffic per second",
    lines: [
      line(
        "in",
        "--first",
        rate(({ bytesIn }) => bytesIn),
      ),
      line(
        "out",
        "--second",
        rate(({ bytesOut }) => bytesOut),
      ),
    ],
    format: bytes,
    binary: true,
    least: 1_024,
  },
  {
    title: "Publications per second",
    lines: [
      line(
        "received",
        "--first",
        rate(({ received }) => received),
      ),
      line(
        "delivered",
        "--second",
        rate(({ delivered }) => delivered),
      ),
    ],
    format: short,
    least: 10,
  },
  {
    title: "Processor and event loop",
    lines: [
      line("processor", "--first", ({ cpu }) => cpu, true),
      line("event loop", "--second", ({ eventLoop }) => eventLoop),
    ],
    format: percent,
    least: 1,
  },
  {
    title: "Memory",
    lines: [
      line("process", "--first", ({ memoryBytes }) => memoryBytes, true),
      line("heap", "--second", ({ heapBytes }) => heapBytes),
    ],
    format: bytes,
    binary: true,
    least: 64 * 1_024 * 1_024,
  },
  {
    title: "Waiting to be acknowledged",
    lines: [line("outboxes", "--first", ({ outboxBytes }) => outboxBytes, true)],
    format: bytes,
    binary: true,
    least: 64 * 1_024,
  },
  {
    title: "Sessions per second",
    lines: [
      line(
        "opened",
        "--first",
        rate(({ sessionsOpened }) => sessionsOpened),
      ),
      line(
        "resumed",
        "--good",
        rate(({ sessionsResumed }) => sessionsResumed),
      ),
      line(
        "ended",
        "--second",
        rate(({ sessionsEnded }) => sessionsEnded),
      ),
      line(
        "refused",
        "--bad",
        rate(({ refused }) => refused),
      ),
    ],
    format: short,
    least: 5,
  },
];

const SPANS = [60, 300, 900] as const;

/** The node as a whole: figures, charts, methods, events. */
export function Overview(): JSX.Element {
  const [seconds, setSeconds] = useState<number>(300);
  const response = useWatch({ methods: {}, events: { last: 30 } });
  const now = samples.value.at(-1);
  return (
    <>
      <Tiles sample={now} />
      <div class="row">
        <h2 class="section">Charts</h2>
        <fieldset class="choice" aria-label="Time that charts show">
          {SPANS.map((span) => (
            <button type="button" key={span} aria-pressed={span === seconds} onClick={() => setSeconds(span)}>
              {span / 60} min
            </button>
          ))}
        </fieldset>
      </div>
      <div class="charts">
        {CHARTS.map((chart) => (
          <Chart key={chart.title} {...chart} seconds={seconds} />
        ))}
      </div>
      <section class="card">
        <h2>Methods</h2>
        <MethodTable methods={response?.methods?.methods ?? []} />
      </section>
      <section class="card">
        <h2>What happened to connections</h2>
        <EventList response={response} />
      </section>
    </>
  );
}

function Tiles({ sample }: { readonly sample: Sample | undefined }) {
  const per = (of: (sample: Sample) => number) => (sample === undefined ? 0 : rate(of)(sample));
  const tiles: readonly (readonly [string, string, string?])[] = [
    ["connections", count(sample?.links ?? 0)],
    ["without a link", count(sample?.detached ?? 0)],
    ["calls/s", short(per(({ callsEnded }) => callsEnded))],
    ["in flight", count(sample?.callsInFlight ?? 0)],
    [
      "failed/s",
      short(per(({ callsFailed }) => callsFailed)),
      per(({ callsFailed }) => callsFailed) > 0 ? "bad" : "",
    ],
    ["p99", time(sample?.p99Ms ?? 0)],
    ["topics", count(sample?.topics ?? 0)],
    ["subscribers", count(sample?.subscribers ?? 0)],
    ["event loop", percent(sample?.eventLoop ?? 0), (sample?.eventLoop ?? 0) > 0.9 ? "bad" : ""],
    ["memory", bytes(sample?.memoryBytes ?? 0)],
  ];
  return (
    <dl class="tiles" aria-label="The node now">
      {tiles.map(([name, value, tone = ""]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class={tone}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
