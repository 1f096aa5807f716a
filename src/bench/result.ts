import type { Row } from "./rows.js";

/** What a run of the benchmarks has found, as `--json` writes it. */
export interface BenchResult {
  /** Version of Node. */
  readonly node: string;
  readonly cpu: string;
  readonly cpus: number;
  readonly platform: string;
  /** When the run began, as in ISO 8601. */
  readonly date: string;
  readonly quick: boolean;
  readonly rounds: number;
  /** Settings of those who took part, by name. */
  readonly contenders: Readonly<Record<string, string>>;
  /** Measurements that could not be made, and why. */
  readonly failures: readonly string[];
  readonly rows: readonly Row[];
}
