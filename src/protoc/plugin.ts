import { createRequire } from "node:module";
import type { DescFile } from "@bufbuild/protobuf";
import { createEcmaScriptPlugin, type GeneratedFile, type Plugin, type Schema } from "@bufbuild/protoplugin";
import { generateCodecs } from "./codecs.js";
import { generateServices } from "./services.js";

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
  generateTs,
});

function parseOptions(given: { key: string; value: string }[]): Options {
  let codecs = true;
  for (const { key, value } of given) {
    if (key !== "codecs") throw new Error(`unknown option; ours is codecs=true|false`);
    if (value !== "true" && value !== "false") throw new Error("codecs must be true or false");
    codecs = value === "true";
  }
  return { codecs };
}

function generateTs(schema: Schema<Options>): void {
  for (const desc of schema.files) {
    const file = schema.generateFile(`${desc.name}_hawser.ts`);
    file.preamble(desc);
    reexport(file, desc, schema);
    generateServices(file, desc);
    if (schema.options.codecs) generateCodecs(file, desc, "hawser/codec", schema.files);
  }
}

/** So that this file can be imported instead of the other. */
function reexport(file: GeneratedFile, desc: DescFile, schema: Schema<Options>): void {
  const base = desc.name.split("/").at(-1);
  const extension = schema.options.importExtension === "none" ? "" : `.${schema.options.importExtension}`;
  file.print(`export * from "./${base}_pb${extension}";`);
  file.print();
}
