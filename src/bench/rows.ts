/** What one measurement found, by metric, as in `callsPerSecond`. */
export type Sample = Readonly<Record<string, number>>;

/** A metric of a contender in a scenario, over all rounds. */
export interface Row {
  readonly scenario: string;
  readonly contender: string;
  readonly metric: string;
  readonly unit: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Units of metrics, by how their names end or begin. */
const UNITS: readonly (readonly [RegExp, string])[] = [
  [/PerSecond$/, "1/s"],
  [/Micros/, "µs"],
  [/Bytes/i, "B"],
  [/Percent$/, "%"],
];

/** The unit of a metric. @throws Error when its name tells of none. */
export function unitOf(metric: string): string {
  const unit = UNITS.find(([pattern]) => pattern.test(metric))?.[1];
  if (unit === undefined) throw new Error(`the metric "${metric}" has no unit`);
  return unit;
}

/** The middle one of some numbers; of an even number of them, what is halfway between the two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Sums up the rounds of a contender. */
export function summarise(scenario: string, contender: string, samples: readonly Sample[]): Row[] {
  const metrics = Object.keys(samples[0] ?? {});
  return metrics.map((metric) => {
    const values = samples.map((sample) => sample[metric] ?? Number.NaN);
    return {
      scenario,
      contender,
      metric,
      unit: unitOf(metric),
      median: median(values),
      min: Math.min(...values),
      max: Math.max(...values),
    };
  });
}

/** A number as one reads it: `238,791`, `12.4`, `0.42`. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1_000) return Math.round(value).toLocaleString("en");
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}
