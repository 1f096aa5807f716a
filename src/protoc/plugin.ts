import { createRequire } from "node:module";
import type { DescFile } from "@bufbuild/protobuf";
import {
  createEcmaScriptPlugin,
  type GeneratedFile,
  type Plugin,
  type Schema,
  type Target,
} from "@bufbuild/protoplugin";
import { declareCodecs, generateCodecs } from "./codecs.js";
import { hawserPath } from "./context.js";
import { generateServices } from "./services.js";

/** Where generated codecs import what they call. */
const RUNTIME = "hawser/codec";

/** Options of the plugin, besides those that every plugin of this kind takes. */
interface Options {
  /** Whether codecs are generated. Default true. */
  readonly codecs: boolean;
}

const { version } = createRequire(import.meta.url)("hawser/package.json") as { version: string };

/** `protoc-gen-hawser`: typed interfaces for services and fast codecs for messages, beside what `protoc-gen-es` generates. */
export const protocGenHawser: Plugin = createEcmaScriptPlugin<Options>({
  name: "protoc-gen-hawser",
  version: `v${version}`,
  parseOptions,
  generateTs: (schema) => generate(schema, "ts"),
  // Not left to the framework: its compiler knows no Promise and no AsyncIterable, and refuses to declare them.
  generateJs: (schema) => generate(schema, "js"),
  generateDts: (schema) => generate(schema, "dts"),
});

const SUFFIX = { ts: ".ts", js: ".js", dts: ".d.ts" };

function parseOptions(given: { key: string; value: string }[]): Options {
  let codecs = true;
  for (const { key, value } of given) {
    if (key !== "codecs") throw new Error(`there is no option ${key}; ours is codecs=true|false`);
    if (value !== "true" && value !== "false") throw new Error("codecs must be true or false");
    codecs = value === "true";
  }
  return { codecs };
}

function generate(schema: Schema<Options>, target: Target): void {
  const { jsImportStyle, rewriteImports } = schema.options;
  if (jsImportStyle !== "module") {
    throw new Error(
      "js_import_style=legacy_commonjs: Hawser has ECMAScript modules only; leave the option out",
    );
  }
  if (rewriteImports.length > 0) {
    throw new Error("rewrite_imports: our files stand beside those of protoc-gen-es; leave the option out");
  }
  for (const desc of schema.files) {
    const file = schema.generateFile(`${desc.name}_hawser${SUFFIX[target]}`);
    file.preamble(desc);
    reexport(file, desc, schema);
    const { codecs } = schema.options;
    // Descriptors come from files of ours where those have codecs to bring along.
    const ours = codecs && target !== "dts" ? schema.files : [];
    generateServices(file, desc, target, (type, typeOnly) => {
      const plain = file.importSchema(type, typeOnly);
      return ours.includes(type.file) ? file.import(plain.name, hawserPath(type.file), typeOnly) : plain;
    });
    if (!codecs) continue;
    if (target === "dts") declareCodecs(file, desc, RUNTIME);
    else generateCodecs(file, desc, RUNTIME, schema.files, target, true);
  }
}

/** So that this file can be imported instead of the other. */
function reexport(file: GeneratedFile, desc: DescFile, schema: Schema<Options>): void {
  const base = desc.name.split("/").at(-1);
  const extension = schema.options.importExtension === "none" ? "" : `.${schema.options.importExtension}`;
  file.print(`export * from "./${base}_pb${extension}";`);
  file.print();
}
