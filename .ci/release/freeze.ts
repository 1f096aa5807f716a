// Freezes the present code as what a release was: test/compat/releases/VERSION/, with both ends in one file and the wire's test
// vectors. The tests of test/compat then hold every later version to it.
import { cpSync, globSync, mkdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { build } from "esbuild";

/** Where the releases are. */
const FOLDER = "test/compat/releases";

/** Writes what is frozen of this version, in place of what was frozen of it before. */
export async function freeze(version: string): Promise<void> {
  const folder = join(FOLDER, version);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "vectors"), { recursive: true });
  await build({
    entryPoints: ["test/compat/release.ts"],
    outfile: join(folder, "hawser.mjs"),
    bundle: true,
    minify: true,
    keepNames: true,
    platform: "node",
    format: "esm",
    target: "node22",
    legalComments: "inline",
    // Packages in CommonJS ask for what Node brings.
    banner: {
      js: `import { createRequire } from "node:module"; const require = createRequire(import.meta.url);`,
    },
    // ws works without these.
    external: ["bufferutil", "utf-8-validate"],
    logLevel: "error",
  });
  for (const file of globSync("test/vectors/*.json")) cpSync(file, join(folder, "vectors", basename(file)));
}
