import { create, type DescFile, toBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { RouteTable } from "../rpc/router.js";

/** The schema of all that is served, as an encoded `google.protobuf.FileDescriptorSet`: imports before what imports them. */
export function schemaOf(routes: RouteTable): Uint8Array<ArrayBuffer> {
  const files: FileDescriptorProto[] = [];
  const seen = new Set<string>();
  const visit = ({ proto, dependencies }: DescFile) => {
    if (seen.has(proto.name)) return;
    seen.add(proto.name);
    for (const dependency of dependencies) visit(dependency);
    files.push(proto);
  };
  for (const { method } of routes.values()) visit(method.parent.file);
  return toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: files }));
}
