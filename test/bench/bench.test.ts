import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, describe, expect, it } from "vitest";

const run = promisify(execFile);
const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "hawser-bench-"));
  folders.push(folder);
  return folder;
}

const bench = (...args: string[]) => run(process.execPath, ["--import", "tsx", "src/bench/main.ts", ...args]);
const small = [
  "--quick",
  "--rounds",
  "1",
  "--scenario",
  "unary-32B-1",
  "--contender",
  "ws",
  "--contender",
  "hawser",
];

describe("the benchmark harness", () => {
  it("measures contenders in every round, prints ratios beside aims, and writes rows", async () => {
    const file = join(makeFolder(), "result.json");
    const { stdout, stderr } = await bench(...small, "--json", file);
    expect(stdout).toMatch(/unary-32B-1 .* ws .*(✓|✗) p50 [\d.]+ \(≤ 1.1\)/);
    expect(stderr).toContain("round 1 of 1, hawser");
    const { rows } = JSON.parse(readFileSync(file, "utf8"));
    for (const contender of ["ws", "hawser"]) {
      for (const [metric, unit] of [
        ["callsPerSecond", "1/s"],
        ["p50Micros", "µs"],
        ["serverCpuMicrosPerCall", "µs"],
        ["clientCpuMicrosPerCall", "µs"],
        ["serverRssBytes", "B"],
      ]) {
        const row = rows.find(
          (row: { contender: string; metric: string }) =>
            row.contender === contender && row.metric === metric,
        );
        expect(Object.keys(row)).toEqual(["scenario", "contender", "metric", "unit", "median", "min", "max"]);
        expect(row).toMatchObject({ scenario: "unary-32B-1", unit });
        expect(row.median).toBeGreaterThan(0);
        expect(row.min).toBeLessThanOrEqual(row.median);
        expect(row.max).toBeGreaterThanOrEqual(row.median);
      }
    }
  });

  it("leaves a CPU profile of every process", async () => {
    const folder = makeFolder();
    await bench(...small, "--profile", folder);
    expect(readdirSync(folder).sort()).toEqual([
      "hawser-client-unary-32B-1.cpuprofile",
      "hawser-server-unary-32B-1.cpuprofile",
      "ws-client-unary-32B-1.cpuprofile",
      "ws-server-unary-32B-1.cpuprofile",
    ]);
  });

  it.each([
    [["--bogus"], "Unknown option '--bogus'"],
    [["--rounds", "none"], "--rounds must be a whole number from 1 up, not none"],
    [["extra"], "Unexpected argument 'extra'"],
    [["--scenario", "nothing like it"], 'no scenario contains "nothing like it"'],
    [["--contender", "nobody"], 'no contender is called "nobody"'],
  ])("says what is wrong with %j", async (args, message) => {
    await expect(bench(...args)).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining(message) });
  });
});
