// Builds the page of `hawser demo` into dist/, where the package has no bundler.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildPage } from "../src/demo/web/bundle.js";

const folder = "dist/src/demo/page";

mkdirSync(folder, { recursive: true });
for (const [path, { body }] of await buildPage())
  writeFileSync(join(folder, path === "/" ? "index.html" : path), body);
