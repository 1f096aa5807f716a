import type { DescField, DescMessage, DescOneof } from "@bufbuild/protobuf";
import type { Printable } from "@bufbuild/protoplugin";
import type { Code } from "./code.js";
import { type Context, property } from "./context.js";
import { LENGTH, mostBytes, mostOfField, mostOfValue } from "./most.js";
import { isJson, scalarOf, tagBytes, wrapped } from "./scalars.js";

/** Generates the function that tells how large a message may become; for a message that has a largest size, just that. */
export function generateBound(code: Code, context: Context, message: DescMessage): Printable {
  const most = mostBytes(message);
  if (most !== undefined) return `() => ${most}`;
  const { bound } = context.names(message);
  code.block(
    ["function ", context.own(bound), "(message", ...context.unchecked(), ")", ...context.typed("number")],
    () => {
      code.line(`let bound = ${fixedPart(message)};`);
      for (const member of message.members) {
        if (member.kind === "oneof") boundOneof(code, context, member);
        else if (mostOfField(member) === undefined) boundField(code, context, member);
      }
      code.line("return bound;");
    },
  );
  code.line();
  return context.own(bound);
}

/** What all the fields take together that have a largest size. */
function fixedPart(message: DescMessage): number {
  let sum = 0;
  for (const member of message.members) {
    if (member.kind === "oneof") sum += Math.max(0, ...member.fields.map((field) => mostOfField(field) ?? 0));
    else sum += mostOfField(member) ?? 0;
  }
  return sum;
}

function boundField(code: Code, context: Context, field: DescField): void {
  const value = property("message", field.localName);
  const tag = tagBytes(field.number, 0).length;
  if (field.fieldKind === "list") boundList(code, context, field, value, tag);
  else if (field.fieldKind === "map") boundMap(code, context, field, value, tag);
  else if (field.message === undefined || wrapped(field) !== undefined) {
    const inner = wrapped(field);
    // A wrapper adds its own tag and length.
    code.line(
      `bound += ${tag + (inner === undefined ? 0 : 1 + LENGTH)} + `,
      ...boundOfText(context, inner ?? field, value),
      ";",
    );
  } else {
    const local = context.local(field);
    code.line(`const ${local} = ${value};`);
    code.line(
      `if (${local} !== undefined && ${local} !== null) bound += ${tag + LENGTH} + `,
      ...boundOfMessage(context, field, local),
      ";",
    );
  }
}

function boundOneof(code: Code, context: Context, oneof: DescOneof): void {
  const open = oneof.fields.filter((field) => mostOfField(field) === undefined);
  if (open.length === 0) return;
  const local = context.local(oneof);
  code.line(`const ${local} = ${property("message", oneof.localName)};`);
  for (const field of open) {
    const tag = tagBytes(field.number, 0).length;
    const value = `${local}.value`;
    const bound =
      field.message === undefined
        ? [`${tag} + `, ...boundOfText(context, field, value)]
        : [`${tag + LENGTH} + `, ...boundOfMessage(context, field, value)];
    code.line(`if (${local}?.case === ${JSON.stringify(field.localName)}) bound += `, ...bound, ";");
  }
}

/** Of a text or of bytes, with the length. */
function boundOfText(context: Context, field: DescField, value: string): Printable[] {
  const helper = scalarOf(field.scalar).zero === "text" ? "textBound" : "bytesBound";
  return [context.runtime(helper), `(${value})`];
}

/** Of a message or of JSON, without its length. */
function boundOfMessage(context: Context, field: DescField, value: string): Printable[] {
  if (isJson(field)) return [context.runtime("structBound"), `(${value})`];
  return [context.codec(field.message as DescMessage).bound(value)];
}

function boundList(
  code: Code,
  context: Context,
  field: DescField & { fieldKind: "list" },
  value: string,
  tag: number,
): void {
  const local = context.local(field);
  const length = `${local}Length`;
  code.line(`const ${local} = ${value};`);
  code.line(`const ${length} = `, context.runtime("elements"), `(${local}, false);`);
  const most = mostOfValue(field);
  if (most !== undefined) {
    // Packed or not, for readers take both and so may writers.
    code.line(
      `bound += ${field.packed ? tag + LENGTH : 0} + ${length} * ${field.packed ? most : tag + most};`,
    );
    return;
  }
  const element = `${local}[i]`;
  const bound =
    field.listKind === "message"
      ? [`${tag + LENGTH} + `, ...boundOfMessage(context, field, element)]
      : [`${tag} + `, ...boundOfText(context, field, element)];
  code.line(`for (let i = 0; i < ${length}; i++) bound += `, ...bound, ";");
}

function boundMap(
  code: Code,
  context: Context,
  field: DescField & { fieldKind: "map" },
  value: string,
  tag: number,
): void {
  const local = context.local(field);
  const key = scalarOf(field.mapKey);
  const most = mostOfValue(field);
  // The entry's length, and the tags of key and value.
  const fixed =
    tag + LENGTH + 2 + (key.most ?? LENGTH) + (most ?? (field.mapKind === "message" ? LENGTH : 0));
  code.line(`const ${local} = ${value};`);
  const dynamic: Printable[] = [];
  if (key.most === undefined) dynamic.push(" + key.length * 3");
  if (most === undefined) {
    const entry = `${local}[key]`;
    dynamic.push(
      " + ",
      ...(field.mapKind === "message"
        ? boundOfMessage(context, field, entry)
        : boundOfText(context, field, entry)),
    );
  }
  if (dynamic.length === 0) {
    code.line("bound += ", context.runtime("mapKeys"), `(${local}, false).length * ${fixed};`);
  } else {
    code.line(
      "for (const key of ",
      context.runtime("mapKeys"),
      `(${local}, false)) bound += ${fixed}`,
      ...dynamic,
      ";",
    );
  }
}
