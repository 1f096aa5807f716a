import type { DescField, DescMessage, ScalarType } from "@bufbuild/protobuf";
import type { Printable } from "@bufbuild/protoplugin";
import { type Code, createCode } from "./code.js";
import { type Context, declaration, keyOf, property } from "./context.js";
import { delimited, firstNumber, isJson, scalarOf, tagBytes, tagOf, wrapped } from "./scalars.js";

const IMPLICIT = 2;
const EDITION_PROTO2 = 998;
const EDITION_PROTO3 = 999;

/** How the message is put together while it is read. */
interface Target {
  /** Where a field's value is kept until the message is there, or in the message. */
  place(member: { readonly localName: string }): string;
}

/** Generates the function that reads a message. */
export function generateRead(code: Code, context: Context, message: DescMessage): Printable {
  const { read } = context.names(message);
  const inherits = needsPrototype(message);
  const early = inherits || message.fields.some(isAbsentAtFirst);
  const target: Target = {
    place: (member) => (early ? property("message", member.localName) : context.local(member)),
  };
  const body = createCode(1);
  const fields = [...message.fields].sort((a, b) => a.number - b.number);
  const wide = fields.some((field) => tagBytes(field.number, 0).length > 1);

  if (early) createEarly(body, context, message, inherits);
  else for (const member of message.members) body.line(...declareLocal(context, member));
  body.line("let unknown", ...context.typed(context.unknownField(), "[] | undefined"), ";");
  body.line("let at = from;");
  body.block(["while (at < to)"], () => {
    if (wide) {
      body.line("const start = at;");
      body.line("const tag = ", context.runtime("readTag"), "(bytes, at);");
      body.line("at = ", context.runtime("cursor"), ";");
    }
    body.block([wide ? "switch (tag)" : "switch (bytes[at++])"], () => {
      for (const field of fields) readField(body, context, field, target);
      body.line("default:");
      const known = fields.map(({ number }) => number).join(", ");
      body.line("  unknown ??= [];");
      body.line(
        "  unknown.push(",
        context.runtime("readUnknown"),
        `(bytes, ${wide ? "start" : "at - 1"}, to, depth, [${known}]));`,
      );
      body.line("  at = ", context.runtime("cursor"), ";");
    });
  });
  body.line("if (at !== to) ", context.runtime("unusual"), "();");
  if (!early) {
    body.line("const message", ...context.unchecked(), " = {");
    body.line(`  $typeName: ${JSON.stringify(message.typeName)},`);
    for (const member of message.members) {
      const local = context.local(member);
      const value = member.kind === "oneof" ? `${local} ?? { case: undefined }` : local;
      const key = keyOf(member.localName);
      body.line(key === value ? `  ${key},` : `  ${key}: ${value},`);
    }
    body.line("};");
  }
  body.line("if (unknown !== undefined) message.$unknown = unknown;");
  body.line("return message;");

  code.line(
    "function ",
    context.own(read),
    "(bytes",
    ...context.typed("Uint8Array"),
    ...["from", "to", "depth"].flatMap((name) => [`, ${name}`, ...context.typed("number")]),
    ")",
    ...context.unchecked(),
    " {",
  );
  code.line("  ", context.runtime("checkDepth"), "(depth);");
  code.append(body);
  code.line("}");
  code.line();
  return context.own(read);
}

/** Whether created messages inherit the defaults of their fields, as protobuf-es decides it. */
function needsPrototype(message: DescMessage): boolean {
  switch (message.file.edition as number) {
    case EDITION_PROTO3:
      return false;
    case EDITION_PROTO2:
      return true;
    default:
      return message.fields.some(
        (field) => field.presence !== IMPLICIT && field.fieldKind !== "message" && field.oneof === undefined,
      );
  }
}

/** Whether a message that was just created does not have a field's property. */
function isAbsentAtFirst(field: DescField): boolean {
  return (
    field.oneof === undefined &&
    (field.fieldKind === "message" ||
      ((field.fieldKind === "scalar" || field.fieldKind === "enum") && field.presence !== IMPLICIT))
  );
}

/** The value of a member in a message that was just created. */
function initial(context: Context, member: DescMessage["members"][number]): Printable {
  if (member.kind === "oneof") return "{ case: undefined }";
  if (member.fieldKind === "list") return "[]";
  if (member.fieldKind === "map") return "{}";
  if (member.enum !== undefined) return String(firstNumber(member.enum));
  return zeroOf(context, member.scalar as ScalarType, "longAsString" in member && member.longAsString);
}

function zeroOf(context: Context, type: ScalarType, longAsString: boolean): Printable {
  switch (scalarOf(type).zero) {
    case "long":
      return longAsString ? '"0"' : context.runtime("ZERO");
    case "bool":
      return "false";
    case "text":
      return '""';
    case "bytes":
      return context.runtime("NO_BYTES");
    default:
      return "0";
  }
}

function createEarly(code: Code, context: Context, message: DescMessage, inherits: boolean): void {
  const members = message.members.filter((member) => member.kind === "oneof" || !isAbsentAtFirst(member));
  if (inherits) {
    const prototype = context.own(`${context.names(message).codec}Defaults`);
    code.line("const message", ...context.unchecked(), " = Object.create(", prototype, ");");
    code.line(`message.$typeName = ${JSON.stringify(message.typeName)};`);
    for (const member of members) {
      code.line(`${property("message", member.localName)} = `, initial(context, member), ";");
    }
    return;
  }
  code.line("const message", ...context.unchecked(), " = {");
  code.line(`  $typeName: ${JSON.stringify(message.typeName)},`);
  for (const member of members) code.line(`  ${keyOf(member.localName)}: `, initial(context, member), ",");
  code.line("};");
}

/** Whether the functions of a message need the object that its messages inherit from. */
export function inheritsDefaults(message: DescMessage): boolean {
  return needsPrototype(message);
}

function declareLocal(context: Context, member: DescMessage["members"][number]): Printable[] {
  const local = context.local(member);
  if (member.kind === "oneof") return [`let ${local}`, ...context.unchecked(), ";"];
  if (member.fieldKind === "list") return [`const ${local}`, ...context.unchecked("[]"), " = [];"];
  if (member.fieldKind === "map") return [`const ${local}`, ...context.unchecked(), " = {};"];
  return [`let ${local}`, ...context.unchecked(), " = ", initial(context, member), ";"];
}

function readField(code: Code, context: Context, field: DescField, target: Target): void {
  const place = field.oneof === undefined ? target.place(field) : target.place(field.oneof);
  const labelled = (wire: number, body: () => void) => {
    code.line(`// ${declaration(field)}`);
    code.block([`case ${tagOf(field.number, wire)}:`], () => {
      body();
      code.line("break;");
    });
  };
  if (field.fieldKind === "list") readList(code, context, field, place, labelled);
  else if (field.fieldKind === "map") labelled(2, () => readMap(code, context, field, place));
  else if (wrapped(field) !== undefined) {
    labelled(delimited(field) ? 3 : 2, () => readWrapper(code, context, field, place));
  } else if (field.message !== undefined) {
    labelled(delimited(field) ? 3 : 2, () => readSingleMessage(code, context, field, place));
  } else labelled(scalarOf(field.scalar).wire, () => readSingleScalar(code, context, field, place));
}

/** `place = value`, or what that is in a oneof. */
function assign(code: Code, field: DescField, place: string, ...value: Printable[]): void {
  if (field.oneof === undefined) code.line(`${place} = `, ...value, ";");
  else code.line(`${place} = { case: ${JSON.stringify(field.localName)}, value: `, ...value, " };");
}

function readSingleScalar(code: Code, context: Context, field: DescField, place: string): void {
  if (field.enum !== undefined && !field.enum.open) {
    code.line("const value = ", context.runtime("readInt32"), "(bytes, at);");
    // Numbers that the enum does not have become unknown fields.
    code.line(
      `if (!(${inRanges(
        "value",
        field.enum.values.map(({ number }) => number),
      )})) `,
      context.runtime("unusual"),
      "();",
    );
    assign(code, field, place, "value");
  } else assign(code, field, place, ...readScalar(context, field, "to"));
  advance(code, context, field.scalar);
}

/** Goes behind a scalar that was read. */
function advance(code: Code, context: Context, type: ScalarType | undefined): void {
  const { wire } = scalarOf(type);
  const size = wire === 1 ? 8 : wire === 5 ? 4 : undefined;
  if (size === undefined) code.line("at = ", context.runtime("cursor"), ";");
  else code.line(`at += ${size};`);
}

/** `value >= 1 && value <= 3 || value === 7` */
function inRanges(value: string, numbers: readonly number[]): string {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b);
  const ranges: [number, number][] = [];
  for (const number of sorted) {
    const last = ranges.at(-1);
    if (last !== undefined && number === last[1] + 1) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges
    .map(([first, last]) =>
      first === last ? `${value} === ${first}` : `(${value} >= ${first} && ${value} <= ${last})`,
    )
    .join(" || ");
}

/** An expression that reads a scalar; the cursor is behind it afterwards. */
function readScalar(context: Context, field: DescField, to: string, type = field.scalar): Printable[] {
  const scalar = scalarOf(type);
  if (scalar.zero === "text") {
    return [context.runtime(field.utf8Validation ? "readText" : "readLooseText"), `(bytes, at, ${to})`];
  }
  if (scalar.zero === "bytes") return [context.runtime("readBytes"), `(bytes, at, ${to})`];
  const read = [context.runtime(scalar.read), "(bytes, at)"];
  const asText = scalar.zero === "long" && "longAsString" in field && field.longAsString;
  return asText ? ["String(", ...read, ")"] : read;
}

function readSingleMessage(code: Code, context: Context, field: DescField, place: string): void {
  const before =
    field.oneof === undefined
      ? `${place} !== undefined`
      : `${place}?.case === ${JSON.stringify(field.localName)}`;
  // What comes a second time is merged with the first.
  code.line(`if (${before}) `, context.runtime("unusual"), "();");
  readDelimited(code, context, field, "to", (value) => assign(code, field, place, ...value));
}

/** Reads the message that begins at `at`, and goes behind it. */
function readDelimited(
  code: Code,
  context: Context,
  field: DescField,
  to: string,
  use: (value: Printable[]) => void,
): void {
  const cursor = context.runtime("cursor");
  const message = field.message as DescMessage;
  if (delimited(field)) {
    code.line("const end = ", context.runtime("groupEnd"), `(bytes, at, ${to}, ${field.number}, depth + 1);`);
    code.line("const next = ", cursor, ";");
    use(
      isJson(field)
        ? [context.runtime("readStruct"), "(bytes, at, end, depth + 1)"]
        : [context.codec(message).read("at", "end")],
    );
    code.line("at = next;");
    return;
  }
  code.line("const end = ", context.runtime("readSpan"), `(bytes, at, ${to});`);
  use([
    ...(isJson(field)
      ? [context.runtime("readStruct"), "(bytes, ", cursor, ", end, depth + 1)"]
      : [context.codec(message).read(cursor, "end")]),
  ]);
  code.line("at = end;");
}

function readWrapper(code: Code, context: Context, field: DescField, place: string): void {
  const inner = wrapped(field) as DescField;
  const scalar = scalarOf(inner.scalar);
  const cursor = context.runtime("cursor");
  code.line(`if (${place} !== undefined) `, context.runtime("unusual"), "();");
  code.line(context.runtime("checkDepth"), "(depth + 1);");
  const group = delimited(field);
  if (group) {
    code.line("const end = ", context.runtime("groupEnd"), `(bytes, at, to, ${field.number}, depth + 1);`);
    code.line("const next = ", cursor, ";");
  } else {
    code.line("const end = ", context.runtime("readSpan"), "(bytes, at, to);");
    code.line("at = ", cursor, ";");
  }
  code.line(
    "let value",
    ...context.unchecked(),
    " = ",
    zeroOf(context, inner.scalar as ScalarType, false),
    ";",
  );
  code.block(["while (at < end)"], () => {
    code.line(`if (bytes[at++] !== ${tagOf(inner.number, scalar.wire)}) `, context.runtime("unusual"), "();");
    code.line("value = ", ...readScalar(context, inner, "end"), ";");
    advance(code, context, inner.scalar);
  });
  code.line("if (at !== end) ", context.runtime("unusual"), "();");
  if (group) code.line("at = next;");
  assign(code, field, place, "value");
}

function readList(
  code: Code,
  context: Context,
  field: DescField & { fieldKind: "list" },
  place: string,
  labelled: (wire: number, body: () => void) => void,
): void {
  const cursor = context.runtime("cursor");
  if (field.listKind === "message") {
    labelled(delimited(field) ? 3 : 2, () =>
      readDelimited(code, context, field, "to", (value) => code.line(`${place}.push(`, ...value, ");")),
    );
    return;
  }
  const scalar = scalarOf(field.scalar);
  labelled(scalar.wire, () => {
    code.line(`${place}.push(`, ...readScalar(context, field, "to"), ");");
    advance(code, context, field.scalar);
  });
  // Packed or not, both must be read, whatever the schema says.
  if (scalar.wire === 2) return;
  code.block([`case ${tagOf(field.number, 2)}:`], () => {
    code.line("const end = ", context.runtime("readSpan"), "(bytes, at, to);");
    code.line("at = ", cursor, ";");
    code.block(["while (at < end)"], () => {
      code.line(`${place}.push(`, ...readScalar(context, field, "end"), ");");
      advance(code, context, field.scalar);
    });
    code.line("if (at !== end) ", context.runtime("unusual"), "();");
    code.line("break;");
  });
}

function readMap(code: Code, context: Context, field: DescField & { fieldKind: "map" }, place: string): void {
  const cursor = context.runtime("cursor");
  const key = scalarOf(field.mapKey);
  code.line("const stop = ", context.runtime("readSpan"), "(bytes, at, to);");
  code.line("at = ", cursor, ";");
  code.line("let key", ...context.unchecked(), " = ", zeroOf(context, field.mapKey, false), ";");
  const empty: Printable =
    field.mapKind === "scalar"
      ? field.scalar === undefined || scalarOf(field.scalar).zero !== "bytes"
        ? zeroOf(context, field.scalar, false)
        : "new Uint8Array(0)"
      : field.mapKind === "enum"
        ? String(firstNumber(field.enum))
        : "undefined";
  code.line("let value", ...context.unchecked(), " = ", empty, ";");
  code.block(["while (at < stop)"], () => {
    code.block(["switch (bytes[at++])"], () => {
      code.block([`case ${tagOf(1, key.wire)}:`], () => {
        code.line("key = ", ...readScalar(context, field, "stop", field.mapKey), ";");
        advance(code, context, field.mapKey);
        code.line("break;");
      });
      const wire = field.mapKind === "message" ? 2 : scalarOf(field.scalar).wire;
      code.block([`case ${tagOf(2, wire)}:`], () => {
        if (field.mapKind === "message") {
          code.line("if (value !== undefined) ", context.runtime("unusual"), "();");
          readDelimited(code, context, field, "stop", (read) => code.line("value = ", ...read, ";"));
        } else {
          code.line("value = ", ...readScalar(context, field, "stop"), ";");
          advance(code, context, field.scalar);
        }
        code.line("break;");
      });
      code.line("default:");
      code.line("  ", context.runtime("unusual"), "();");
    });
  });
  code.line("if (at !== stop) ", context.runtime("unusual"), "();");
  if (field.mapKind === "message") {
    const none = isJson(field) ? "{}" : context.codec(field.message as DescMessage).read("0", "0");
    code.line("value ??= ", none, ";");
  }
  code.line(context.runtime("setEntry"), `(${place}, key, value);`);
}
