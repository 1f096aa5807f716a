// One seed: random schemas, code generated for them, and many random messages and bytes for each of their types.
import { type DescExtension, type DescField, type DescMessage, setExtension } from "@bufbuild/protobuf";
import { SeededRandom } from "../support/random.js";
import { cycleOf, mutate, nested, noise, randomWire } from "./bytes.js";
import { Checker, type Figures, noFigures } from "./check.js";
import { outcome } from "./compare.js";
import { corrupt, type Fields, halfCreated, randomField, randomMessage, randomOptions } from "./values.js";

/** What runs over message types came to. */
export interface Report {
  readonly types: number;
  readonly fields: number;
  /** Init objects and messages with values of their fields' types, and their encodings. Codecs do all of these. */
  readonly usual: Figures;
  /** What is accepted and seldom, with unknown fields among it, and what encoders of other languages may write. */
  readonly foreign: Figures;
  /** What does not fit, and bytes that are not messages. */
  readonly hostile: Figures;
}

const noReport = (): Report & { types: number; fields: number } => ({
  types: 0,
  fields: 0,
  usual: noFigures(),
  foreign: noFigures(),
  hostile: noFigures(),
});

/** How often each type is tried. */
export interface Effort {
  /** Rounds per type; one round is about ten values and twenty arrays of bytes. */
  readonly rounds: number;
}

/**
 * Tries codecs of the types with random values and bytes.
 *
 * @throws Mismatch on the first difference from protobuf-es.
 */
export function fuzzTypes(
  seed: number,
  types: readonly DescMessage[],
  extensions: readonly DescExtension[],
  effort: Effort,
): Report {
  const random = new SeededRandom(seed);
  const checker = new Checker(random);
  const report = noReport();
  for (const schema of types) {
    report.types++;
    report.fields += schema.fields.length;
    const own = extensions.filter(({ extendee }) => extendee === schema);
    for (let round = 0; round < effort.rounds; round++) fuzzOnce(random, checker, schema, own, report);
    fuzzDepth(random, checker, schema, report);
  }
  return report;
}

function fuzzOnce(
  random: SeededRandom,
  checker: Checker,
  schema: DescMessage,
  extensions: readonly DescExtension[],
  report: Report,
): void {
  // What programs send, and what comes of it.
  const encodings: Uint8Array[] = [new Uint8Array(0)];
  for (let i = 0; i < 6; i++) {
    const odd = i >= 4;
    const figures = odd ? report.foreign : report.usual;
    const message = randomMessage(random, schema, randomOptions(random, odd));
    if (i === 5) extend(random, message, extensions);
    const bytes = checker.encode(schema, message, figures);
    if (bytes === undefined) continue;
    encodings.push(bytes);
    const decoded = checker.decode(schema, bytes, figures);
    if (decoded !== undefined) checker.encode(schema, decoded, figures);
  }
  // Two encodings in a row are one message, merged.
  const merged = Buffer.concat([random.pick(encodings), random.pick(encodings)]);
  checker.decode(schema, merged, report.foreign);
  const wires = [0, 0.3].map((sloppy) =>
    randomWire(random, schema, { records: 8, depth: 3, sloppy, wrong: 0 }),
  );
  for (const wire of wires) {
    const decoded = checker.decode(schema, wire, report.foreign);
    if (decoded !== undefined) checker.encode(schema, decoded, report.foreign);
  }
  for (let i = 0; i < 3; i++) {
    const message = randomMessage(random, schema, randomOptions(random));
    for (let j = 1 + random.below(2); j > 0; j--) corrupt(random, schema, message);
    checker.encode(schema, message, report.hostile);
  }
  const half = outcome(() => halfCreated(random, schema, randomOptions(random)));
  if ("value" in half) checker.encode(schema, half.value, report.hostile);
  const wrong = randomWire(random, schema, { records: 6, depth: 2, sloppy: 0.2, wrong: 0.2 });
  checker.decode(schema, wrong, report.hostile);
  checker.decode(schema, noise(random), report.hostile);
  const sources = [...encodings, ...wires, wrong];
  for (let i = 0; i < 8; i++) {
    let bytes = mutate(random, random.pick(sources));
    if (random.chance(0.3)) bytes = mutate(random, bytes);
    checker.decode(schema, bytes, report.hostile);
  }
  const short = random.pick(sources);
  if (short.length <= 80) {
    for (let end = 0; end < short.length; end++)
      checker.decode(schema, short.subarray(0, end), report.hostile);
  }
}

/** Sets extensions, which then are unknown fields to the codec. */
function extend(random: SeededRandom, message: Fields, extensions: readonly DescExtension[]): void {
  if (message["$typeName"] === undefined) return;
  for (const extension of extensions) {
    const value = randomField(random, extension as unknown as DescField, randomOptions(random));
    if (value === undefined || (extension.fieldKind === "list" && (value as unknown[]).length === 0))
      continue;
    // Values of messages must have been created for this.
    outcome(() => setExtension(message as never, extension, value as never));
  }
}

/** Around the depth at which protobuf-es gives up, with something in the innermost message. */
function fuzzDepth(random: SeededRandom, checker: Checker, schema: DescMessage, report: Report): void {
  const cycle = cycleOf(schema);
  if (cycle === undefined) return;
  for (const depth of [1, 20, 96, 97, 98, 98, 99, 99, 100, 150]) {
    const type = cycle.at((depth % cycle.length) - 1)?.message ?? schema;
    const innermost = randomWire(random, type, { records: 2, depth: 2, sloppy: 0, wrong: 0 });
    checker.decode(schema, nested(cycle, depth, innermost), report.hostile);
  }
}

/** Adds up reports. */
export function total(reports: readonly Report[]): Report {
  const sum = noReport();
  for (const report of reports) {
    sum.types += report.types;
    sum.fields += report.fields;
    for (const part of ["usual", "foreign", "hostile"] as const) {
      for (const name of Object.keys(sum[part]) as (keyof Figures)[]) sum[part][name] += report[part][name];
    }
  }
  return sum;
}

/** Says what was tried, and how much of it codecs did themselves. */
export function describeReport(report: Report): string {
  const share = (part: number, all: number): string =>
    all === 0 ? "–" : `${((100 * part) / all).toFixed(1)}%`;
  const line = (name: string, f: Figures): string =>
    `${name.padEnd(8)} ${f.encoded} encoded (${share(f.encodedByCodec, f.encoded)} by codecs), ` +
    `${f.decoded} decoded (${share(f.decodedByCodec, f.decoded)} by codecs), ${f.errors} errors alike`;
  return [
    `${report.types} types with ${report.fields} fields`,
    line("usual", report.usual),
    line("foreign", report.foreign),
    line("hostile", report.hostile),
  ].join("\n");
}
