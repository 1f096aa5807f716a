import { SCENARIOS } from "../scenarios.js";

/** A part of the report. */
export interface ReportGroup {
  readonly title: string;
  readonly text: string;
  /** One chart of bars for each scenario, or one of lines for each number of connections. */
  readonly kind: "bars" | "curve";
  /** Names of its scenarios. */
  readonly scenarios: readonly string[];
}

const named = (pattern: RegExp): readonly string[] =>
  SCENARIOS.map(({ name }) => name).filter((name) => pattern.test(name));

/** The parts of the report, in its order. */
export const GROUPS: readonly ReportGroup[] = [
  {
    title: "Unary calls",
    text: "A typed message {uint64 id, string name, bytes body} goes to the server and comes back; length and id of every reply are checked.",
    kind: "bars",
    scenarios: SCENARIOS.filter(({ name, quick }) => quick && name.startsWith("unary-")).map(
      ({ name }) => name,
    ),
  },
  {
    title: "Calls in flight",
    text: "Calls per second by how many are in flight on all connections together, 32 B.",
    kind: "curve",
    scenarios: named(/^unary-32B-/),
  },
  {
    title: "Streams",
    text: "Messages per second over one stream, 32 B, each checked.",
    kind: "bars",
    scenarios: named(/^(push|upload|bidi)-/),
  },
  {
    title: "Fan-out",
    text: "Deliveries per second to 1,000 connections of one process that only looks for the last message.",
    kind: "bars",
    scenarios: named(/^fanout-/),
  },
  {
    title: "Storms",
    text: "Connections per second when all come at once, each with one call.",
    kind: "bars",
    scenarios: named(/-storm-/),
  },
  {
    title: "Memory of a connection",
    text: "What the server's heap and resident memory grow by, after garbage has been collected.",
    kind: "bars",
    scenarios: named(/^(idle|subscribed)-/),
  },
  {
    title: "Between nodes",
    text: "From publishing on one node to receiving on another.",
    kind: "bars",
    scenarios: named(/^cross-node-/),
  },
  {
    title: "Compression",
    text: "JSON records of 1 KiB, each another one.",
    kind: "bars",
    scenarios: named(/^compression-/),
  },
  {
    title: "What parts of Hawser cost",
    text: "Each part beside Hawser without it.",
    kind: "bars",
    scenarios: named(/^(outbox|keys|limits)-/),
  },
];

/** Words for metrics; for those that are not here, their name says it. */
const METRICS: readonly (readonly [RegExp, string])[] = [
  [/^(\w+)PerSecond$/, "$1 per second"],
  [/^serverCpuMicrosPer(\w+)$/, "server CPU per $1, µs"],
  [/^clientCpuMicrosPer(\w+)$/, "client CPU per $1, µs"],
  [/^wireBytesPer(\w+)$/, "bytes on the wire per $1"],
  [/^heapBytesPer(\w+)$/, "JS heap per $1, B"],
  [/^rssBytesPer(\w+)$/, "resident memory per $1, B"],
  [/^externalBytesPer(\w+)$/, "buffers per $1, B"],
  [/^serverRssBytes$/, "resident memory of the server, B"],
  [/^foreignCpuPercent$/, "CPU that other processes used, %"],
  [/^p(\d+)Micros$/, "time of a call, $1th percentile, µs"],
];

/** A metric in words. */
export function metricText(metric: string): string {
  const found = METRICS.find(([pattern]) => pattern.test(metric));
  return found === undefined
    ? metric
    : metric.replace(found[0], found[1]).replace(/per [A-Z]/, (words) => words.toLowerCase());
}

/** Whether less is better. */
export function lessIsBetter(metric: string): boolean {
  return !metric.endsWith("PerSecond");
}
