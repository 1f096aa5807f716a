// Writes src/codec/well-known/: the codecs of the well-known types, as protoc-gen-hawser generates them. With --check it
// writes nothing, and fails when they are not what the generator would write.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { create } from "@bufbuild/protobuf";
import {
  CodeGeneratorRequestSchema,
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
} from "@bufbuild/protobuf/wkt";
import { createEcmaScriptPlugin } from "@bufbuild/protoplugin";
import { generateCodecs } from "../src/protoc/codecs.js";

const FOLDER = "src/codec/well-known";

const files = [
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
];

const plugin = createEcmaScriptPlugin({
  name: "npm run write:well-known",
  version: "",
  generateTs(schema) {
    for (const desc of schema.files) {
      const file = schema.generateFile(`${desc.name}_hawser.ts`);
      file.print(`// Written by \`npm run write:well-known\` from ${desc.proto.name}.`);
      generateCodecs(file, desc, "../runtime.js", schema.files, "ts", false);
    }
  },
});

const request = create(CodeGeneratorRequestSchema, {
  fileToGenerate: files.map(({ proto }) => proto.name),
  parameter: "target=ts,import_extension=js",
  protoFile: files.map(({ proto }) => proto),
});

const check = process.argv.includes("--check");
mkdirSync(".tmp", { recursive: true });
// Beside the sources, since the formatter knows only files of the repository that it does not ignore.
const folder = check ? mkdtempSync(join("src", "codec", "fresh-")) : FOLDER;
try {
  for (const { name = "", content = "" } of plugin.run(request).file) {
    const path = basename(name).replace("_hawser", "").replaceAll("_", "-");
    const text = content
      .replaceAll(/"[^"]*_pb\.js"/g, '"@bufbuild/protobuf/wkt"')
      .replaceAll(/"[./]*\/runtime\.js"/g, '"../runtime.js"');
    writeFileSync(join(folder, path), text);
  }
  execFileSync("biome", ["check", "--write", folder], { stdio: ["ignore", "ignore", "inherit"] });
  const stale = readdirSync(folder).filter(
    (path) => readFileSync(join(folder, path), "utf8") !== readFileSync(join(FOLDER, path), "utf8"),
  );
  if (stale.length > 0) {
    console.error(`${FOLDER}: ${stale.join(", ")}: run \`npm run write:well-known\``);
    process.exitCode = 1;
  }
} finally {
  if (check) rmSync(folder, { recursive: true, force: true });
}
