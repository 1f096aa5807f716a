import type { DescField, DescMessage, ScalarType } from "@bufbuild/protobuf";
import type { Printable } from "@bufbuild/protoplugin";
import { type Code, createCode } from "./code.js";
import { type Context, declaration, property } from "./context.js";
import { mostBytes } from "./most.js";
import { delimited, firstNumber, isJson, type Scalar, scalarOf, tagBytes, wrapped } from "./scalars.js";

/** `FeatureSet.FieldPresence` of protobuf-es' descriptors. */
const IMPLICIT = 2;
const LEGACY_REQUIRED = 3;

/** Lengths below this take one byte. */
const ONE_BYTE = 0x80;

/** Generates the function that writes a message: its fields one after the other, in the order of their numbers. */
export function generateWrite(code: Code, context: Context, message: DescMessage): Printable {
  const { write } = context.names(message);
  const body = createCode(1);
  for (const oneof of message.oneofs) {
    const local = context.local(oneof);
    body.line(
      `const ${local} = `,
      context.runtime("oneof"),
      `(${property("message", oneof.localName)}, created);`,
    );
  }
  const fields = [...message.fields].sort((a, b) => a.number - b.number);
  for (const field of fields) {
    body.line(`// ${declaration(field)}`);
    writeField(body, context, field);
  }
  const into = body.mentions("into") ? "into" : "_into";
  code.line(
    "function ",
    context.own(write),
    "(message",
    ...context.unchecked(),
    `, ${into}`,
    ...context.typed("Uint8Array"),
    ", at",
    ...context.typed("number"),
    ", strict",
    ...context.typed("boolean"),
    ")",
    ...context.typed("number"),
    " {",
  );
  code.line(
    body.mentions("created") ? "  const created = " : "  ",
    context.runtime("isCreated"),
    `(message, ${JSON.stringify(message.typeName)}, strict);`,
  );
  code.append(body);
  code.line("  return at;");
  code.line("}");
  code.line();
  return context.own(write);
}

function writeField(code: Code, context: Context, field: DescField): void {
  const local = context.local(field);
  const declare = () => code.line(`const ${local} = ${property("message", field.localName)};`);
  if (field.fieldKind === "list") {
    declare();
    writeList(code, context, field, local);
  } else if (field.fieldKind === "map") {
    declare();
    writeMap(code, context, field, local);
  } else if (field.oneof !== undefined) {
    const oneof = context.local(field.oneof);
    code.block([`if (${oneof}?.case === ${JSON.stringify(field.localName)})`], () =>
      writeValue(code, context, field, `${oneof}.value`),
    );
  } else if (field.presence !== IMPLICIT) {
    declare();
    const set = [
      context.runtime("isSet"),
      `(message, ${JSON.stringify(field.localName)}, ${local}, created)`,
    ];
    const write = () => writeValue(code, context, field, local);
    const missing = () => code.line(context.runtime("unusual"), "();");
    if (field.presence === LEGACY_REQUIRED) code.branches([set, write], [undefined, missing]);
    else code.branches([set, write]);
  } else {
    declare();
    writeImplicit(code, context, field, local);
  }
}

/** A field without presence: written unless it holds the zero of its type. */
function writeImplicit(code: Code, context: Context, field: DescField, value: string): void {
  const absent = () => code.line(context.runtime("absent"), `(${value}, created);`);
  const write = () => writeValue(code, context, field, value);
  const missing = [`${value} === undefined || ${value} === null`];
  const zero = field.enum === undefined ? scalarOf(field.scalar).zero : "number";
  if (zero === "long" && field.fieldKind === "scalar" && field.longAsString) {
    const number = [context.runtime("longFromText"), `(${value}) !== `, context.runtime("ZERO")];
    code.branches([missing, absent], [number, write]);
  } else if (zero === "bytes") {
    code.branches([missing, absent], [[`${value}.length !== 0`], write]);
  } else if (zero === "double") {
    // Minus zero is a value of its own.
    const notZero = () => code.branches([[`!Object.is(${value}, 0)`], write]);
    code.branches([[`typeof ${value} === "number"`], notZero], [undefined, absent]);
  } else if (zero === "number" && field.enum !== undefined && firstNumber(field.enum) !== 0) {
    code.branches([missing, absent], [[`${value} !== ${firstNumber(field.enum)}`], write]);
  } else {
    // What is not written is false to JavaScript, but so are values of other types.
    const zeros = { number: "0", long: context.runtime("ZERO"), bool: "false", text: '""' };
    code.branches([[value], write], [[`${value} !== `, zeros[zero]], absent]);
  }
}

/** A value with its tag, whatever it is. */
function writeValue(code: Code, context: Context, field: DescField, value: string): void {
  const inner = wrapped(field);
  if (inner !== undefined) {
    const group = delimited(field);
    writeTag(code, field.number, group ? 3 : 2);
    if (!group) code.line("const start = ++at;");
    code.block(["if (", ...isNotZero(context, scalarOf(inner.scalar), value), ")"], () => {
      writeTag(code, inner.number, scalarOf(inner.scalar).wire);
      code.line("at = ", ...writeScalar(context, inner, value), ";");
    });
    if (group) writeTag(code, field.number, 4);
    else code.line("at = ", context.runtime("closeSpan"), "(into, start, at);");
  } else if (field.message !== undefined) {
    writeChild(code, context, field, value);
  } else {
    writeTag(code, field.number, scalarOf(field.scalar).wire);
    code.line("at = ", ...writeScalar(context, field, value), ";");
  }
}

function isNotZero(context: Context, scalar: Scalar, value: string): Printable[] {
  switch (scalar.zero) {
    case "double":
      return [`!Object.is(${value}, 0)`];
    case "bytes":
      return [`${value}.length !== 0`];
    case "text":
      return [`${value} !== ""`];
    case "bool":
      return [`${value} !== false`];
    case "long":
      return [`${value} !== `, context.runtime("ZERO")];
    case "number":
      return [`${value} !== 0`];
  }
}

/** A message with its tag, delimited in the way of its field. */
function writeChild(code: Code, context: Context, field: DescField, value: string): void {
  if (delimited(field)) {
    writeTag(code, field.number, 3);
    if (isJson(field)) code.line("at = ", context.runtime("writeStruct"), `(into, at, ${value});`);
    else code.line("at = ", context.codec(field.message as DescMessage).write(value, "at"), ";");
    writeTag(code, field.number, 4);
    return;
  }
  writeTag(code, field.number, 2);
  code.line("const start = ++at;");
  writeSpan(code, context, field, value);
}

/** A message whose length goes in front of `start`. */
function writeSpan(code: Code, context: Context, field: DescField, value: string): void {
  if (isJson(field)) {
    code.line(
      "at = ",
      context.runtime("closeSpan"),
      "(into, start, ",
      context.runtime("writeStruct"),
      `(into, start, ${value}));`,
    );
    return;
  }
  const message = field.message as DescMessage;
  const write = context.codec(message).write(value, "start");
  if ((mostBytes(message) ?? ONE_BYTE) < ONE_BYTE) {
    code.line("at = ", write, ";");
    code.line("into[start - 1] = at - start;");
  } else {
    code.line("at = ", context.runtime("closeSpan"), "(into, start, ", write, ");");
  }
}

function writeScalar(context: Context, field: DescField, value: string): Printable[] {
  const scalar = scalarOf(field.scalar);
  const long = scalar.zero === "long" && "longAsString" in field && field.longAsString;
  const argument = long ? [context.runtime("longFromText"), `(${value})`] : [value];
  return [context.runtime(scalar.write), "(into, at, ", ...argument, ")"];
}

function writeList(
  code: Code,
  context: Context,
  field: DescField & { fieldKind: "list" },
  value: string,
): void {
  const length = `${value}Length`;
  code.line(`const ${length} = `, context.runtime("elements"), `(${value}, created);`);
  const loop = [`for (let i = 0; i < ${length}; i++)`];
  if (field.listKind === "message") {
    code.block(loop, () => writeChild(code, context, field, `${value}[i]`));
    return;
  }
  const scalar = scalarOf(field.scalar);
  if (!field.packed) {
    code.block(loop, () => {
      writeTag(code, field.number, scalar.wire);
      code.line("at = ", ...writeScalar(context, field, `${value}[i]`), ";");
    });
    return;
  }
  code.block([`if (${length} > 0)`], () => {
    writeTag(code, field.number, 2);
    const size = { 1: 8, 5: 4 }[scalar.wire as number];
    if (size !== undefined)
      code.line("at = ", context.runtime("writeVarint"), `(into, at, ${length} * ${size});`);
    else code.line("const start = ++at;");
    code.line(...loop, " at = ", ...writeScalar(context, field, `${value}[i]`), ";");
    if (size === undefined) code.line("at = ", context.runtime("closeSpan"), "(into, start, at);");
  });
}

function writeMap(
  code: Code,
  context: Context,
  field: DescField & { fieldKind: "map" },
  value: string,
): void {
  code.block(["for (const key of ", context.runtime("mapKeys"), `(${value}, created))`], () => {
    writeTag(code, field.number, 2);
    code.line("const entry = ++at;");
    const key = scalarOf(field.mapKey);
    writeTag(code, 1, key.wire);
    code.line("at = ", context.runtime(key.write), "(into, at, ", ...keyValue(context, field.mapKey), ");");
    if (field.mapKind === "message") {
      writeTag(code, 2, 2);
      code.line("const start = ++at;");
      writeSpan(code, context, field, `${value}[key]`);
    } else {
      const scalar = scalarOf(field.scalar);
      writeTag(code, 2, scalar.wire);
      code.line("at = ", context.runtime(scalar.write), `(into, at, ${value}[key]);`);
    }
    code.line("at = ", context.runtime("closeSpan"), "(into, entry, at);");
  });
}

function keyValue(context: Context, type: ScalarType): Printable[] {
  switch (scalarOf(type).zero) {
    case "text":
      return ["key"];
    case "bool":
      return [context.runtime("boolKey"), "(key)"];
    case "long":
      return [context.runtime("longKey"), "(key)"];
    default:
      return [context.runtime("numberKey"), "(key)"];
  }
}

function writeTag(code: Code, number: number, wire: number): void {
  for (const byte of tagBytes(number, wire)) code.line(`into[at++] = ${byte};`);
}
