// Descriptors as the text of a .proto file, near enough to be read, and to be copied from.
import {
  type DescEnum,
  type DescExtension,
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescService,
  getOption,
  hasOption,
  ScalarType,
} from "@bufbuild/protobuf";
import { FieldDescriptorProto_Label as Label, MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Compression, compression, once } from "../../../gen/hawser/v1/options_pb.js";
import {
  commentLines,
  enumPath,
  memberPath,
  messagePath,
  methodPath,
  type SourcePath,
  servicePath,
} from "./comments.js";

/** What can be printed. */
export type Printable = DescMessage | DescEnum | DescExtension | DescService | DescMethod;

/** A declaration, one string for each line. */
export function printDescriptor(descriptor: Printable): string[] {
  switch (descriptor.kind) {
    case "service":
      return printService(descriptor, descriptor.methods);
    case "rpc":
      return printService(descriptor.parent, [descriptor]);
    case "message":
      return printMessage(descriptor);
    case "enum":
      return printEnum(descriptor);
    case "extension":
      return [
        `extend ${descriptor.extendee.typeName} {`,
        `  ${fieldText(descriptor, { scope: scopeOf(descriptor.typeName), pack: descriptor.file.proto.package })}`,
        "}",
      ];
  }
}

const indent = (lines: readonly string[]): string[] => lines.map((line) => (line === "" ? "" : `  ${line}`));

/** Where a name is used. */
interface Place {
  /** Full name of the message, or the package. */
  readonly scope: string;
  readonly pack: string;
}

/** `a.b.C` is declared in `a.b`. */
const scopeOf = (typeName: string): string => typeName.slice(0, Math.max(0, typeName.lastIndexOf(".")));

function printService(service: DescService, methods: readonly DescMethod[]): string[] {
  const { file } = service;
  const lines = methods.flatMap((method) => [
    ...commentLines(file, methodPath(method)),
    ...methodLines(method),
  ]);
  return [
    ...commentLines(file, servicePath(service)),
    `service ${service.name} {${service.deprecated ? " // deprecated" : ""}`,
    ...indent(lines),
    "}",
  ];
}

function methodLines(method: DescMethod): string[] {
  const { name, input, output, proto, parent } = method;
  const pack = parent.file.proto.package;
  const place = { scope: pack, pack };
  const type = (message: DescMessage, stream: boolean) =>
    `${stream ? "stream " : ""}${relativeName(message.typeName, place)}`;
  const head = `rpc ${name}(${type(input, proto.clientStreaming)}) returns (${type(output, proto.serverStreaming)})`;
  const options = methodOptions(method);
  if (options.length === 0) return [`${head};`];
  return [`${head} {`, ...options.map((option) => `  option ${option};`), "}"];
}

function methodOptions(method: DescMethod): string[] {
  const options: string[] = [];
  if (method.deprecated) options.push("deprecated = true");
  if (method.idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN)
    options.push(`idempotency_level = ${MethodOptions_IdempotencyLevel[method.idempotency]}`);
  if (hasOption(method, once)) options.push(`(${once.typeName}) = ${getOption(method, once)}`);
  if (hasOption(method, compression))
    options.push(`(${compression.typeName}) = COMPRESSION_${Compression[getOption(method, compression)]}`);
  return options;
}

function printMessage(message: DescMessage): string[] {
  const path = messagePath(message);
  const { file, proto } = message;
  const place = { scope: message.typeName, pack: file.proto.package };
  const lines: string[] = [];
  for (const member of message.members) {
    if (member.kind === "field") lines.push(...fieldLines(member, path, place));
    else {
      const oneof = proto.oneofDecl.indexOf(member.proto);
      lines.push(...commentLines(file, memberPath(path, "oneof", oneof)), `oneof ${member.name} {`);
      lines.push(...indent(member.fields.flatMap((field) => fieldLines(field, path, place))), "}");
    }
  }
  for (const { start, end } of proto.extensionRange) lines.push(`extensions ${range(start, end - 1)};`);
  const reserved = proto.reservedRange.map(({ start, end }) => range(start, end - 1));
  if (reserved.length > 0) lines.push(`reserved ${reserved.join(", ")};`);
  if (proto.reservedName.length > 0)
    lines.push(`reserved ${proto.reservedName.map((name) => JSON.stringify(name)).join(", ")};`);
  for (const nested of [...message.nestedMessages, ...message.nestedEnums])
    lines.push(...(lines.length > 0 ? [""] : []), ...printDescriptor(nested));
  const head = `message ${message.name} {${message.deprecated ? " // deprecated" : ""}`;
  return block(commentLines(file, path), head, lines);
}

function printEnum(enumeration: DescEnum): string[] {
  const path = enumPath(enumeration);
  const { file } = enumeration;
  const lines = enumeration.values.flatMap((value, index) => [
    ...commentLines(file, memberPath(path, "value", index)),
    `${value.name} = ${value.number}${value.deprecated ? " [deprecated = true]" : ""};`,
  ]);
  return block(commentLines(file, path), `enum ${enumeration.name} {`, lines);
}

function block(comments: readonly string[], head: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [...comments, `${head}}`] : [...comments, head, ...indent(lines), "}"];
}

const MAX_FIELD_NUMBER = 536_870_911;

function range(first: number, last: number): string {
  if (first === last) return String(first);
  return `${first} to ${last >= MAX_FIELD_NUMBER ? "max" : last}`;
}

function fieldLines(field: DescField, parent: SourcePath, place: Place): string[] {
  const index = field.parent.proto.field.indexOf(field.proto);
  return [...commentLines(field.parent.file, memberPath(parent, "field", index)), fieldText(field, place)];
}

function fieldText(field: DescField | DescExtension, place: Place): string {
  const { proto } = field;
  const options: string[] = [];
  if (proto.defaultValue !== "")
    options.push(
      `default = ${field.scalar === ScalarType.STRING ? JSON.stringify(proto.defaultValue) : proto.defaultValue}`,
    );
  if (field.deprecated) options.push("deprecated = true");
  const rest = options.length === 0 ? "" : ` [${options.join(", ")}]`;
  return `${label(field)}${fieldType(field, place)} ${proto.name} = ${field.number}${rest};`;
}

function label(field: DescField | DescExtension): string {
  const { proto, fieldKind } = field;
  if (fieldKind === "map" || field.oneof !== undefined) return "";
  if (proto.label === Label.REPEATED) return "repeated ";
  if (proto.label === Label.REQUIRED) return "required ";
  const { syntax } = field.kind === "extension" ? field.file.proto : field.parent.file.proto;
  // The syntax of proto2 is often left empty.
  return proto.proto3Optional || syntax === "" || syntax === "proto2" ? "optional " : "";
}

function fieldType(field: DescField | DescExtension, place: Place): string {
  const scalar = (type: ScalarType) => (ScalarType[type] ?? "unknown").toLowerCase();
  const element = () => {
    if (field.message !== undefined) return relativeName(field.message.typeName, place);
    if (field.enum !== undefined) return relativeName(field.enum.typeName, place);
    return scalar(field.scalar ?? ScalarType.BYTES);
  };
  return field.fieldKind === "map" ? `map<${scalar(field.mapKey)}, ${element()}>` : element();
}

/** A name without what it has in common with the place where it is used, as far as nothing else could be meant by it. */
function relativeName(typeName: string, { scope, pack }: Place): string {
  for (let at = scope; at !== "" && at.length >= pack.length; at = scopeOf(at)) {
    if (typeName.startsWith(`${at}.`)) return typeName.slice(at.length + 1);
  }
  return typeName;
}
