import type { DescEnum, DescFile, DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";

/**
 * Path of a declaration in its file, as `google.protobuf.SourceCodeInfo` has them: field numbers of `FileDescriptorProto` and
 * below, and indexes.
 */
export type SourcePath = readonly number[];

/** Field numbers of descriptor.proto. */
const FILE = { message: 4, enum: 5, service: 6 } as const;
const MESSAGE = { field: 2, nested: 3, enum: 4, oneof: 8 } as const;
const ENUM = { value: 2 } as const;
const SERVICE = { method: 2 } as const;

/** Path of a message type. */
export function messagePath(message: DescMessage): SourcePath {
  const { parent, proto, file } = message;
  if (parent === undefined) return [FILE.message, file.proto.messageType.indexOf(proto)];
  return [...messagePath(parent), MESSAGE.nested, parent.proto.nestedType.indexOf(proto)];
}

/** Path of an enum. */
export function enumPath({ parent, proto, file }: DescEnum): SourcePath {
  if (parent === undefined) return [FILE.enum, file.proto.enumType.indexOf(proto)];
  return [...messagePath(parent), MESSAGE.enum, parent.proto.enumType.indexOf(proto)];
}

/** Path of a service. */
export function servicePath({ proto, file }: DescService): SourcePath {
  return [FILE.service, file.proto.service.indexOf(proto)];
}

/** Path of a method. */
export function methodPath({ parent, proto }: DescMethod): SourcePath {
  return [...servicePath(parent), SERVICE.method, parent.proto.method.indexOf(proto)];
}

/** Path of a member of a message or an enum. */
export function memberPath(parent: SourcePath, kind: "field" | "oneof" | "value", index: number): SourcePath {
  return [...parent, kind === "value" ? ENUM.value : MESSAGE[kind], index];
}

/** Lines of the comment above a declaration, and behind it; none where the schema has come without comments, as by reflection. */
export function commentLines(file: DescFile, path: SourcePath): string[] {
  const location = file.proto.sourceCodeInfo?.location.find(
    (one) => one.path.length === path.length && one.path.every((part, index) => part === path[index]),
  );
  const text = [location?.leadingComments, location?.trailingComments].filter((one) => one).join("");
  return text === ""
    ? []
    : text
        .trimEnd()
        .split("\n")
        .map((line) => `//${line}`.trimEnd());
}
