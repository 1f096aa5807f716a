import { durationText } from "../values.js";
import type { ConnectionFigures } from "./connections.js";
import type { Latencies, LatencyFigures } from "./latency.js";
import type { Tally } from "./tally.js";

/** Settings of a run, as they are reported. */
export interface RunSettings {
  readonly url: string;
  readonly method: string;
  readonly kind: "unary" | "server_streaming" | "client_streaming" | "bidi_streaming";
  readonly connections: number;
  readonly inFlight: number;
  /** Calls per second that were to be made; `null`: as many as came back. */
  readonly rate: number | null;
  readonly warmUpMs: number;
}

/** All that a run has found out: what `--json` prints. */
export interface Report extends RunSettings {
  /** How long was measured, in milliseconds. */
  readonly durationMs: number;
  /** Ctrl-C came before the end. */
  readonly interrupted: boolean;
  readonly calls: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly callsPerSecond: number;
  /** Messages that came; `null` for methods that answer with one. */
  readonly messages: number | null;
  readonly messagesPerSecond: number | null;
  readonly errors: Readonly<Record<string, { readonly count: number; readonly message: string }>>;
  /** From the making of a call to its end, in microseconds. */
  readonly latencyMicros: LatencyFigures | null;
  /** The same, corrected for coordinated omission. */
  readonly correctedMicros: LatencyFigures | null;
  /**
   * How: `"due"`: counted from the moment that a call was due by the rate; `"interval"`: calls added that a place would have made
   * meanwhile, at its average interval.
   */
  readonly correction: { readonly by: "due" } | { readonly by: "interval"; readonly intervalMicros: number };
  /** From the making of a call to its first message, for streams of answers. */
  readonly firstMessageMicros: LatencyFigures | null;
  /** With a rate: how long after its moment a call was made. */
  readonly lateMicros: LatencyFigures | null;
  /** With a rate: calls that were due and never made, for want of a free place. */
  readonly unsent: number;
  readonly connectionEvents: ConnectionFigures;
  /** Processors that this process kept busy: near 1, it was the bottleneck. */
  readonly generatorCpu: number;
  /** The corrected latencies for the tools of HdrHistogram: compressed, in base64. */
  readonly histogram: string;
}

/** What {@link reportOf} puts together. */
export interface RunOutcome {
  readonly settings: RunSettings;
  readonly tally: Tally;
  readonly durationMs: number;
  readonly interrupted: boolean;
  readonly connectionEvents: ConnectionFigures;
  readonly generatorCpu: number;
}

/** Puts a run's figures together. */
export function reportOf(outcome: RunOutcome): Report {
  const { settings, tally, durationMs, interrupted, connectionEvents, generatorCpu } = outcome;
  const perSecond = (count: number) =>
    durationMs === 0 ? 0 : Number(((count * 1_000) / durationMs).toFixed(1));
  const answersStream = settings.kind === "server_streaming" || settings.kind === "bidi_streaming";
  const places = settings.connections * settings.inFlight;
  const intervalMs = tally.answered === 0 ? durationMs : (durationMs * places) / tally.answered;
  const corrected = settings.rate === null ? tally.fromSent.corrected(intervalMs) : tally.fromDue;
  const figures = (latencies: Latencies) => latencies.figures() ?? null;
  return {
    ...settings,
    durationMs,
    interrupted,
    calls: tally.calls,
    succeeded: tally.succeeded,
    failed: tally.failed,
    callsPerSecond: perSecond(tally.answered),
    messages: answersStream ? tally.messages : null,
    messagesPerSecond: answersStream ? perSecond(tally.messages) : null,
    errors: Object.fromEntries([...tally.errors].sort(([, a], [, b]) => b.count - a.count)),
    latencyMicros: figures(tally.fromSent),
    correctedMicros: figures(corrected),
    correction:
      settings.rate === null
        ? { by: "interval", intervalMicros: Math.round(intervalMs * 1_000) }
        : { by: "due" },
    firstMessageMicros: answersStream ? figures(tally.firstMessage) : null,
    lateMicros: settings.rate === null ? null : figures(tally.late),
    unsent: tally.unsent,
    connectionEvents,
    generatorCpu: Number(generatorCpu.toFixed(2)),
    histogram: corrected.encode(),
  };
}

const ROWS: readonly (readonly [string, keyof LatencyFigures])[] = [
  ["mean", "mean"],
  ["p50", "p50"],
  ["p75", "p75"],
  ["p90", "p90"],
  ["p95", "p95"],
  ["p99", "p99"],
  ["p99.9", "p999"],
  ["p99.99", "p9999"],
  ["max", "max"],
];

/** So much of a processor, and the generator was the bottleneck. */
const SATURATED_CPU = 0.95;
/** Calls that are made so much later than they were due are no longer due to timers, in microseconds. */
const LATE_US = 5_000;

const count = (value: number) => value.toLocaleString("en");

/** A latency in three digits or more: `87 µs`, `1.23 ms`, `2.50 s`. */
export function microsText(micros: number): string {
  if (micros < 1_000) return `${Math.round(micros)} µs`;
  return micros < 1_000_000 ? `${(micros / 1_000).toFixed(2)} ms` : `${(micros / 1_000_000).toFixed(2)} s`;
}

/** The report for a terminal. */
export function reportText(report: Report): string {
  const { connections, inFlight, rate } = report;
  const load =
    rate === null
      ? `closed loop, ${inFlight} in flight on each`
      : `open loop, ${count(rate)} calls/s, at most ${inFlight} in flight on each`;
  const lines = [
    `${report.method} (${report.kind.replace("_", " ")}) at ${report.url}`,
    `${count(connections)} ${connections === 1 ? "connection" : "connections"}, ${load}; ${durationText(report.durationMs)} after ${durationText(report.warmUpMs)} of warm-up${report.interrupted ? ", ended early" : ""}`,
    "",
    ...totals(report),
    "",
    ...latencyTable(report),
    ...errorLines(report),
    ...remarks(report).flatMap((remark) => ["", remark]),
  ];
  return `${lines.join("\n")}\n`;
}

function totals(report: Report): string[] {
  const rows: [string, string, string][] = [
    ["calls", count(report.calls), `${count(report.callsPerSecond)} calls/s`],
  ];
  if (report.messages !== null && report.messagesPerSecond !== null)
    rows.push(["messages", count(report.messages), `${count(report.messagesPerSecond)} messages/s`]);
  rows.push(["errors", count(report.failed), ""]);
  if (report.unsent > 0) rows.push(["never sent", count(report.unsent), "there was no free place for them"]);
  const width = Math.max(...rows.map(([, value]) => value.length));
  return rows.map(([name, value, more]) => `${name.padEnd(12)}${value.padStart(width)}   ${more}`.trimEnd());
}

function latencyTable(report: Report): string[] {
  const { latencyMicros, correctedMicros, firstMessageMicros } = report;
  if (latencyMicros === null && firstMessageMicros === null) return ["latency     no call came to its end"];
  const columns: [string, LatencyFigures | null][] = [
    ["as measured", latencyMicros],
    ["corrected", correctedMicros],
    ["first message", firstMessageMicros],
  ];
  const shown = columns.filter(([, figures]) => figures !== null);
  const line = (name: string, cells: readonly string[]) =>
    `${name.padEnd(12)}${cells.map((cell) => cell.padStart(15)).join("")}`;
  const rows = ROWS.map(([name, key]) =>
    line(
      `  ${name}`,
      shown.map(([, figures]) => (figures === null ? "" : microsText(figures[key]))),
    ),
  );
  const note = latencyMicros === null ? [] : ["", ...correctionNote(report)];
  return [
    line(
      "latency",
      shown.map(([title]) => title),
    ),
    ...rows,
    ...note,
  ];
}

function correctionNote({ correction, connections, inFlight }: Report): string[] {
  if (correction.by === "due")
    return [
      "Corrected for coordinated omission: counted from the moment that a call was due by the rate, sent or not,",
      "so what waits behind a stall counts with its wait. As measured: from the moment that it was sent.",
    ];
  const places = connections * inFlight;
  return [
    `Corrected for coordinated omission: ${places === 1 ? "the one place waits for its answer" : `each of the ${count(places)} places waits for its answer`} before it calls again, so that a`,
    `stall hides the calls it has kept from being made. They are added here, as if a place called every ${microsText(correction.intervalMicros)}, its`,
    "average. That is an estimate; --rate N measures it.",
  ];
}

function errorLines({ errors }: Report): string[] {
  const all = Object.entries(errors);
  if (all.length === 0) return [];
  const width = Math.max(...all.map(([, one]) => count(one.count).length));
  return [
    "",
    "errors",
    ...all.map(([code, one]) =>
      `  ${code.padEnd(20)}${count(one.count).padStart(width)}   ${one.message}`.trimEnd(),
    ),
  ];
}

function remarks(report: Report): string[] {
  const { connectionEvents, generatorCpu, lateMicros, rate, unsent } = report;
  const { resumed, lost, down } = connectionEvents;
  const found: string[] = [];
  if (resumed + lost + down > 0)
    found.push(
      `Connections broke: ${resumed} came back with their session, ${lost} without it, ${down} were down at the end.`,
    );
  if (unsent > 0)
    found.push(
      `The server did not keep up with ${count(rate ?? 0)} calls/s. The calls that were never sent count with the time they have waited, which is less than they would have taken.`,
    );
  if (lateMicros !== null && unsent === 0 && lateMicros.p99 > LATE_US)
    found.push(
      `1% of the calls went out ${microsText(lateMicros.p99)} or more after their moment: all places were taken, or this process was busy.`,
    );
  if (rate === null && generatorCpu > SATURATED_CPU)
    found.push(
      `This process kept ${generatorCpu.toFixed(2)} processors busy: it may be the bottleneck, not the server. Run several at a time.`,
    );
  return found;
}
