// Schemas that no one here wrote: Google's own APIs, from the package that publishes them.
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { beforeAll, describe, expect, it } from "vitest";
import { Mismatch } from "./check.js";
import { describeReport, fuzzTypes, type Report, total } from "./fuzz.js";
import { type Generated, generate } from "./generate.js";

const SCHEMAS = resolve("node_modules/google-proto-files");
/** Of all sizes and styles: data, descriptions of APIs, media, money, with large oneofs, deep nesting and many enums. */
const PATHS = [
  "google/api",
  "google/bigtable/v2",
  "google/bytestream",
  "google/cloud/speech/v1",
  "google/datastore/v1",
  "google/firestore/v1",
  "google/iam/v1",
  "google/logging/v2",
  "google/longrunning",
  "google/monitoring/v3",
  "google/pubsub/v1",
  "google/rpc",
  "google/type",
];
const SEED = 20_261_121;

/** Whether messages of google.protobuf.Api, Type or of descriptors may be in it: protobuf-es ships these, and has no codecs. */
function hasMessagesWithoutCodec(schema: DescMessage): boolean {
  const reached = new Set([schema]);
  for (const { fields } of reached)
    for (const { message } of fields) if (message !== undefined) reached.add(message);
  return [...reached].some(({ file }) => /^google\/protobuf\/(api|descriptor|type)$/.test(file.name));
}

describe("generated codecs over Google's schemas", () => {
  let generated: Generated;
  let report: Report;
  const failures: string[] = [];
  /** Types of which codecs left usual messages to protobuf-es. */
  const left: DescMessage[] = [];

  beforeAll(async () => {
    mkdirSync(".tmp", { recursive: true });
    const folder = mkdtempSync(join(".tmp", "real-codecs-"));
    try {
      const set = join(folder, "set.binpb");
      const paths = PATHS.flatMap((path) => ["--path", join(SCHEMAS, path)]);
      const flags = ["--as-file-descriptor-set", "--exclude-source-info", "-o", set];
      await promisify(execFile)("npx", ["buf", "build", SCHEMAS, ...paths, ...flags]);
      generated = await generate(fromBinary(FileDescriptorSetSchema, readFileSync(set)).file);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    const reports: Report[] = [];
    for (const [index, schema] of generated.messages.entries()) {
      try {
        const one = fuzzTypes(SEED + index, [schema], generated.extensions, { rounds: 1 });
        const { encoded, encodedByCodec, decoded, decodedByCodec } = one.usual;
        if (encodedByCodec < encoded || decodedByCodec < decoded) left.push(schema);
        reports.push(one);
      } catch (error) {
        if (!(error instanceof Mismatch)) throw error;
        failures.push(`seed ${SEED} + ${index}: ${error.message}`);
      }
    }
    report = total(reports);
  });

  it("are there for hundreds of types, with thousands of fields", () => {
    expect(report.types, describeReport(report)).toBeGreaterThan(400);
    expect(report.fields).toBeGreaterThan(1_500);
    const names = generated.messages.map(({ typeName }: DescMessage) => typeName);
    expect(names).toContain("google.firestore.v1.Value");
  });

  it("give what protobuf-es gives", () => {
    expect(failures).toEqual([]);
  });

  it("do by themselves all that programs usually send", () => {
    expect(report.usual.encoded).toBeGreaterThan(3_000);
    expect(left.filter((schema) => !hasMessagesWithoutCodec(schema)).map(String)).toEqual([]);
    expect(left.length).toBeLessThan(20);
  });
});
