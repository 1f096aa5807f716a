// `npm run tune`: what compression does to a user's own messages, by profile and beyond.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { table } from "table";
import { type CompressionSettings, PROFILES } from "../compression/settings.js";
import { type Measured, measure } from "./measure.js";
import { FEW_SAMPLES, recommend } from "./recommend.js";
import { messagesOf, SampleError, type SampleForm } from "./samples.js";

const HELP = `npm run tune -- PATH… [options]

Compresses sample messages as Hawser would, and prints what each setting saves and costs. A PATH is a file, or a folder whose
files are all read.

  --lines       one message on each line, instead of one in each file
  --delimited   each message behind its length as a varint, as protobuf writes streams
  --batch N     messages that travel in one packet (default: 1 and 16, as for a lone call and for many at once)
  --quick       time everything once: for a look, not for a figure
  --json FILE   writes all figures as JSON
  --help        this text`;

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

/** Something that the user has to change. */
class UsageError extends Error {
  override readonly name = "UsageError";
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        lines: { type: "boolean", default: false },
        delimited: { type: "boolean", default: false },
        batch: { type: "string" },
        quick: { type: "boolean", default: false },
        json: { type: "string" },
        help: { type: "boolean", default: false },
      },
    });
    if (values.lines && values.delimited) throw new Error("--lines and --delimited exclude each other");
    const batch = values.batch === undefined ? undefined : Number(values.batch);
    if (batch !== undefined && (!Number.isInteger(batch) || batch < 1))
      throw new Error(`--batch must be a whole number from 1 up, not ${values.batch}`);
    if (!values.help && positionals.length === 0)
      throw new Error("name at least one file or folder with sample messages");
    const form: SampleForm = values.lines ? "lines" : values.delimited ? "delimited" : "file";
    return { ...values, form, batches: batch === undefined ? [1, 16] : [batch], paths: positionals };
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`, {
      cause: error,
    });
  }
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
      throw new UsageError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
    }
  });
  const messages = files.flatMap((file) => messagesOf(readFileSync(file), form, file));
  if (messages.length === 0) throw new UsageError(`there is no message in ${paths.join(", ")}`);
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
    const right = { alignment: "right" as const };
    console.log(
      table([header, ...cells], {
        columns: { 1: right, 2: right, 3: right, 4: right, 5: right, 6: right },
        drawHorizontalLine: (index, count) => index <= 1 || index === count,
      }).trimEnd(),
    );
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

try {
  const options = readArguments();
  if (options.help) console.log(HELP);
  else {
    const messages = readSamples(options.paths, options.form);
    const rounds = options.quick ? 1 : ROUNDS;
    const all = options.batches.flatMap((batch) =>
      GRID.map(([name, settings]) => measure(name, settings, messages, batch, rounds)),
    );
    print(messages, all, options.batches);
    if (options.json !== undefined) {
      const whole = {
        node: process.version,
        messages: messages.length,
        measured: all,
        recommendation: recommend(all),
      };
      writeFileSync(options.json, `${JSON.stringify(whole, null, 2)}\n`);
    }
  }
} catch (error) {
  if (!(error instanceof UsageError) && !(error instanceof SampleError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
