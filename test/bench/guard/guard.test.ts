import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Baseline, compare, type Figure, printedComparison } from "../../../src/bench/guard/compare.js";
import { GUARD_SCENARIOS, QUANTITIES } from "../../../src/bench/guard/quantities.js";
import { measureGuard, STEADY } from "../../../src/bench/guard/run.js";
import { WASTED_BYTES } from "./wrapped.js";

const committed = JSON.parse(readFileSync("src/bench/guard/baseline.json", "utf8")) as Baseline;

const figure = (value: number, noise: number, quantity = "heapBytes"): Figure => ({
  scenario: "unary-32B-64",
  quantity,
  value,
  noise,
});
const verdict = (before: Figure, now: Figure) => compare([before], [now])[0]?.verdict;

describe("what is set beside the last release", () => {
  it("is worse only by more than the noise of both measurements", () => {
    expect(verdict(figure(1_000, 0), figure(1_004, 0))).toBe("same");
    expect(verdict(figure(1_000, 0), figure(1_006, 0))).toBe("worse");
    expect(verdict(figure(1_000, 0.05), figure(1_060, 0.02))).toBe("same");
    expect(verdict(figure(1_000, 0.03), figure(1_060, 0.02))).toBe("worse");
    expect(verdict(figure(1_000, 0), figure(900, 0))).toBe("better");
    expect(verdict(figure(0, 0), figure(1, 0))).toBe("worse");
    expect(verdict(figure(0, 0), figure(0, 0))).toBe("same");
  });

  it("is worse when there is less of what is good", () => {
    expect(verdict(figure(2, 0.1, "callsToWs"), figure(1.7, 0.01, "callsToWs"))).toBe("worse");
    expect(verdict(figure(2, 0.1, "callsToWs"), figure(2.5, 0.01, "callsToWs"))).toBe("better");
  });

  it("is named when only one of the two has it", () => {
    expect(compare([], [figure(1, 0)])[0]).toMatchObject({ verdict: "new", before: undefined, now: 1 });
    expect(compare([figure(1, 0)], [])[0]).toMatchObject({ verdict: "not measured", now: undefined });
  });

  it("is printed with what it was, what it is, and a mark where it got worse", () => {
    const baseline: Baseline = {
      version: "1.2.3",
      commit: "abc",
      date: "2026-11-21",
      node: "v24.21.0",
      arch: "x64",
      figures: [figure(1_000, 0), figure(145, 0, "wireBytes")],
    };
    const printed = printedComparison(
      compare(baseline.figures, [figure(1_100, 0), figure(145, 0, "wireBytes")]),
      baseline,
    );
    expect(printed).toContain("1.2.3");
    expect(printed).toMatch(/JS heap allocated, B .* 1,000 .* 1,100 .* \+10\.0% .* ✗ worse/);
    expect(printed).toMatch(/bytes on the wire .* 145 .* 145 .* 0\.0% .*±0\.5%\s*│\s*║/);
  });
});

describe("the committed figures", () => {
  it("are those of known scenarios and quantities", () => {
    for (const { scenario, quantity, value, noise } of committed.figures) {
      expect(GUARD_SCENARIOS.map(({ name }) => name)).toContain(scenario);
      expect(Object.keys(QUANTITIES)).toContain(quantity);
      expect(value).toBeGreaterThan(0);
      expect(noise).toBeGreaterThanOrEqual(0);
    }
  });
});

describe("a measurement", () => {
  const scenarios = GUARD_SCENARIOS.filter(({ name }) => name === "unary-32B-64");

  it("gives the same again, and shows what a client allocates more for each call", async () => {
    // A wrapper around a client costs something of its own, and not always the same: it is around both.
    const frugal = join(import.meta.dirname, "frugal.ts");
    const before = await measureGuard({ scenarios, processes: 2, module: frugal });
    const again = await measureGuard({ scenarios, processes: 2, module: frugal });
    expect(compare(before.figures, again.figures).map(({ verdict }) => verdict)).not.toContain("worse");
    const module = join(import.meta.dirname, "wasteful.ts");
    const wasteful = await measureGuard({ scenarios, processes: 2, module });
    const marked = compare(before.figures, wasteful.figures).filter(({ verdict }) => verdict === "worse");
    expect(marked).toHaveLength(1);
    expect(marked[0]).toMatchObject({ quantity: "heapBytes" });
    const { before: value = 0, change = 0 } = marked[0] ?? {};
    expect(value * change).toBeGreaterThan(0.9 * WASTED_BYTES);
    expect(value * change).toBeLessThan(1.1 * WASTED_BYTES);
  });

  it("begins its rounds when what was collected is off the count, however busy other threads are", () => {
    const script = `
      const left = [];
      for (let round = 0; round < 5; round++) {
        gc();
        const before = process.memoryUsage().arrayBuffers;
        for (let i = 0; i < 40_000; i++) new ArrayBuffer(64);
        gc();
        left.push(process.memoryUsage().arrayBuffers - before);
      }
      console.log(JSON.stringify(left));`;
    const left = JSON.parse(execFileSync(process.execPath, [...STEADY, "-e", script], { encoding: "utf8" }));
    // Of 2.5 MB that are allocated in a round.
    expect(Math.max(...left)).toBeLessThan(100_000);
  });

  it("breaks when the contender does", async () => {
    const module = join(import.meta.dirname, "guard.test.ts");
    await expect(measureGuard({ scenarios, module })).rejects.toThrow();
  });
});
