import os from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { createProcessReader, parseProcStat, parsePs } from "../../src/demo/host/processes.js";
import { createLoadReader, readDisk, readHost, readMemory } from "../../src/demo/host/readings.js";
import { createSampler, MAX_PROCESSES } from "../../src/demo/host/sampler.js";

describe("readings of this machine", () => {
  test("say what machine it is", () => {
    const host = readHost();
    expect(host.hostname).toBe(os.hostname());
    expect(host.cpuCount).toBeGreaterThan(0);
    expect(host.system).toContain(os.release());
  });

  test("load is a share, and near one processor's while this process keeps one busy", async () => {
    const read = createLoadReader();
    read();
    const until = performance.now() + 600;
    while (performance.now() < until) Math.sqrt(performance.now());
    const { busy, averages } = read();
    expect(busy).toBeGreaterThan(0.5 / os.cpus().length);
    expect(busy).toBeLessThanOrEqual(1);
    if (process.platform === "win32") expect(averages).toBeUndefined();
    else expect(averages).toEqual(os.loadavg());
    // A second reader close by does not shorten the span: the share stays.
    expect(read().busy).toBe(busy);
  });

  test("memory and disk have a size, and not more available than that", async () => {
    for (const { total, available } of [await readMemory(), await readDisk(process.cwd())]) {
      expect(total).toBeGreaterThan(1e6);
      expect(available).toBeGreaterThan(0);
      expect(available).toBeLessThanOrEqual(total);
    }
  });

  test("the list of processes holds this one, with its memory", async () => {
    const read = createProcessReader();
    await read();
    await delay(50);
    const list = await read();
    if (process.platform === "win32") {
      expect(list).toMatchObject({ entries: [], unavailable: expect.stringContaining("Windows") });
      return;
    }
    const self = list.entries.find((entry) => entry.pid === process.pid);
    const { rss } = process.memoryUsage();
    expect(self?.resident).toBeGreaterThan(rss / 2);
    expect(self?.resident).toBeLessThan(rss * 2);
    expect(list.entries.map((entry) => entry.cpu)).toEqual(
      list.entries.map((entry) => entry.cpu).toSorted((a, b) => b - a),
    );
  });

  test("a platform without a list says why", async () => {
    const list = await createProcessReader("win32")();
    expect(list).toEqual({ entries: [], unavailable: expect.stringMatching(/.+/) });
  });

  test("a reading carries all of it, and never too many processes", async () => {
    const sampler = createSampler();
    const none = await sampler.read(0);
    expect(none.processes?.processes).toEqual([]);
    const reading = await sampler.read(10_000);
    expect(reading.processes?.processes.length).toBeLessThanOrEqual(MAX_PROCESSES);
    expect(Math.abs(timestampMs(reading.takenAt!) - Date.now())).toBeLessThan(5_000);
    expect(Number(reading.uptime?.seconds)).toBeGreaterThan(0);
    expect(reading.disk?.path).toBe(process.cwd());
    expect(reading.memory?.total).toBe(BigInt(os.totalmem()));
  });
});

describe("what the system prints", () => {
  test("a name with spaces and parentheses in /proc/<pid>/stat", () => {
    const numbers = Array.from({ length: 50 }, (_, index) => index + 4).join(" ");
    expect(parseProcStat(`42 (tmux: (a) b) S ${numbers}\n`)).toEqual({
      name: "tmux: (a) b",
      ticks: 14 + 15,
      startTicks: 22,
      residentPages: 24,
    });
    expect(parseProcStat("")).toBeUndefined();
    expect(parseProcStat("42 (sh) S 1 2")).toBeUndefined();
  });

  test("the columns of ps, as macOS and others write them", () => {
    const output = [
      "  PID  %CPU    RSS COMM",
      "    1   0.0  12345 /sbin/launchd",
      "  512 101,5 204800 /Applications/Some App.app/Contents/MacOS/Some App",
      "broken",
    ].join("\n");
    expect(parsePs(output)).toEqual([
      { pid: 1, name: "launchd", cpu: 0, resident: 12_345 * 1024 },
      { pid: 512, name: "Some App", cpu: 1.015, resident: 204_800 * 1024 },
    ]);
  });
});
