import { beforeAll, describe, expect, it } from "vitest";
import { describeReport, type Report, total } from "./fuzz.js";
import { findMutant, MUTANTS } from "./mutants.js";
import { describeFailure, type Failure, runSeeds, seedsFrom } from "./seeds.js";

/** `npm run fuzz:codecs` tries as many more as one likes. */
const SEEDS = 9;
const ROUNDS = 2;

describe(`generated codecs over ${SEEDS} random schemas`, () => {
  let report: Report;
  let failures: readonly Failure[];

  beforeAll(async () => {
    const result = await runSeeds(seedsFrom(1, SEEDS), ROUNDS);
    report = total(result.reports);
    failures = result.failures;
  });

  it("give the bytes, the messages and the errors that protobuf-es gives", () => {
    expect(failures.map((failure) => describeFailure(failure, ROUNDS))).toEqual([]);
  });

  it("do by themselves all that programs usually send, in every kind of field", () => {
    // Otherwise codecs that always give up would pass for correct.
    expect(report.usual.encoded, describeReport(report)).toBeGreaterThan(1_800);
    expect(report.usual.encodedByCodec).toBe(report.usual.encoded);
    expect(report.usual.decoded).toBeGreaterThan(1_800);
    expect(report.usual.decodedByCodec).toBe(report.usual.decoded);
  });

  it("do most of what is seldom, too, and are tried with plenty that is wrong", () => {
    expect(report.foreign.encodedByCodec / report.foreign.encoded).toBeGreaterThan(0.6);
    expect(report.foreign.decodedByCodec / report.foreign.decoded).toBeGreaterThan(0.6);
    expect(report.hostile.errors).toBeGreaterThan(10_000);
  });
});

describe("generated codecs of files that were generated apart", () => {
  it("find each other when they are needed", async () => {
    const { reports, failures } = await runSeeds(seedsFrom(501, 3), ROUNDS, { apart: true });
    expect(failures.map((failure) => describeFailure(failure, ROUNDS))).toEqual([]);
    const { usual } = total(reports);
    expect(usual.encoded).toBeGreaterThan(500);
    expect(usual.encodedByCodec).toBe(usual.encoded);
    expect(usual.decodedByCodec).toBe(usual.decoded);
  });
});

describe("fuzzing", () => {
  // `npm run fuzz:codecs -- --mutants` tries all.
  const some = MUTANTS.filter((_, index) => index % 5 === 0);
  it.each(some)("finds this bug: $name", async (mutant) => {
    expect(await findMutant(mutant, seedsFrom(1, 4), 1)).toBeDefined();
  });
});
