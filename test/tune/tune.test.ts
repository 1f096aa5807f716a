import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PROFILES } from "../../src/compression/settings.js";
import { seededRandom } from "../../src/testing/index.js";
import { type Measured, measure, packetsOf } from "../../src/tune/measure.js";
import { recommend } from "../../src/tune/recommend.js";
import { messagesOf, SampleError } from "../../src/tune/samples.js";
import { decodePacket } from "../../src/wire/decode.js";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (list: readonly Uint8Array[]) => list.map((one) => new TextDecoder().decode(one));

const record = (id: number) =>
  bytes(
    JSON.stringify({
      id: id * 7_919,
      name: `user ${id % 17}`,
      status: ["open", "paid"][id % 2],
      tags: ["a", "b", "c"],
      note: "delivered to the door ".repeat(12),
    }),
  );
const RECORDS = Array.from({ length: 100 }, (_, id) => record(id));
const random = seededRandom(5);
const NOISE = Array.from({ length: 60 }, () => Uint8Array.from({ length: 900 }, () => random() * 256));

describe("samples", () => {
  it("are whole files, lines, or delimited", () => {
    expect(text(messagesOf(bytes("a\nb"), "file", "f"))).toEqual(["a\nb"]);
    expect(messagesOf(bytes(""), "file", "f")).toEqual([]);
    expect(text(messagesOf(bytes("a\r\n\nbc\n\nd"), "lines", "f"))).toEqual(["a", "bc", "d"]);
    const long = "x".repeat(300);
    const stream = Buffer.concat([Buffer.from([1]), bytes("a"), Buffer.from([0, 0xac, 0x02]), bytes(long)]);
    expect(text(messagesOf(stream, "delimited", "f"))).toEqual(["a", long]);
  });

  it.each([
    [[5, 1, 2], "f.bin: the message at byte 0 should have 5 bytes, and the file has 2 more"],
    [[1, 7, 0x80], "f.bin: there is no length at byte 2"],
    [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], "f.bin: there is no length at byte 0"],
  ])("that are not delimited are refused: %j", (data, message) => {
    expect(() => messagesOf(Uint8Array.from(data), "delimited", "f.bin")).toThrow(SampleError);
    expect(() => messagesOf(Uint8Array.from(data), "delimited", "f.bin")).toThrow(message);
  });
});

describe("measuring", () => {
  it("sends packets as Hawser makes them", () => {
    const packets = packetsOf(RECORDS, 16);
    expect(packets.map((packet) => decodePacket(packet).frames.length)).toEqual([16, 16, 16, 16, 16, 16, 4]);
    expect(packetsOf([new Uint8Array(60_000), new Uint8Array(60_000)], 16)).toHaveLength(2);
  });

  it("tells what is saved, and what it costs", () => {
    const off = measure("off", undefined, RECORDS, 16, 1);
    const balanced = measure("balanced", PROFILES.balanced, RECORDS, 16, 1);
    const ratio = measure("ratio", PROFILES.ratio, RECORDS, 1, 1);
    expect(off).toMatchObject({ ratio: 1, deflateUs: 0, memoryBytes: 0 });
    expect(balanced.ratio).toBeLessThan(0.3);
    expect(balanced.bytes / off.bytes).toBeCloseTo(balanced.ratio, 5);
    expect(balanced.deflateUs).toBeGreaterThan(0);
    expect([balanced.memoryBytes, balanced.compressed]).toEqual([0, 1]);
    expect(ratio.memoryBytes).toBeGreaterThan(256 * 1024);
    expect(measure("balanced", PROFILES.balanced, NOISE, 1, 1)).toMatchObject({ compressed: 0, ratio: 1 });
  });
});

describe("the recommendation", () => {
  const measured = (balanced: number, ratio: number, compressed = 1): Measured[] =>
    (["balanced", "ratio"] as const).map((name) => ({
      name,
      settings: PROFILES[name],
      batch: 1,
      bytes: 100,
      ratio: name === "balanced" ? balanced : ratio,
      deflateUs: 5,
      inflateUs: 1,
      memoryBytes: name === "ratio" ? 300 * 1024 : 0,
      compressed,
    }));

  it.each([
    ["nothing to save", measured(1, 1, 0), "off", "too short, or compressed already"],
    ["little to save", measured(0.95, 0.93), "off", "only 7% would be saved"],
    ["much to save", measured(0.3, 0.28), "balanced", "it saves 70% for 6.0 µs"],
    ["more with memory", measured(0.6, 0.3), "balanced", '"ratio" saves 70%'],
    ["only with memory", measured(1, 0.4), "ratio", "300 KiB per connection on each side"],
  ])("for %s", (_, figures, option, reason) => {
    expect(recommend(figures).option).toBe(`compression: "${option}"`);
    expect(recommend(figures).reason).toContain(reason);
  });
});

describe("hawser tune", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "hawser-tune-"));
    writeFileSync(
      join(folder, "records.ndjson"),
      Buffer.concat(RECORDS.map((one) => Buffer.concat([one, Buffer.from("\n")]))),
    );
    writeFileSync(join(folder, "empty"), "");
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const tune = (...options: string[]) =>
    new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      execFile(
        process.execPath,
        ["--import", "tsx", "src/cli/main.ts", "tune", ...options],
        (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
      );
    });

  it("prints a table, a chart and a recommendation that fit a terminal, and writes JSON", async () => {
    const json = join(folder, "figures.json");
    const { code, stdout, stderr } = await tune(
      join(folder, "records.ndjson"),
      "--lines",
      "--quick",
      "--json",
      json,
    );
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("100 messages of ");
    for (const name of ["off", "memory", "balanced", "ratio"])
      expect(stdout).toMatch(new RegExp(`^${name} +\\d`, "m"));
    expect(stdout).toContain("One message in a packet:");
    expect(stdout).toContain("16 messages in a packet:");
    expect(stdout).toMatch(/compression: "(balanced|ratio)"/);
    for (const line of stdout.split("\n").filter((one) => /^(setting|off|memory|balanced|ratio)/.test(one)))
      expect(line.length).toBeLessThanOrEqual(120);
    const written = JSON.parse(readFileSync(json, "utf8"));
    expect(written).toMatchObject({
      messages: 100,
      recommendation: { option: expect.stringContaining("compression") },
    });
    expect(written.measured).toHaveLength(22);
  });

  it.each([
    [[], "Expected at least 1"],
    [["nowhere"], "nowhere cannot be read: ENOENT"],
    [["--lines", "--delimited", "x"], "exclude each other"],
    [["--batch", "0", "x"], "greater than or equal to 1"],
    [["--wrong", "x"], "Unexpected option or subcommand: `--wrong`"],
  ])("%j is explained", async (options, message) => {
    const { code, stderr } = await tune(...options);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });

  it("says that there is nothing, or little, to go by", async () => {
    expect((await tune(join(folder, "empty"))).stderr).toContain("there is no message in");
    expect((await tune(join(folder, "records.ndjson"), "--quick", "--batch", "1")).stdout).toContain(
      "They are few",
    );
    expect((await tune("--help")).stdout).toContain("hawser tune PATH... [OPTION...]");
  });
});
