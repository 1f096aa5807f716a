import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

/** A file of the page, ready to be sent. */
export interface PageFile {
  readonly type: string;
  readonly body: Uint8Array;
}

/** Files of the page by their path in the URL. */
export type PageFiles = ReadonlyMap<string, PageFile>;

const page = (name: string) => fileURLToPath(new URL(`../page/${name}`, import.meta.url));

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
};

/** What the page is made of. */
const FILES: Readonly<Record<string, string>> = {
  "/": "index.html",
  "/page.js": "page.js",
  "/page.css": "page.css",
};

/**
 * The page: as it lies in the package, built; in the repository it is built now, in memory.
 *
 * @throws Error that says what to do, when it cannot be built.
 */
export async function loadPage(): Promise<PageFiles> {
  if (!existsSync(page("page.js"))) return buildPage();
  const files = new Map<string, PageFile>();
  for (const [path, name] of Object.entries(FILES))
    files.set(path, pageFile(name, await readFile(page(name))));
  return files;
}

/**
 * Builds the page from `src/demo/page`, in memory.
 *
 * esbuild is a development dependency: it is loaded only here, so that everything but the page works without it.
 *
 * @throws Error that says what to do, when esbuild or one of the page's packages is missing.
 */
export async function buildPage(): Promise<PageFiles> {
  try {
    const { build } = await import("esbuild");
    const { outputFiles } = await build({
      entryPoints: [page("page.ts"), page("page.css")],
      bundle: true,
      write: false,
      outdir: "/",
      format: "esm",
      platform: "browser",
      // Class members of this age run as they are in browsers that know every other thing used here.
      target: "es2022",
      minify: true,
      logLevel: "silent",
    });
    const html = pageFile("index.html", await readFile(page("index.html")));
    const files = new Map<string, PageFile>([["/", html]]);
    for (const { path, contents } of outputFiles) {
      const name = path.slice(path.lastIndexOf("page."));
      files.set(`/${name}`, pageFile(name, contents));
    }
    return files;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(`the page cannot be built; "npm ci" installs what it needs. ${message}`, {
      cause: error,
    });
  }
}

function pageFile(name: string, body: Uint8Array): PageFile {
  return { type: TYPES[extname(name)] ?? "text/plain", body };
}
