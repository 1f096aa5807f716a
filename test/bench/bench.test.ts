import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, describe, expect, it } from "vitest";
import { median } from "../../src/bench/run.js";

const run = promisify(execFile);
const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const bench = (...args: string[]) => run(process.execPath, ["--import", "tsx", "src/bench/main.ts", ...args]);

describe("the benchmark harness", () => {
  it("measures both contenders in every round and prints medians and ratios", async () => {
    const folder = mkdtempSync(join(tmpdir(), "hawser-bench-"));
    folders.push(folder);
    const file = join(folder, "samples.json");
    const { stdout } = await bench("--quick", "--rounds", "1", "--scenario", "1 in flight", "--json", file);
    expect(stdout).toMatch(/raw ws .*p50 µs/);
    expect(stdout).toMatch(/hawser .*p50 µs/);
    const { rows } = JSON.parse(readFileSync(file, "utf8"));
    expect(rows).toHaveLength(1);
    for (const name of ["raw ws", "hawser"]) {
      const [sample] = rows[0].samples[name];
      expect(sample.value).toBeGreaterThan(0);
      expect(sample.serverCpuUs).toBeGreaterThan(0);
    }
  });

  it("leaves a CPU profile of every process", async () => {
    const folder = mkdtempSync(join(tmpdir(), "hawser-bench-"));
    folders.push(folder);
    await bench("--quick", "--rounds", "1", "--scenario", "1 in flight", "--profile", folder);
    expect(readdirSync(folder).sort()).toEqual([
      "hawser-client-unary-1-in-flight-32-b.cpuprofile",
      "hawser-server-unary-1-in-flight-32-b.cpuprofile",
      "raw-ws-client-unary-1-in-flight-32-b.cpuprofile",
      "raw-ws-server-unary-1-in-flight-32-b.cpuprofile",
    ]);
  });

  it.each([
    [["--bogus"], "Unknown option '--bogus'"],
    [["--rounds", "none"], "--rounds must be a whole number from 1 up, not none"],
    [["extra"], "Unexpected argument 'extra'"],
    [["--scenario", "nothing like it"], 'no scenario contains "nothing like it"'],
  ])("says what is wrong with %j", async (args, message) => {
    await expect(bench(...args)).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining(message) });
  });

  it("takes the middle of the samples", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
  });
});
