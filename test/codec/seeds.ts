import type { FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import { SeededRandom } from "../support/random.js";
import { Mismatch } from "./check.js";
import { fuzzTypes, type Report } from "./fuzz.js";
import { type GenerateOptions, generate } from "./generate.js";
import { randomFiles } from "./schemas.js";

/** A seed whose codecs and protobuf-es differ, and how. */
export interface Failure {
  readonly seed: number;
  readonly message: string;
}

/**
 * Tries seeds. Their code is generated in one go, and still what a seed does depends on nothing but the seed.
 *
 * @param rounds How often each type is tried.
 */
export async function runSeeds(
  seeds: readonly number[],
  rounds: number,
  options?: GenerateOptions,
): Promise<{ readonly reports: readonly Report[]; readonly failures: readonly Failure[] }> {
  const files: FileDescriptorProto[] = seeds.flatMap((seed) =>
    randomFiles(new SeededRandom(seed), `seed${seed}`),
  );
  const { messages, extensions } = await generate(files, options);
  const reports: Report[] = [];
  const failures: Failure[] = [];
  for (const seed of seeds) {
    const types = messages.filter(({ file }) => file.proto.name.startsWith(`seed${seed}/`));
    try {
      reports.push(fuzzTypes(seed, types, extensions, { rounds }));
    } catch (error) {
      if (!(error instanceof Mismatch)) throw error;
      failures.push({ seed, message: error.message });
    }
  }
  return { reports, failures };
}

/** The failure in words, with the command that repeats it. */
export function describeFailure({ seed, message }: Failure, rounds: number): string {
  return `seed ${seed}: ${message}\nReplay it with: npm run fuzz:codecs -- --seed ${seed} --rounds ${rounds}`;
}

/** `count` seeds from `first` on. */
export function seedsFrom(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}
