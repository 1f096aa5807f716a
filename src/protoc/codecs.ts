import type { DescFile, DescMessage, DescService } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import type { GeneratedFile, Printable } from "@bufbuild/protoplugin";
import { generateBound } from "./bound.js";
import { type Code, createCode } from "./code.js";
import { type Context, createContext } from "./context.js";
import { namesIn } from "./names.js";
import { generateRead, inheritsDefaults } from "./read-message.js";
import { generateWrite } from "./write-message.js";

/**
 * Generates the codecs of all messages of a file, and what registers them.
 *
 * @param runtime Where they import what they call.
 * @param together The files that are generated in the same run.
 * @param target The language.
 * @param exported Whether the file exports descriptors of messages and services that bring their codecs along.
 */
export function generateCodecs(
  file: GeneratedFile,
  desc: DescFile,
  runtime: string,
  together: readonly DescFile[],
  target: "ts" | "js",
  exported: boolean,
): void {
  const context = createContext(desc, file, runtime, together, target);
  const code = createCode();
  for (const type of nestedTypes(desc)) {
    if (type.kind === "message") generateCodec(code, context, type, runtime, exported);
  }
  for (const type of nestedTypes(desc)) {
    if (exported && type.kind === "service") exportService(code, context, type);
  }
  for (const [constant, schema] of context.elsewhere) {
    code.line(
      "const ",
      constant,
      ...context.typed(file.import("MessageCodec", runtime, true)),
      " = ",
      context.runtime("codecElsewhere"),
      "(",
      context.file.importSchema(schema),
      ");",
    );
  }
  code.print(file);
}

/** Tells bundlers that a call does nothing but give its result. */
const PURE = "/*@__PURE__*/";

/** Exports a descriptor of `protoc-gen-es` under its own name, so that whoever uses it has its codecs. */
function exportDescriptor(
  code: Code,
  context: Context,
  desc: DescMessage | DescService,
  [helper, ...call]: [string, ...Printable[]],
): void {
  const plain = context.file.importSchema(desc);
  const type = context.typed("typeof ", plain);
  code.line(
    `/** Describes the ${desc.toString()}, together with its codec${desc.kind === "service" ? "s" : ""}. */`,
  );
  code.line(
    context.file.export("const", plain.name),
    ...type,
    ` = ${PURE} `,
    context.runtime(helper),
    ...call,
    ";",
  );
  if (desc.kind === "service") code.line();
}

function exportService(code: Code, context: Context, service: DescService): void {
  const messages = new Set(service.methods.flatMap(({ input, output }) => [input, output]));
  const schemas = [...messages].map((message, i) => [i === 0 ? "" : ", ", context.schema(message)]);
  exportDescriptor(code, context, service, [
    "withCodecs",
    "(",
    context.file.importSchema(service),
    ", [",
    ...schemas,
    "])",
  ]);
}

/** Generates what the types of {@link generateCodecs} say, for a `.d.ts` file. */
export function declareCodecs(file: GeneratedFile, desc: DescFile, runtime: string): void {
  for (const type of nestedTypes(desc)) {
    if (type.kind !== "message") continue;
    file.print(describeCodec(type));
    const { codec } = namesIn(desc, file).message(type);
    file.print(file.export("declare const", codec), ": ", file.import("MessageCodec", runtime, true), ";");
    file.print();
  }
}

const describeCodec = (message: DescMessage): string => `/** Encodes and decodes ${message.typeName}. */`;

function generateCodec(
  code: Code,
  context: Context,
  message: DescMessage,
  runtime: string,
  exported: boolean,
): void {
  const { codec } = context.names(message);
  const schema = context.file.importSchema(message);
  if (inheritsDefaults(message)) {
    code.line(
      "const ",
      context.own(`${codec}Defaults`),
      ...context.typed("object | null"),
      " = ",
      context.runtime("prototypeOf"),
      "(",
      schema,
      ");",
    );
    code.line();
  }
  const bound = generateBound(code, context, message);
  const write = generateWrite(code, context, message);
  const read = generateRead(code, context, message);
  code.line(describeCodec(message));
  code.line(
    context.file.export("const", codec),
    ...context.typed(context.file.import("MessageCodec", runtime, true)),
    ` = ${PURE} `,
    context.runtime("messageCodec"),
    "({ bound: ",
    bound,
    ", write: ",
    write,
    ", read: ",
    read,
    " });",
  );
  if (exported) exportDescriptor(code, context, message, ["withCodec", "(", schema, ", ", codec, ")"]);
  else code.line(context.runtime("registerCodec"), "(", schema, ", ", codec, ");");
  code.line();
}
