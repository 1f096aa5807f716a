// Builds dist/browser/hawser.js: the client with the protobuf runtime as one module for pages without a bundler. Another
// folder than dist/browser may be given.
import { build } from "esbuild";

await build({
  entryPoints: { hawser: "src/browser/index.ts" },
  outdir: process.argv[2] ?? "dist/browser",
  bundle: true,
  minify: true,
  sourcemap: true,
  format: "esm",
  platform: "browser",
  // Class members of this age run as they are in browsers that know every other thing used here.
  target: "es2022",
  banner: { js: "/*! Hawser, Apache-2.0. Contains @bufbuild/protobuf, Apache-2.0 AND BSD-3-Clause. */" },
  logLevel: "warning",
});
