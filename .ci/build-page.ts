// Builds the pages of `hawser demo` and of the inspector into dist/, where the package has no bundler.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildPage } from "../src/demo/web/bundle.js";
import { buildAssets } from "../src/inspector/assets.js";

const write = (folder: string, files: Iterable<readonly [string, { readonly body: Uint8Array }]>) => {
  mkdirSync(folder, { recursive: true });
  for (const [name, { body }] of files) writeFileSync(join(folder, name), body);
};

const demo = [...(await buildPage())].map(
  ([path, file]) => [path === "/" ? "index.html" : path, file] as const,
);
write("dist/src/demo/page", demo);
write("dist/src/inspector/page", await buildAssets());
