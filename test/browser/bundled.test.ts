// The built package in pages as users build them: with Vite, and with nothing but a script of type "module".
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { transform } from "esbuild";
import type { Browser } from "playwright-core";
import { build, createServer as createViteServer } from "vite";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { file_hawser_test_v1_echo } from "../../gen/hawser/test/v1/echo_pb.js";
import { launchChromium } from "../demo/chromium.js";
import { folderWithPackage } from "../support/built-package.js";
import { echoRoutes } from "../support/echo.js";
import { openSite, type SiteFiles } from "./site.js";

const GEN = "gen/hawser/test/v1";

let browser: Browser;
let folder: string;

beforeAll(async () => {
  [browser, folder] = await Promise.all([launchChromium(), folderWithPackage("bundled")]);
});

afterAll(async () => {
  await browser?.close();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

/** What the page's title says once it has said something, and what went wrong in it. */
async function run(url: string): Promise<string> {
  const page = await browser.newPage();
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text());
  });
  await page.goto(url);
  let title = "";
  while (title === "" && faults.length === 0) title = await page.title();
  await page.close();
  expect(faults).toEqual([]);
  return title;
}

async function serve(files: SiteFiles): Promise<string> {
  const site = await openSite(files, { routes: echoRoutes() });
  onTestFinished(() => site.close());
  return site.url;
}

test("an application of Vite's, built and from its development server", async () => {
  const root = join(folder, "vite-app");
  mkdirSync(join(root, "gen"), { recursive: true });
  for (const name of ["echo_pb.ts", "echo_hawser.ts"]) cpSync(join(GEN, name), join(root, "gen", name));
  writeFileSync(
    join(root, "index.html"),
    '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/main.ts"></script>',
  );
  writeFileSync(
    join(root, "main.ts"),
    `import { connect, createClient } from "hawser/client";
     import { createEchoServiceClient, EchoService } from "./gen/echo_hawser.js";
     const connection = connect(new URL("/rpc", location.href));
     const numbers: number[] = [];
     for await (const { number } of createClient(EchoService, connection).repeat({ count: 3 })) numbers.push(number);
     const { name } = await createEchoServiceClient(connection).echo({ name: "vite" });
     await connection.close();
     document.title = name + " " + numbers;`,
  );
  const common = { root, configFile: false, logLevel: "warn" } as const;
  await build({ ...common, build: { target: "es2022" } });
  const out = join(root, "dist");
  const built = new Map(
    readdirSync(out, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => {
        const path = join(parentPath, name);
        return [`/${relative(out, path)}`, readFileSync(path, "utf8")] as const;
      }),
  );
  const code = [...built].find(([path]) => path.endsWith(".js"))?.[1];
  expect(code).toContain("WebSocket");
  expect(code).not.toMatch(/["'`](node:|ws["'`])/);
  const url = await serve(built);
  expect(await run(url)).toBe("vite 1,2,3");

  const vite = await createViteServer({
    ...common,
    server: { port: 0, host: "127.0.0.1", proxy: { "/rpc": { target: url, ws: true } } },
  });
  onTestFinished(() => vite.close());
  await vite.listen();
  expect(await run(vite.resolvedUrls?.local[0] ?? "")).toBe("vite 1,2,3");
});

/** Every name under which generated files and pages import, at one address. */
const IMPORT_MAP = JSON.stringify({
  imports: Object.fromEntries(
    [
      "hawser",
      "hawser/client",
      "hawser/codec",
      "@bufbuild/protobuf",
      "@bufbuild/protobuf/codegenv2",
      "@bufbuild/protobuf/wkt",
    ].map((name) => [name, "/hawser.js"]),
  ),
});

const page = (script: string) =>
  `<!doctype html><link rel="icon" href="data:,"><script type="importmap">${IMPORT_MAP}</script>` +
  `<script type="module">${script}</script>`;

test("a page with a module script: generated code, and descriptors that are loaded", async () => {
  const shipped = join(folder, "node_modules", "hawser", "dist", "browser");
  const javascript = async (name: string) => {
    const { code } = await transform(readFileSync(join(GEN, name), "utf8"), { loader: "ts" });
    return code;
  };
  const set = create(FileDescriptorSetSchema, { file: [file_hawser_test_v1_echo.proto] });
  const descriptors = Buffer.from(toBinary(FileDescriptorSetSchema, set)).toString("base64");
  const url = await serve(
    new Map([
      ["/hawser.js", readFileSync(join(shipped, "hawser.js"), "utf8")],
      ["/gen/echo_pb.js", await javascript("echo_pb.ts")],
      ["/gen/echo_hawser.js", await javascript("echo_hawser.ts")],
      ["/descriptors.txt", descriptors],
      [
        "/index.html",
        page(`
          import { connect, createClient } from "hawser/client";
          import { EchoService } from "/gen/echo_hawser.js";
          await using connection = connect(new URL("/rpc", location.href));
          const client = createClient(EchoService, connection);
          const numbers = [];
          for await (const { number } of client.repeat({ count: 3 })) numbers.push(number);
          document.title = (await client.echo({ name: "generated" })).name + " " + numbers;`),
      ],
      [
        "/loaded.html",
        page(`
          import * as hawser from "/hawser.js";
          const text = await (await fetch("/descriptors.txt")).text();
          const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
          const files = hawser.createFileRegistry(hawser.fromBinary(hawser.FileDescriptorSetSchema, bytes));
          const connection = hawser.connect(new URL("/rpc", location.href));
          const client = hawser.createClient(files.getService("hawser.test.v1.EchoService"), connection);
          const { id, name } = await client.echo({ id: 7n, name: "loaded" });
          await connection.close();
          document.title = name + " " + id;`),
      ],
    ]),
  );
  expect(await run(url)).toBe("generated 1,2,3");
  expect(await run(`${url}loaded.html`)).toBe("loaded 7");
});

test("the module script has a source map, and is where content delivery networks look for it", () => {
  const shipped = join(folder, "node_modules", "hawser");
  const manifest = JSON.parse(readFileSync(join(shipped, "package.json"), "utf8"));
  expect([manifest.unpkg, manifest.jsdelivr, manifest.exports["./browser"].default]).toEqual(
    Array(3).fill("./dist/browser/hawser.js"),
  );
  const code = readFileSync(join(shipped, manifest.unpkg), "utf8");
  // Nothing is left to be loaded.
  expect(code).not.toMatch(/\bfrom\s*["']|\bimport\s*["'(]/);
  expect(code.trimEnd()).toMatch(/\/\/# sourceMappingURL=hawser\.js\.map$/);
  const map = JSON.parse(readFileSync(join(shipped, `${manifest.unpkg}.map`), "utf8"));
  expect(map.sources.join("\n")).toContain("src/client/web.ts");
  expect(map.sourcesContent).toHaveLength(map.sources.length);
});
