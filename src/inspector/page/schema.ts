import {
  createFileRegistry,
  type DescEnum,
  type DescField,
  type DescMessage,
  type FileRegistry,
  fromBinary,
  type JsonValue,
  ScalarType,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { inspect } from "./server.js";

let loading: Promise<FileRegistry> | undefined;

/** The schema of all that the server serves; it is asked for once. */
export function loadSchema(): Promise<FileRegistry> {
  loading ??= inspect()
    .getSchema({}, { timeoutMs: 15_000 })
    .then(({ fileDescriptorSet }) =>
      createFileRegistry(fromBinary(FileDescriptorSetSchema, fileDescriptorSet)),
    );
  loading.catch(() => {
    loading = undefined;
  });
  return loading;
}

/** How deep messages inside of messages are written out. */
const DEPTH = 3;

/** A message of a type in JSON, with every field in it, for somebody to change. Of a oneof it has the first. */
export function template(type: DescMessage, depth: number = DEPTH): JsonValue {
  const known = WELL_KNOWN[type.typeName];
  if (known !== undefined) return known();
  const fields: Record<string, JsonValue> = {};
  const seen = new Set<string>();
  for (const field of type.fields) {
    if (field.oneof !== undefined) {
      if (seen.has(field.oneof.name)) continue;
      seen.add(field.oneof.name);
    }
    const value = fieldTemplate(field, depth);
    if (value !== undefined) fields[field.jsonName] = value;
  }
  return fields;
}

function fieldTemplate(field: DescField, depth: number): JsonValue | undefined {
  switch (field.fieldKind) {
    case "scalar":
      return scalarTemplate(field.scalar);
    case "enum":
      return enumTemplate(field.enum);
    case "message":
      return depth === 0 ? undefined : template(field.message, depth - 1);
    case "list":
      if (field.listKind === "scalar") return [scalarTemplate(field.scalar)];
      if (field.listKind === "enum") return [enumTemplate(field.enum)];
      return depth === 0 ? [] : [template(field.message, depth - 1)];
    case "map": {
      const key = String(scalarTemplate(field.mapKey)) || "key";
      if (field.mapKind === "scalar") return { [key]: scalarTemplate(field.scalar) };
      if (field.mapKind === "enum") return { [key]: enumTemplate(field.enum) };
      return depth === 0 ? {} : { [key]: template(field.message, depth - 1) };
    }
  }
}

function enumTemplate({ values }: DescEnum): JsonValue {
  return values[0]?.name ?? 0;
}

function scalarTemplate(type: ScalarType): JsonValue {
  switch (type) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return "";
    case ScalarType.BOOL:
      return false;
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
    case ScalarType.SINT64:
      return "0";
    default:
      return 0;
  }
}

/** How protobuf's JSON has these types. */
const WELL_KNOWN: Readonly<Record<string, () => JsonValue>> = {
  "google.protobuf.Timestamp": () => new Date(0).toISOString(),
  "google.protobuf.Duration": () => "1s",
  "google.protobuf.FieldMask": () => "",
  "google.protobuf.Empty": () => ({}),
  "google.protobuf.Struct": () => ({}),
  "google.protobuf.ListValue": () => [],
  "google.protobuf.Value": () => null,
  "google.protobuf.Any": () => ({ "@type": "type.googleapis.com/google.protobuf.Empty", value: {} }),
  "google.protobuf.BoolValue": () => false,
  "google.protobuf.StringValue": () => "",
  "google.protobuf.BytesValue": () => "",
  "google.protobuf.Int64Value": () => "0",
  "google.protobuf.UInt64Value": () => "0",
  "google.protobuf.Int32Value": () => 0,
  "google.protobuf.UInt32Value": () => 0,
  "google.protobuf.FloatValue": () => 0,
  "google.protobuf.DoubleValue": () => 0,
};

/** The fields of a message in a line each, as in a `.proto` file. */
export function fieldLines(type: DescMessage): string[] {
  return type.fields.map((field) => {
    const base =
      field.fieldKind === "map"
        ? `map<${ScalarType[field.mapKey].toLowerCase()}, ${typeOf(field)}>`
        : `${field.fieldKind === "list" ? "repeated " : ""}${typeOf(field)}`;
    const choice = field.oneof === undefined ? "" : `   (one of ${field.oneof.name})`;
    return `${base} ${field.jsonName}${choice}`;
  });
}

function typeOf(field: DescField): string {
  if (field.message !== undefined) return field.message.name;
  if (field.enum !== undefined)
    return `${field.enum.name} { ${field.enum.values.map(({ name }) => name).join(" | ")} }`;
  return field.scalar === undefined ? "" : ScalarType[field.scalar].toLowerCase();
}
