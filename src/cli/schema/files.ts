import { create, createFileRegistry, type DescFile, type FileRegistry } from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorSetSchema,
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
import { messageOf, UsageError } from "../failure.js";

/** Files that compilers bring along, and descriptor sets therefore often leave out. */
const WELL_KNOWN: readonly DescFile[] = [
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
];

/** The well-known file of this name. */
export function wellKnownFile(name: string): FileDescriptorProto | undefined {
  return WELL_KNOWN.find(({ proto }) => proto.name === name)?.proto;
}

/** Names that are imported by these files, and are neither among them nor well known. */
export function missingImports(files: ReadonlyMap<string, FileDescriptorProto>): string[] {
  const missing = new Set<string>();
  for (const { dependency } of files.values()) {
    for (const name of dependency)
      if (!files.has(name) && wellKnownFile(name) === undefined) missing.add(name);
  }
  return [...missing];
}

/**
 * Types from files in any order, and the well-known ones.
 *
 * @param source where they come from, for errors
 * @throws UsageError when an import is missing, or the files make no sense together.
 */
export function registryOf(files: Iterable<FileDescriptorProto>, source: string): FileRegistry {
  const byName = new Map([...files].map((file) => [file.name, file]));
  const ordered: FileDescriptorProto[] = [];
  const seen = new Set<string>();
  const visit = (name: string, importer: string | undefined) => {
    if (seen.has(name)) return;
    seen.add(name);
    const file = byName.get(name) ?? wellKnownFile(name);
    if (file === undefined)
      throw new UsageError(`${source}: ${importer} imports ${name}, which is missing; include imports`);
    for (const dependency of file.dependency) visit(dependency, name);
    ordered.push(file);
  };
  for (const name of byName.keys()) visit(name, undefined);
  // For what messages of type Any and details of errors may hold.
  for (const { proto } of WELL_KNOWN) visit(proto.name, undefined);
  try {
    return createFileRegistry(create(FileDescriptorSetSchema, { file: ordered }));
  } catch (cause) {
    throw new UsageError(`${source}: the schema makes no sense: ${messageOf(cause)}`, { cause });
  }
}
