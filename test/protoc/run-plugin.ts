// Runs protoc-gen-hawser in this process, on schemas that buf compiles.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { create, fromBinary } from "@bufbuild/protobuf";
import { CodeGeneratorRequestSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { Plugin } from "@bufbuild/protoplugin";
import { protocGenHawser } from "../../src/protoc/plugin.js";

/** What came out: texts by path. */
export type Generated = ReadonlyMap<string, string>;

/**
 * @param protos Texts of `.proto` files by path.
 * @param parameter The options, as in `opt` of `buf.gen.yaml`.
 * @param only Paths to generate for; default all of `protos`.
 * @param plugin Another plugin.
 */
export function runPlugin(
  protos: Readonly<Record<string, string>>,
  parameter = "target=ts,import_extension=js",
  only: readonly string[] = Object.keys(protos),
  plugin: Plugin = protocGenHawser,
): Generated {
  mkdirSync(".tmp", { recursive: true });
  const folder = mkdtempSync(join(".tmp", "protoc-"));
  try {
    for (const [path, text] of Object.entries(protos)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    cpSync("proto/hawser/v1/options.proto", join(folder, "hawser/v1/options.proto"));
    const image = execFileSync("buf", ["build", folder, "--as-file-descriptor-set", "-o", "-"]);
    const { file } = fromBinary(FileDescriptorSetSchema, image);
    const request = create(CodeGeneratorRequestSchema, {
      fileToGenerate: [...only],
      parameter,
      protoFile: file,
      sourceFileDescriptors: file.filter(({ name }) => only.includes(name)),
    });
    return new Map(plugin.run(request).file.map(({ name, content }) => [name, content]));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
