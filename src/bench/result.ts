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

/**
 * Runs of one machine as one: a scenario that is in several of them counts as it is in the last.
 *
 * @throws Error when there is none, or they were not made alike.
 */
export function merge(results: readonly BenchResult[]): BenchResult {
  const [first] = results;
  if (first === undefined) throw new Error("there is no run to take figures from");
  const rows = new Map<string, readonly Row[]>();
  for (const one of results) {
    for (const key of ["node", "cpu", "cpus", "quick", "rounds"] as const) {
      if (first[key] !== one[key])
        throw new Error(
          `runs with different "${key}" (${first[key]} and ${one[key]}) cannot be put together`,
        );
    }
    for (const { scenario } of one.rows)
      rows.set(
        scenario,
        one.rows.filter((row) => row.scenario === scenario),
      );
  }
  return {
    ...first,
    contenders: Object.assign({}, ...results.map(({ contenders }) => contenders)) as Record<string, string>,
    failures: results.flatMap(({ failures }) => failures),
    rows: [...rows.values()].flat(),
  };
}
