import { table } from "table";
import { formatNumber } from "../rows.js";
import { QUANTITIES } from "./quantities.js";

/** Something that was measured. */
export interface Figure {
  readonly scenario: string;
  readonly quantity: string;
  readonly value: number;
  /** How far repeated measurements were apart, as a share of the value. */
  readonly noise: number;
}

/** The figures of a release, as they are committed. */
export interface Baseline {
  readonly version: string;
  /** What was measured; with changes on top of it, `-dirty` is behind it. */
  readonly commit: string;
  readonly date: string;
  /** Version of Node: another one allocates otherwise. */
  readonly node: string;
  readonly arch: string;
  readonly figures: readonly Figure[];
}

/** How a figure stands to that of the last release. */
export type Verdict = "same" | "better" | "worse" | "new" | "not measured";

/** A figure beside that of the last release. */
export interface Comparison {
  readonly scenario: string;
  readonly quantity: string;
  /** `undefined`: the last release has none. */
  readonly before: number | undefined;
  /** `undefined`: it could not be measured this time. */
  readonly now: number | undefined;
  /** The change as a share of what it was. */
  readonly change: number;
  /** A smaller change says nothing. */
  readonly noise: number;
  readonly verdict: Verdict;
}

/** Less than this is nobody's business, however steady the measurement is. */
const LEAST_CHANGE = 0.005;
/** Buffers are allocated in slabs: where one begins is chance. */
const LEAST_CHANGE_OF_BUFFERS = 0.015;
/** Two processes may be close to each other by chance, where time comes into it. */
const LEAST_CHANGE_OF_RATIO = 0.1;

function leastChange({ scenario, quantity }: Figure): number {
  if (scenario === "ratio") return LEAST_CHANGE_OF_RATIO;
  return quantity === "bufferBytes" ? LEAST_CHANGE_OF_BUFFERS : LEAST_CHANGE;
}

/** Sets figures beside those of the last release. What neither of the two measured is not there. */
export function compare(before: readonly Figure[], now: readonly Figure[]): Comparison[] {
  const key = ({ scenario, quantity }: Figure) => `${scenario} ${quantity}`;
  const keys = new Set([...now, ...before].map(key));
  return [...keys].map((wanted) => {
    const old = before.find((figure) => key(figure) === wanted);
    const fresh = now.find((figure) => key(figure) === wanted);
    const figure = (fresh ?? old) as Figure;
    const { scenario, quantity } = figure;
    const noise = Math.max(leastChange(figure), (old?.noise ?? 0) + (fresh?.noise ?? 0));
    const change = old === undefined || fresh === undefined ? 0 : relativeChange(old.value, fresh.value);
    return {
      scenario,
      quantity,
      before: old?.value,
      now: fresh?.value,
      change,
      noise,
      verdict: verdictOf(quantity, old, fresh, change, noise),
    };
  });
}

function relativeChange(before: number, now: number): number {
  if (before === now) return 0;
  return before === 0 ? Number.POSITIVE_INFINITY : (now - before) / Math.abs(before);
}

function verdictOf(
  quantity: string,
  before: Figure | undefined,
  now: Figure | undefined,
  change: number,
  noise: number,
): Verdict {
  if (now === undefined) return "not measured";
  if (before === undefined) return "new";
  if (Math.abs(change) <= noise) return "same";
  return change > 0 === (QUANTITIES[quantity]?.moreIsBetter ?? false) ? "better" : "worse";
}

const percent = (share: number): string =>
  Number.isFinite(share) ? `${share > 0 ? "+" : ""}${(100 * share).toFixed(1)}%` : "∞";

/** The comparison as a table for a terminal; what is worse than noise explains is marked. */
export function printedComparison(comparisons: readonly Comparison[], baseline: Baseline): string {
  const header = ["scenario", "quantity", `${baseline.version}`, "now", "change", "noise", ""];
  const lines = comparisons.map(({ scenario, quantity, before, now, change, noise, verdict }) => [
    scenario,
    QUANTITIES[quantity]?.title ?? quantity,
    before === undefined ? "" : formatNumber(before),
    now === undefined ? "" : formatNumber(now),
    before === undefined || now === undefined ? "" : percent(change),
    `±${(100 * noise).toFixed(1)}%`,
    verdict === "same" ? "" : verdict === "worse" ? "✗ worse" : verdict,
  ]);
  const alignment = "right" as const;
  return table([header, ...lines], {
    columns: { 2: { alignment }, 3: { alignment }, 4: { alignment }, 5: { alignment } },
    drawHorizontalLine: (index, count) => index <= 1 || index === count,
  });
}
