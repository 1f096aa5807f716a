// The built package in pages as users build them: with Vite, and with nothing but a script of type "module". The pages are
// those of docs/browser.md and of examples/browser.
import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { promisify } from "node:util";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { Browser } from "playwright-core";
import { build, createServer as createViteServer } from "vite";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { Router } from "../../src/index.js";
import { launchChromium } from "../demo/chromium.js";
import { blocksOf, PAGES } from "../docs/pages.js";
import { folderWithPackage } from "../support/built-package.js";
import { openSite, type SiteFiles } from "./site.js";

const exec = promisify(execFile);

/** Where the pages of the examples have the module from. */
const NETWORK = `https://unpkg.com/hawser@${JSON.parse(readFileSync("package.json", "utf8")).version}/dist/browser/hawser.js`;

let browser: Browser;
let folder: string;

/** A block of the documentation. */
const snippet = (label: string): string => {
  const found = PAGES.flatMap(blocksOf).find((block) => block.label === label);
  if (found === undefined) throw new Error(`no page has a block ${label}`);
  return found.text;
};

const shipped = (path: string): string => join(folder, "node_modules", "hawser", path);

/** Generates the code of the documentation's service, with the plugins that its readers have. */
async function generate(): Promise<void> {
  mkdirSync(join(folder, "proto"));
  writeFileSync(join(folder, "proto", "eliza.proto"), snippet("proto/eliza.proto"));
  const plugins = (target: "js" | "ts", out: string) => [
    { local: "protoc-gen-es", out, opt: [`target=${target}`, "import_extension=js"] },
    {
      local: ["node", shipped("dist/src/protoc/main.js")],
      out,
      opt: [`target=${target}`, "import_extension=js"],
      strategy: "all",
    },
  ];
  const template = { version: "v2", plugins: [...plugins("ts", "gen"), ...plugins("js", "gen-js")] };
  await exec("npx", ["buf", "generate", "proto", "--template", JSON.stringify(template)], { cwd: folder });
  await exec("npx", ["buf", "build", "proto", "-o", "eliza.binpb"], { cwd: folder });
}

beforeAll(async () => {
  const [launched] = await Promise.all([
    launchChromium(),
    folderWithPackage("bundled").then((made) => {
      folder = made;
      return generate();
    }),
  ]);
  browser = launched;
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

function elizaRoutes(router: Router): void {
  const descriptors = fromBinary(FileDescriptorSetSchema, readFileSync(join(folder, "eliza.binpb")));
  const service = createFileRegistry(descriptors).getService("eliza.v1.ElizaService");
  if (service === undefined) throw new Error("the documentation has no ElizaService");
  // Types of methods are those of generated code; this service was loaded.
  const say = ({ sentence }: { sentence: string }) => ({ sentence: `You said ${sentence}` });
  router.service(service, { say } as object);
}

async function serve(files: SiteFiles): Promise<string> {
  const site = await openSite(files, { routes: elizaRoutes });
  onTestFinished(() => site.close());
  return site.url;
}

test("an application of Vite's, built and from its development server", async () => {
  const root = join(folder, "vite-app");
  mkdirSync(root);
  writeFileSync(
    join(root, "index.html"),
    '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/page.ts"></script>',
  );
  writeFileSync(join(root, "page.ts"), snippet("page.ts").replace("./gen/", "../gen/"));
  const common = { root, configFile: resolve("examples/browser/vite.config.ts"), logLevel: "warn" } as const;
  await build(common);
  const out = join(root, "dist");
  const built = new Map(
    readdirSync(out, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => {
        const path = join(parentPath, name);
        return [`/${relative(out, path)}`, readFileSync(path, "utf8")] as const;
      }),
  );
  const code = [...built].filter(([path]) => path.endsWith(".js")).map(([, text]) => text);
  expect(code.join("\n")).toContain("WebSocket");
  expect(code.join("\n")).not.toMatch(/["'`](node:|ws["'`])/);
  const url = await serve(built);
  expect(await run(url)).toBe("You said hello");

  const vite = await createViteServer({
    ...common,
    server: { port: 0, host: "127.0.0.1", proxy: { "/rpc": { target: url, ws: true } } },
  });
  onTestFinished(() => vite.close());
  await vite.listen();
  expect(await run(vite.resolvedUrls?.local[0] ?? "")).toBe("You said hello");
});

test("pages with module scripts: generated code, generated codecs, and descriptors that are loaded", async () => {
  const example = (name: string) => {
    const html = readFileSync(join("examples/browser", name), "utf8");
    expect(html).toContain(NETWORK);
    return html.replaceAll(NETWORK, "/hawser.js");
  };
  const names = ["hawser", "hawser/client", "hawser/codec", "@bufbuild/protobuf/codegenv2"];
  const importMap = JSON.stringify({
    imports: Object.fromEntries(names.map((name) => [name, "/hawser.js"])),
  });
  const url = await serve(
    new Map<string, string | Uint8Array>([
      ["/hawser.js", readFileSync(shipped("dist/browser/hawser.js"))],
      ["/gen/eliza_pb.js", readFileSync(join(folder, "gen-js/eliza_pb.js"))],
      ["/gen/eliza_hawser.js", readFileSync(join(folder, "gen-js/eliza_hawser.js"))],
      ["/eliza.binpb", readFileSync(join(folder, "eliza.binpb"))],
      ["/module.html", example("module.html")],
      ["/descriptors.html", example("descriptors.html")],
      [
        "/codecs.html",
        `<!doctype html><link rel="icon" href="data:,"><script type="importmap">${importMap}</script>
         <script type="module">
           import { connect } from "hawser/client";
           import { codecOf } from "hawser/codec";
           import { createElizaServiceClient, SayRequestSchema } from "./gen/eliza_hawser.js";
           await using connection = connect(new URL("/rpc", location.href));
           const { sentence } = await createElizaServiceClient(connection).say({ sentence: "hello" });
           document.title = sentence + ", " + typeof codecOf(SayRequestSchema);
         </script>`,
      ],
    ]),
  );
  expect(await run(`${url}module.html`)).toBe("You said hello");
  expect(await run(`${url}descriptors.html`)).toBe("You said hello");
  expect(await run(`${url}codecs.html`)).toBe("You said hello, object");
});

test("the module has a source map, is where delivery networks look for it, and is the version that the examples name", () => {
  const manifest = JSON.parse(readFileSync(shipped("package.json"), "utf8"));
  expect([manifest.unpkg, manifest.jsdelivr, manifest.exports["./browser"].default]).toEqual(
    Array(3).fill("./dist/browser/hawser.js"),
  );
  expect(NETWORK).toBe(`https://unpkg.com/hawser@${manifest.version}/${manifest.unpkg.slice(2)}`);
  const code = readFileSync(shipped(manifest.unpkg), "utf8");
  // Nothing is left to be loaded.
  expect(code).not.toMatch(/\bfrom\s*["']|\bimport\s*["'(]/);
  expect(code.trimEnd()).toMatch(/\/\/# sourceMappingURL=hawser\.js\.map$/);
  const map = JSON.parse(readFileSync(shipped(`${manifest.unpkg}.map`), "utf8"));
  expect(map.sources.join("\n")).toContain("src/client/web.ts");
  expect(map.sourcesContent).toHaveLength(map.sources.length);
});
