import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname } from "node:path";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { createServer, type Server, type ServerOptions } from "../../src/server/index.js";
import { createFaultProxy, type FaultProxy } from "../../src/testing/index.js";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".map": "application/json; charset=utf-8",
};

/** Files by their path in the URL. */
export type SiteFiles = ReadonlyMap<string, string | Uint8Array>;

/** A web site with a Hawser server at `/rpc`, and a network in front of both that fails on command. */
export interface Site {
  readonly server: Server;
  readonly proxy: FaultProxy;
  /** Of the site, by way of the proxy. */
  readonly url: string;
  close(): Promise<void>;
}

/** Serves files and calls. */
export async function openSite(files: SiteFiles, options: ServerOptions): Promise<Site> {
  const server = createServer(options);
  const http = createHttpServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const path = pathname.endsWith("/") ? `${pathname}index.html` : pathname;
    const file = files.get(path);
    response.writeHead(file === undefined ? 404 : 200, {
      "content-type": TYPES[extname(path)] ?? "text/plain",
    });
    response.end(file);
  });
  server.attach(http, { path: "/rpc" });
  await new Promise<void>((done) => http.listen(0, "127.0.0.1", done));
  const proxy = await createFaultProxy({ target: { port: (http.address() as AddressInfo).port } });
  return {
    server,
    proxy,
    url: `http://127.0.0.1:${proxy.port}/`,
    async close() {
      await server.close();
      http.close();
      http.closeAllConnections();
      await proxy.close();
    },
  };
}

/** A page that has the client, as {@link Kit}. */
export async function kitFiles(): Promise<SiteFiles> {
  const { outputFiles } = await build({
    entryPoints: ["test/browser/page/kit.ts"],
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    target: "es2022",
  });
  return new Map([
    [
      "/index.html",
      '<!doctype html><title>kit</title><link rel="icon" href="data:,"><script type="module" src="/kit.js"></script><p id="text"></p>',
    ],
    ["/kit.js", outputFiles[0]!.text],
    ["/elsewhere.html", '<!doctype html><title>elsewhere</title><link rel="icon" href="data:,">'],
  ]);
}

/**
 * Opens a page of its own; `faults` is what went wrong in it that no test expects.
 *
 * @param script what runs in it before anything else
 */
export async function openPage(
  browser: Browser,
  url: string,
  script?: string,
): Promise<{ readonly page: Page; readonly faults: string[] }> {
  const context = await browser.newContext();
  const page = await context.newPage();
  if (script !== undefined) await page.addInitScript({ content: script });
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    // Browsers complain of every WebSocket that could not be opened.
    if (message.type() === "error" && !message.text().includes("WebSocket")) faults.push(message.text());
  });
  await page.goto(url);
  await page.waitForFunction(() => "kit" in globalThis);
  return { page, faults };
}
