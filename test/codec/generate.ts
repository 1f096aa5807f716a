// Runs protoc-gen-es and protoc-gen-hawser in this process, and imports what they generate.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { create, type DescExtension, type DescMessage } from "@bufbuild/protobuf";
import {
  CodeGeneratorRequestSchema,
  type CodeGeneratorResponse,
  type FileDescriptorProto,
  file_google_protobuf_any,
  file_google_protobuf_api,
  file_google_protobuf_descriptor,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_source_context,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_type,
  file_google_protobuf_wrappers,
} from "@bufbuild/protobuf/wkt";
import type { Plugin } from "@bufbuild/protoplugin";
import { protocGenHawser } from "../../src/protoc/plugin.js";

/** What came out of the generators for some files. */
export interface Generated {
  /** All message types, nested ones too, in the order of the files. */
  readonly messages: readonly DescMessage[];
  readonly extensions: readonly DescExtension[];
  /** Text of the files of protoc-gen-hawser by their paths. */
  readonly sources: ReadonlyMap<string, string>;
}

/** What Google ships with every compiler; protobuf-es has the code. */
const WELL_KNOWN: readonly FileDescriptorProto[] = [
  file_google_protobuf_any,
  file_google_protobuf_source_context,
  file_google_protobuf_type,
  file_google_protobuf_api,
  file_google_protobuf_descriptor,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
].map(({ proto }) => proto);

/** Works on the text of a generated file before it is written; for putting bugs into it. */
export type Edit = (source: string, path: string) => string;

export interface GenerateOptions {
  readonly edit?: Edit;
  /** Run protoc-gen-hawser for each file by itself, so that it knows nothing of what the others have. Default false. */
  readonly apart?: boolean;
}

/**
 * Generates code for files of descriptors, in an order in which each follows what it imports, writes it into a folder of its
 * own, imports it, and removes the folder.
 *
 * @throws when a generator refuses, or its output cannot be imported.
 */
export async function generate(
  files: readonly FileDescriptorProto[],
  { edit, apart = false }: GenerateOptions = {},
): Promise<Generated> {
  const own = files.filter(({ name }) => !WELL_KNOWN.some((shipped) => shipped.name === name));
  const request = create(CodeGeneratorRequestSchema, {
    fileToGenerate: own.map(({ name }) => name),
    parameter: "target=ts,import_extension=js",
    protoFile: [...WELL_KNOWN, ...own],
    sourceFileDescriptors: own,
  });
  mkdirSync(".tmp", { recursive: true });
  const folder = mkdtempSync(join(".tmp", "codecs-"));
  try {
    const runs = apart ? own.map(({ name }) => ({ ...request, fileToGenerate: [name] })) : [request];
    const sources = new Map(runs.flatMap((run) => [...outputOf(protocGenHawser, run)]));
    if (edit !== undefined) for (const [path, source] of sources) sources.set(path, edit(source, path));
    for (const [path, source] of [...outputOf(protocGenEs(), request), ...sources]) {
      const target = join(folder, path);
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, source);
    }
    const load = (path: string): Promise<Record<string, unknown>> =>
      import(pathToFileURL(resolve(folder, path)).href);
    for (const path of sources.keys()) await load(path);
    const exports: unknown[] = [];
    for (const { name } of own)
      exports.push(...Object.values(await load(name.replace(/\.proto$/, "_pb.ts"))));
    const kindOf = (value: unknown): unknown => (value as { kind?: unknown } | undefined)?.kind;
    return {
      messages: exports.filter((value) => kindOf(value) === "message") as DescMessage[],
      extensions: exports.filter((value) => kindOf(value) === "extension") as DescExtension[],
      sources,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** protoc-gen-es is a program; the plugin in it is not among its exports. */
function protocGenEs(): Plugin {
  const require = createRequire(import.meta.url);
  const bin = require.resolve("@bufbuild/protoc-gen-es/package.json");
  const path = join(dirname(bin), "dist/cjs/src/protoc-gen-es-plugin.js");
  return (require(path) as { protocGenEs: Plugin }).protocGenEs;
}

function outputOf(plugin: Plugin, request: Parameters<Plugin["run"]>[0]): Map<string, string> {
  const response: CodeGeneratorResponse = plugin.run(request);
  if (response.error) throw new Error(`${plugin.name}: ${response.error}`);
  return new Map(response.file.map(({ name, content }) => [name, content]));
}
