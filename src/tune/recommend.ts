import type { Measured } from "./measure.js";

/** Below this part saved, compression is not worth its processor time. */
const LEAST_SAVED = 0.1;
/** So much more has to be saved for memory on every connection. */
const WORTH_MEMORY = 0.1;
/** Fewer samples tell little. */
export const FEW_SAMPLES = 20;

/** What to do, and why. */
export interface Recommendation {
  /** To be pasted into the options of both sides. */
  readonly option: string;
  readonly reason: string;
}

/**
 * What the figures say.
 *
 * @param measured of the profiles, with one message in a packet and with several
 */
export function recommend(measured: readonly Measured[]): Recommendation {
  const of = (name: string) => measured.filter((one) => one.name === name);
  const saved = (name: string) => 1 - average(of(name).map(({ ratio }) => ratio));
  const cost = (name: string) => average(of(name).map(({ deflateUs, inflateUs }) => deflateUs + inflateUs));
  const percent = (part: number) => `${Math.round(part * 100)}%`;
  const balanced = saved("balanced");
  const ratio = saved("ratio");
  const micro = (name: string) => `${cost(name).toFixed(1)} µs of processor time per message and side`;
  if (Math.max(balanced, ratio) < LEAST_SAVED) {
    const never = of("balanced").every(({ compressed }) => compressed === 0);
    const why = never
      ? "no packet was worth compressing: they are too short, or compressed already"
      : `only ${percent(Math.max(balanced, ratio))} would be saved`;
    return { option: 'compression: "off"', reason: why };
  }
  if (ratio - balanced >= WORTH_MEMORY) {
    const kib = Math.round((of("ratio")[0]?.memoryBytes ?? 0) / 1024);
    return {
      option: balanced >= LEAST_SAVED ? 'compression: "balanced"' : 'compression: "ratio"',
      reason:
        `"balanced" saves ${percent(balanced)} for ${micro("balanced")} and no memory; "ratio" saves ${percent(ratio)} for ` +
        `${micro("ratio")} and ${kib} KiB per connection on each side: take it where a gigabyte for every ` +
        `${Math.floor(2 ** 20 / kib).toLocaleString("en")} connections is less dear than the bytes`,
    };
  }
  return {
    option: 'compression: "balanced"',
    reason: `it saves ${percent(balanced)} for ${micro("balanced")}, and nothing is kept for a connection`,
  };
}

function average(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
