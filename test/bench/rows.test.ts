import { describe, expect, it } from "vitest";
import { AIMS, aimText, reachedAims } from "../../src/bench/aims.js";
import { withFigures } from "../../src/bench/docs.js";
import { GROUPS, metricText } from "../../src/bench/report/groups.js";
import { type BenchResult, merge } from "../../src/bench/result.js";
import { formatNumber, median, type Row, summarise, unitOf } from "../../src/bench/rows.js";
import { SCENARIOS } from "../../src/bench/scenarios.js";

const row = (
  contender: string,
  middle: number,
  scenario = "unary-32B-64",
  metric = "callsPerSecond",
): Row => ({
  scenario,
  contender,
  metric,
  unit: "1/s",
  median: middle,
  min: middle,
  max: middle,
});

const result = (rows: readonly Row[], changes: Partial<BenchResult> = {}): BenchResult => ({
  node: "v24.21.0",
  cpu: "a CPU",
  cpus: 2,
  platform: "linux x64",
  date: "2026-11-21T10:00:00.000Z",
  quick: false,
  rounds: 3,
  contenders: Object.fromEntries(rows.map(({ contender }) => [contender, `how ${contender} is set up`])),
  failures: [],
  rows,
  ...changes,
});

describe("rows", () => {
  it("take the middle of the samples", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
  });

  it("hold median, lowest and highest of each metric, and its unit", () => {
    const samples = [
      { callsPerSecond: 10, serverCpuMicrosPerCall: 4 },
      { callsPerSecond: 30, serverCpuMicrosPerCall: 2 },
      { callsPerSecond: 20, serverCpuMicrosPerCall: 3 },
    ];
    expect(summarise("unary-32B-64", "ws", samples)).toEqual([
      {
        scenario: "unary-32B-64",
        contender: "ws",
        metric: "callsPerSecond",
        unit: "1/s",
        median: 20,
        min: 10,
        max: 30,
      },
      {
        scenario: "unary-32B-64",
        contender: "ws",
        metric: "serverCpuMicrosPerCall",
        unit: "µs",
        median: 3,
        min: 2,
        max: 4,
      },
    ]);
  });

  it("know the unit of every metric by its name", () => {
    expect(
      ["p99Micros", "heapBytesPerConnection", "wireBytesPerCall", "deliveriesPerSecond"].map(unitOf),
    ).toEqual(["µs", "B", "B", "1/s"]);
    expect(() => unitOf("colour")).toThrow('the metric "colour" has no unit');
  });

  it("are written as one reads them", () => {
    expect([238_790.6, 123.4, 12.34, 0.416, Number.NaN].map(formatNumber)).toEqual([
      "238,791",
      "123",
      "12.3",
      "0.42",
      "–",
    ]);
  });
});

describe("aims", () => {
  const aim = {
    scenario: "unary-32B-64",
    metric: "callsPerSecond",
    contender: "hawser",
    against: "ws",
  } as const;

  it("are met at their bound and beyond it", () => {
    const rows = [row("hawser", 150), row("ws", 100)];
    const met = (bound: { least?: number; most?: number }) => reachedAims(rows, [{ ...aim, ...bound }])[0];
    expect(met({ least: 1.5 })).toMatchObject({ ratio: 1.5, met: true });
    expect(met({ least: 1.51 })).toMatchObject({ met: false });
    expect(met({ most: 1.5 })).toMatchObject({ met: true });
    expect(met({ most: 1.49 })).toMatchObject({ met: false });
  });

  it("are left out when one side was not measured", () => {
    expect(reachedAims([row("hawser", 150)], [{ ...aim, least: 1 }])).toEqual([]);
    const other = row("ws", 100, "unary-32B-8");
    expect(reachedAims([row("hawser", 150), other], [{ ...aim, least: 1 }])).toEqual([]);
  });

  it("name scenarios that measure both sides, and have one bound", () => {
    for (const aim of AIMS) {
      const scenario = SCENARIOS.find(({ name }) => name === aim.scenario);
      expect(scenario?.contenders, aim.scenario).toEqual(
        expect.arrayContaining([aim.contender, aim.against]),
      );
      expect((aim.least === undefined) !== (aim.most === undefined)).toBe(true);
      expect(aimText(aim)).toMatch(/^[≥≤] [\d.]+$/);
    }
  });
});

describe("scenarios", () => {
  it("have names of their own, and all are in the report", () => {
    const names = SCENARIOS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const grouped = new Set(GROUPS.flatMap(({ scenarios }) => scenarios));
    expect(names.filter((name) => !grouped.has(name))).toEqual([]);
  });

  it("measure raw net, raw ws and Hawser in a quick run of the first aims", () => {
    const quick = SCENARIOS.filter((scenario) => scenario.quick);
    expect(quick.map(({ name }) => name)).toEqual([
      "unary-32B-64",
      "unary-1KiB-64",
      "unary-64KiB-8",
      "unary-32B-1",
      "unary-32B-8",
      "unary-32B-8x8",
      "push-32B",
    ]);
    for (const { contenders } of quick)
      expect(contenders).toEqual(expect.arrayContaining(["net", "ws", "hawser"]));
  });

  it("cover every depth from 1 to 256 on one connection", () => {
    const names = new Set(SCENARIOS.map(({ name }) => name));
    for (let depth = 1; depth <= 256; depth *= 2) expect(names).toContain(`unary-32B-${depth}`);
    for (const name of ["unary-32B-8x1", "unary-32B-8x32", "unary-32B-64x1", "unary-32B-64x4"])
      expect(names).toContain(name);
  });
});

describe("results", () => {
  it("of one machine become one; of a scenario that is in both, the later counts", () => {
    const merged = merge([
      result([row("ws", 1), row("net", 2, "push-32B")], { failures: ["one"] }),
      result([row("hawser", 3)], { failures: ["two"] }),
    ]);
    expect(merged.rows).toEqual([row("hawser", 3), row("net", 2, "push-32B")]);
    expect(Object.keys(merged.contenders).sort()).toEqual(["hawser", "net", "ws"]);
    expect(merged.failures).toEqual(["one", "two"]);
  });

  it("that were not made alike stay apart", () => {
    expect(() => merge([result([]), result([], { rounds: 1 })])).toThrow(
      'runs with different "rounds" (3 and 1) cannot be put together',
    );
    expect(() => merge([])).toThrow("there is no run");
  });

  it("are written between the marks of a page, and nowhere else", () => {
    const page =
      "before\n<!-- figures: written by npm run bench -- --write-docs -->\nold\n<!-- end of figures -->\nafter\n";
    const written = withFigures(page, result([row("hawser", 301_000), row("ws", 200_000)]));
    expect(written).toMatch(/^before\n/);
    expect(written).toMatch(/<!-- end of figures -->\nafter\n$/);
    expect(written).not.toContain("old");
    expect(written).toContain("| hawser | 301,000 (301,000 … 301,000) |");
    expect(written).toContain("| `unary-32B-64` | calls per second | hawser ÷ ws | ≥ 1.5 | 1.50 |");
    expect(written).toContain("| `ws` | how ws is set up |");
    expect(() => withFigures("no marks", result([]))).toThrow("the page has no place for figures");
  });

  it("have words for their metrics", () => {
    expect(metricText("serverCpuMicrosPerCall")).toBe("server CPU per call, µs");
    expect(metricText("p50Micros")).toBe("time of a call, 50th percentile, µs");
    expect(metricText("heapBytesPerConnection")).toBe("JS heap per connection, B");
  });
});
