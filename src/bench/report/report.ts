import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import type { BenchResult } from "../result.js";

/**
 * The report of a run as one HTML file that needs nothing else: script, style and figures are in it.
 *
 * @throws Error when the page cannot be built.
 */
export async function renderReport(found: BenchResult): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, "page.ts")],
    bundle: true,
    write: false,
    format: "iife",
    platform: "browser",
    target: "es2022",
    minify: true,
    legalComments: "inline",
    logLevel: "silent",
  });
  const script = outputFiles[0]?.text ?? "";
  const style = await readFile(join(import.meta.dirname, "page.css"), "utf8");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hawser benchmarks</title>
<style>${style}</style>
</head>
<body>
<header><h1>Hawser benchmarks</h1><p id="machine"></p></header>
<main></main>
<script type="application/json" id="data">${inScript(JSON.stringify(found))}</script>
<script>${inScript(script)}</script>
</body>
</html>
`;
}

/** Text that ends no script element, whatever is in it. In JSON and in JavaScript's strings it means the same. */
function inScript(text: string): string {
  return text.replaceAll("</", "<\\/").replaceAll("<!--", "<\\!--");
}
