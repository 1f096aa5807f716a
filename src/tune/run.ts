// `hawser tune`: what compression does to a user's own messages, by profile and beyond.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CompressionSettings, PROFILES } from "../compression/settings.js";
import { type Measured, measure } from "./measure.js";
import { FEW_SAMPLES, recommend } from "./recommend.js";
import { messagesOf, SampleError, type SampleForm } from "./samples.js";

/** Beside the profiles: the same with more and with less effort, smaller windows, and what takeover alone does. */
const GRID: readonly (readonly [string, CompressionSettings | undefined])[] = [
  ["off", undefined],
  ["memory", PROFILES.memory],
  ["balanced", PROFILES.balanced],
  ["ratio", PROFILES.ratio],
  ["balanced, level 1", { ...PROFILES.balanced, level: 1 }],
  ["balanced, level 6", { ...PROFILES.balanced, level: 6 }],
  ["balanced, level 9", { ...PROFILES.balanced, level: 9 }],
  ["balanced, window 10", { ...PROFILES.balanced, windowBits: 10 }],
  ["balanced, threshold 64", { ...PROFILES.balanced, thresholdBytes: 64 }],
  ["ratio, level 1", { ...PROFILES.ratio, level: 1 }],
  ["ratio, window 11", { ...PROFILES.ratio, windowBits: 11, memLevel: 4 }],
];

const ROUNDS = 5;
/** More says nothing more, and takes long. */
const MOST_MESSAGES = 5_000;
const BAR = 40;

/** What to compress, and how thoroughly. */
export interface TuneOptions {
  /** Files, and folders whose files are all read. */
  readonly paths: readonly string[];
  readonly form: SampleForm;
  /** Messages that travel in one packet; each number is tried. */
  readonly batches: readonly number[];
  /** Everything is timed once only. */
  readonly quick: boolean;
  /** All figures are written to this file, as JSON. */
  readonly json: string | undefined;
}

/**
 * Compresses sample messages as Hawser would, and prints what each setting saves and costs.
 *
 * @throws SampleError when there is nothing to compress, or a file cannot be read or is not of that form.
 */
export function runTune({ paths, form, batches, quick, json }: TuneOptions): void {
  const messages = readSamples(paths, form);
  const rounds = quick ? 1 : ROUNDS;
  const measured = batches.flatMap((batch) =>
    GRID.map(([name, settings]) => measure(name, settings, messages, batch, rounds)),
  );
  print(messages, measured, batches);
  if (json === undefined) return;
  const whole = {
    node: process.version,
    messages: messages.length,
    measured,
    recommendation: recommend(measured),
  };
  writeFileSync(json, `${JSON.stringify(whole, null, 2)}\n`);
}

function readSamples(paths: readonly string[], form: SampleForm): Uint8Array[] {
  const files = paths.flatMap((path) => {
    try {
      if (!statSync(path).isDirectory()) return [path];
      return readdirSync(path, { recursive: true, encoding: "utf8" })
        .sort()
        .map((name) => join(path, name))
        .filter((file) => statSync(file).isFile());
    } catch (error) {
      throw new SampleError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
    }
  });
  const messages = files.flatMap((file) => messagesOf(readFileSync(file), form, file));
  if (messages.length === 0) throw new SampleError(`there is no message in ${paths.join(", ")}`);
  return messages.slice(0, MOST_MESSAGES);
}

function print(messages: readonly Uint8Array[], all: readonly Measured[], batches: readonly number[]): void {
  const mean = messages.reduce((sum, { length }) => sum + length, 0) / messages.length;
  console.log(
    `${messages.length.toLocaleString("en")} messages of ${Math.round(mean).toLocaleString("en")} bytes on average`,
  );
  if (messages.length < FEW_SAMPLES)
    console.log(`They are few: with at least ${FEW_SAMPLES} the figures would mean more.`);
  const most = Math.max(...all.map(({ deflateUs, inflateUs }) => deflateUs + inflateUs), 0.001);
  for (const batch of batches) {
    const rows = all.filter((one) => one.batch === batch);
    console.log(`\n${batch === 1 ? "One message" : `${batch} messages`} in a packet:`);
    const cells = rows.map(({ name, bytes, ratio, deflateUs, inflateUs, memoryBytes }) => [
      name,
      bytes.toFixed(0),
      `${((1 - ratio) * 100).toFixed(0)}%`,
      deflateUs.toFixed(2),
      inflateUs.toFixed(2),
      deflateUs + inflateUs === 0 ? "-" : Math.round(1e6 / (deflateUs + inflateUs)).toLocaleString("en"),
      (memoryBytes / 1024).toFixed(0),
    ]);
    const header = ["setting", "bytes", "saved", "deflate µs", "inflate µs", "messages/s", "KiB/connection"];
    for (const line of alignedLines([header, ...cells])) console.log(line);
    console.log("\nbytes left (█) and time (░, of the longest):");
    for (const { name, ratio, deflateUs, inflateUs } of rows) {
      const left = "█".repeat(Math.round(ratio * BAR)).padEnd(BAR);
      const time = "░".repeat(Math.round(((deflateUs + inflateUs) / most) * BAR));
      console.log(`${name.padEnd(24)}${left} ${time}`.trimEnd());
    }
  }
  const { option, reason } = recommend(all);
  console.log(`\n${option}\n${reason}.`);
  console.log("Times are those of this machine, on one core. Secrets: see docs/compression.md.");
}

/** Rows as lines: the first column to the left, the others to the right. */
function alignedLines(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart((widths[column] ?? 0) + 3),
      )
      .join(""),
  );
}
