#!/usr/bin/env node
// `protoc-gen-hawser`, as `buf generate` and protoc start it: reads what to generate from stdin, and writes the files to stdout.
const plugin = await import("@bufbuild/protoplugin").catch((error: unknown) => {
  if ((error as { code?: string }).code !== "ERR_MODULE_NOT_FOUND") throw error;
  // It brings a TypeScript compiler along, so only who generates code installs it.
  process.stderr.write("protoc-gen-hawser needs a package: npm install --save-dev @bufbuild/protoplugin\n");
  process.exit(1);
});
const { protocGenHawser } = await import("./plugin.js");
plugin.runNodeJs(protocGenHawser);
