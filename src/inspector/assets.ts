import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

/** A file of the page, ready to be sent. */
export interface Asset {
  readonly type: string;
  readonly body: Uint8Array;
  /** Changes with the body. */
  readonly etag: string;
}

/** Files of the page by name. */
export type Assets = ReadonlyMap<string, Asset>;

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
};

const FILES = ["index.html", "page.js", "page.css"];

const pathOf = (name: string) => fileURLToPath(new URL(`./page/${name}`, import.meta.url));

/**
 * The page as it lies in the package, built; in the repository it is built now, in memory.
 *
 * @throws Error that says what to do, when it cannot be built.
 */
export async function loadAssets(): Promise<Assets> {
  if (!existsSync(pathOf("page.js"))) return buildAssets();
  const bodies = FILES.map(async (name) => [name, assetOf(name, await readFile(pathOf(name)))] as const);
  return new Map(await Promise.all(bodies));
}

/**
 * Builds the page from its sources, in memory. esbuild is a development dependency: it is loaded only here.
 *
 * @throws Error that says what to do, when something is missing for it.
 */
export async function buildAssets(): Promise<Assets> {
  try {
    const { build } = await import("esbuild");
    const { outputFiles } = await build({
      entryPoints: [pathOf("page.tsx"), pathOf("page.css")],
      bundle: true,
      write: false,
      outdir: "/",
      format: "esm",
      platform: "browser",
      target: "es2022",
      jsx: "automatic",
      jsxImportSource: "preact",
      minify: true,
      logLevel: "silent",
    });
    const assets = new Map([["index.html", assetOf("index.html", await readFile(pathOf("index.html")))]]);
    for (const { path, contents } of outputFiles) {
      const name = path.slice(path.lastIndexOf("page."));
      assets.set(name, assetOf(name, contents));
    }
    return assets;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(`the inspector's page cannot be built; "npm ci" installs what it needs. ${message}`, {
      cause: error,
    });
  }
}

function assetOf(name: string, body: Uint8Array): Asset {
  const digest = createHash("sha256").update(body).digest("base64url").slice(0, 16);
  return { type: TYPES[extname(name)] ?? "text/plain", body, etag: `"${digest}"` };
}
