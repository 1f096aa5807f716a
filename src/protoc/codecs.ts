import type { DescFile, DescMessage } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import type { GeneratedFile } from "@bufbuild/protoplugin";
import { generateBound } from "./bound.js";
import { createCode } from "./code.js";
import { type Context, createContext } from "./context.js";
import { generateRead, inheritsDefaults } from "./read-message.js";
import { generateWrite } from "./write-message.js";

/**
 * Generates the codecs of all messages of a file, and what registers them.
 *
 * @param runtime Where they import what they call.
 * @param together The files that are generated in the same run.
 */
export function generateCodecs(
  file: GeneratedFile,
  desc: DescFile,
  runtime: string,
  together: readonly DescFile[],
): void {
  const context = createContext(desc, file, runtime, together);
  const code = createCode();
  for (const type of nestedTypes(desc)) {
    if (type.kind === "message") generateCodec(code, context, type);
  }
  for (const [constant, schema] of context.elsewhere) {
    code.line(
      "const ",
      constant,
      ": ",
      context.runtime("MessageCodec", true),
      " = ",
      context.runtime("codecElsewhere"),
      "(",
      context.file.importSchema(schema),
      ");",
    );
  }
  code.print(file);
}

function generateCodec(code: ReturnType<typeof createCode>, context: Context, message: DescMessage): void {
  const { codec } = context.names(message);
  const schema = context.file.importSchema(message);
  if (inheritsDefaults(message)) {
    code.line(
      "const ",
      context.own(`${codec}Defaults`),
      ": object | null = ",
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
  code.line(`/** Encodes and decodes ${message.typeName}. */`);
  code.line(
    context.file.export("const", codec),
    ": ",
    context.runtime("MessageCodec", true),
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
