import { build, encodeIntoCompressedBase64, type Histogram } from "hdr-histogram-js";

/** What was measured, in microseconds. */
export interface LatencyFigures {
  readonly count: number;
  readonly min: number;
  readonly mean: number;
  readonly p50: number;
  readonly p75: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly p999: number;
  readonly p9999: number;
  readonly max: number;
}

/** Longest latency that is told from others: one hour, in microseconds. */
const HIGHEST_US = 3_600_000_000;

/** Latencies in an HDR histogram: three significant digits, from 1 µs to an hour, in constant memory. */
export class Latencies {
  readonly #histogram: Histogram;

  constructor(
    histogram: Histogram = build({
      bitBucketSize: 64,
      lowestDiscernibleValue: 1,
      highestTrackableValue: HIGHEST_US,
      numberOfSignificantValueDigits: 3,
    }),
  ) {
    this.#histogram = histogram;
  }

  get count(): number {
    return this.#histogram.totalCount;
  }

  /** Takes a latency in, in milliseconds. */
  add(ms: number): void {
    this.#histogram.recordValue(Math.min(Math.max(0, Math.round(ms * 1_000)), HIGHEST_US));
  }

  /** In microseconds. @param percentile 0 to 100 */
  at(percentile: number): number {
    return this.#histogram.getValueAtPercentile(percentile);
  }

  /**
   * What a caller would have seen that calls once in `intervalMs` and does not wait for answers: a latency that is longer
   * than the interval stands for the calls, too, that were due meanwhile, and would have taken what was left of it. This is the
   * correction of HdrHistogram (Gil Tene, "How NOT to Measure Latency").
   */
  corrected(intervalMs: number): Latencies {
    const interval = Math.max(1, Math.round(intervalMs * 1_000));
    return new Latencies(this.#histogram.copyCorrectedForCoordinatedOmission(interval) as Histogram);
  }

  figures(): LatencyFigures | undefined {
    const histogram = this.#histogram;
    if (histogram.totalCount === 0) return undefined;
    return {
      count: histogram.totalCount,
      min: histogram.minNonZeroValue > HIGHEST_US ? 0 : histogram.minNonZeroValue,
      mean: Number(histogram.mean.toFixed(1)),
      p50: this.at(50),
      p75: this.at(75),
      p90: this.at(90),
      p95: this.at(95),
      p99: this.at(99),
      p999: this.at(99.9),
      p9999: this.at(99.99),
      max: histogram.maxValue,
    };
  }

  /** In the format that the tools of HdrHistogram read: compressed, in base64. */
  encode(): string {
    return encodeIntoCompressedBase64(this.#histogram);
  }
}
