import type { DescFile, DescMessage } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import type { GeneratedFile } from "@bufbuild/protoplugin";
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
 */
export function generateCodecs(
  file: GeneratedFile,
  desc: DescFile,
  runtime: string,
  together: readonly DescFile[],
  target: "ts" | "js",
): void {
  const context = createContext(desc, file, runtime, together, target);
  const code = createCode();
  for (const type of nestedTypes(desc)) {
    if (type.kind === "message") generateCodec(code, context, type, runtime);
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

function generateCodec(code: Code, context: Context, message: DescMessage, runtime: string): void {
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
    " = ",
    context.runtime("messageCodec"),
    "({ bound: ",
    bound,
    ", write: ",
    write,
    ", read: ",
    read,
    " });",
  );
  code.line(context.runtime("registerCodec"), "(", schema, ", ", codec, ");");
  code.line();
}
