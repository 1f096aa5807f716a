// The page: built in memory when the server starts, and served.
import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";

interface PageFile {
  readonly type: string;
  readonly body: Uint8Array;
}

/** Files of the page by their paths. */
export type PageFiles = ReadonlyMap<string, PageFile>;

/** It loads what is its own and talks to its own server, and runs nothing that somebody may have written into a room. */
const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; form-action 'none'; base-uri 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
};

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Bundles `page/` with esbuild. */
export async function buildPage(): Promise<PageFiles> {
  const { build } = await import("esbuild");
  const { outputFiles } = await build({
    entryPoints: [here("page/chat.ts"), here("page/chat.css")],
    bundle: true,
    write: false,
    outdir: "/",
    format: "esm",
    platform: "browser",
    target: "es2022",
    minify: true,
    logLevel: "silent",
    // Only inside this repository, which is not installed: elsewhere the package says itself what browsers get.
    alias: { "hawser/client": here("../../src/client/browser.ts") },
  });
  const bundled = (extension: string) =>
    outputFiles.find(({ path }) => path.endsWith(extension))?.contents ?? new Uint8Array();
  const html = { type: "text/html; charset=utf-8", body: await readFile(here("page/index.html")) };
  return new Map<string, PageFile>([
    ["/", html],
    ["/chat.js", { type: "text/javascript; charset=utf-8", body: bundled(".js") }],
    ["/chat.css", { type: "text/css; charset=utf-8", body: bundled(".css") }],
  ]);
}

/** Answers a request with a file of the page, or with 404. */
export function servePage(files: PageFiles, request: IncomingMessage, response: ServerResponse): void {
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  const file = request.method === "GET" ? files.get(pathname) : undefined;
  response.writeHead(file === undefined ? 404 : 200, {
    ...HEADERS,
    "content-type": file?.type ?? "text/plain",
  });
  response.end(file?.body ?? "no such page\n");
}
