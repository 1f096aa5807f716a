import { join, resolve } from "node:path";
import { build, type Plugin } from "esbuild";

/** The session's files that the build without reliability does without. */
const WITHOUT = ["outbox.ts", "inbox.ts"];

/** Leaves out sequence numbers, acknowledgements and the outbox, to measure what they cost. */
const withoutReliability: Plugin = {
  name: "without-reliability",
  setup(setup) {
    setup.onResolve({ filter: /\/(outbox|inbox)\.js$/ }, ({ path, importer, resolveDir }) => {
      const file = resolve(resolveDir, path).replace(/\.js$/, ".ts");
      const name = WITHOUT.find((known) => file === resolve(import.meta.dirname, "../session", known));
      if (name === undefined || importer.includes("without")) return undefined;
      return { path: join(import.meta.dirname, "without", name) };
    });
  },
};

/**
 * Compiles `process.ts`, as users' code is compiled, so that what is measured is what runs in the end.
 *
 * @returns the script
 */
export async function bundleProcess(
  folder: string,
  variant: "whole" | "without reliability",
): Promise<string> {
  const whole = variant === "whole";
  const outdir = join(folder, whole ? "whole" : "without");
  await build({
    entryPoints: [join(import.meta.dirname, "process.ts")],
    outdir,
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    target: "es2023",
    packages: "external",
    logLevel: "error",
    plugins: whole ? [] : [withoutReliability],
  });
  return join(outdir, "process.js");
}
