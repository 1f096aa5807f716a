// The layers of the sources, as data, and the proof that the sources keep to them.
import { existsSync, globSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { posix } from "node:path";
import { build, transformSync } from "esbuild";
import { describe, expect, it } from "vitest";

/** Source text by path, as in `{ "src/base/code.ts": "…" }`. */
type Sources = ReadonlyMap<string, string>;

interface Layer {
  /** The folders it may import from, besides itself. */
  readonly below: readonly string[];
  /** It shows what a user writes, and may import the package by its name. */
  readonly showcase?: boolean;
  /** No I/O: nothing of Node, no package but the protobuf runtime, no clock, no timer, no randomness of its own. */
  readonly pure: boolean;
}

const callsBelow = ["base", "wire", "session", "rpc"];
const pureBelow = [...callsBelow, "retry", "idempotency", "broker", "topics"];
const shellBelow = [...pureBelow, "driver", "compression", "fallback"];
const everything = [...shellBelow, "client", "server", "index"];

/** One row per folder of `src`; `index` is `src/index.ts`. A folder that is not here may not exist. */
const layers: Readonly<Record<string, Layer>> = {
  base: { below: [], pure: true },
  codec: { below: [], pure: true },
  wire: { below: ["base"], pure: true },
  session: { below: ["base", "wire"], pure: true },
  rpc: { below: ["base", "codec", "wire", "session"], pure: true },
  retry: { below: [...callsBelow, "codec"], pure: true },
  idempotency: { below: callsBelow, pure: true },
  broker: { below: ["base"], pure: true },
  topics: { below: [...callsBelow, "broker", "gen"], pure: true },
  driver: { below: pureBelow, pure: false },
  compression: { below: ["base", "wire", "driver"], pure: false },
  fallback: { below: ["base", "wire", "driver"], pure: false },
  index: { below: pureBelow, pure: true },
  client: { below: [...shellBelow, "index"], pure: false },
  browser: { below: ["client", "codec"], pure: false },
  server: { below: [...shellBelow, "index", "gen"], pure: false },
  tabs: { below: [...shellBelow, "index", "client"], pure: false },
  protovalidate: { below: callsBelow, pure: false },
  connectrpc: { below: ["base", "rpc"], pure: false },
  prometheus: { below: ["base"], pure: false },
  otel: { below: ["base"], pure: false },
  pino: { below: ["base"], pure: false },
  inspector: { below: [...everything, "gen"], pure: false },
  nats: { below: ["base", "rpc", "broker", "idempotency"], pure: false },
  protoc: { below: [], pure: false },
  testing: { below: everything, pure: false },
  bench: { below: [...everything, "codec", "nats", "testing", "gen"], pure: false, showcase: true },
  tune: { below: ["base", "wire", "compression"], pure: false },
  cli: { below: [...everything, "gen", "inspector", "tune", "demo"], pure: false },
  demo: { below: [...everything, "testing", "gen"], pure: false, showcase: true },
};

/** What a pure folder may import from outside. */
const purePackage = /^@bufbuild\/protobuf(\/|$)/;

/** Where time, timers and randomness come from when nobody hands them in. */
const ambient = [
  "setTimeout",
  "setInterval",
  "setImmediate",
  "queueMicrotask",
  "requestAnimationFrame",
  "process",
  "performance",
  "crypto",
  "globalThis",
  "Date",
  "Math.random",
  "AbortSignal.timeout",
];

interface Import {
  readonly specifier: string;
  /** Gone at run time: `import type …`, `export type …`, `import("…").T`. */
  readonly typeOnly: boolean;
}

// Strings are matched too, so that a comment's beginning inside one is not taken for a comment.
const stringOrComment =
  /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g;

function importsOf(source: string): Import[] {
  const code = source.replace(stringOrComment, (match) => (match.startsWith("/") ? " " : match));
  const found: Import[] = [];
  const statement = /^(?:import|export)\b(\s+type\b)?(?:[\s\w{},*$]*?\bfrom)?\s*["']([^"'\n]+)["']/gm;
  for (const [, type, specifier = ""] of code.matchAll(statement)) {
    found.push({ specifier, typeOnly: type !== undefined });
  }
  const call = /\bimport\(\s*["']([^"'\n]+)["']\s*\)(\s*\.\s*\w+)?/g;
  for (const [, specifier = "", member] of code.matchAll(call)) {
    found.push({
      specifier,
      typeOnly: member !== undefined && !/^\s*\.\s*(then|catch|finally)$/.test(member),
    });
  }
  return found;
}

const isOurName = (specifier: string): boolean => /^hawser(\/|$)/.test(specifier);

/** The file that a specifier means; `undefined` for another package. */
function fileOf(importer: string, specifier: string): string | undefined {
  if (isOurName(specifier)) return posix.join("src", specifier.slice("hawser".length), "index.ts");
  if (!specifier.startsWith(".")) return undefined;
  const path = posix.join(posix.dirname(importer), specifier).replace(/\.js$/, ".ts");
  return existsSync(`${path}x`) ? `${path}x` : path;
}

/** `src/session/state.ts` is in `session`, `src/index.ts` in `index`, `gen/…` in `gen`. */
function folderOf(path: string): string {
  const [root = "", folder = ""] = path.split("/");
  return root === "src" ? folder.replace(/\.ts$/, "") : root;
}

const isNode = (specifier: string): boolean =>
  specifier.startsWith("node:") || builtinModules.includes(specifier);

const isWs = (specifier: string): boolean => specifier === "ws" || specifier.startsWith("ws/");

/** Imports against the direction of the layers. */
function forbiddenEdges(sources: Sources): string[] {
  const complaints: string[] = [];
  for (const [path, source] of sources) {
    const folder = folderOf(path);
    const layer = layers[folder];
    if (layer === undefined) {
      complaints.push(`${path}: no layer is called ${folder}`);
      continue;
    }
    for (const { specifier } of importsOf(source)) {
      const target = fileOf(path, specifier);
      if (isOurName(specifier) && layer.showcase !== true) {
        complaints.push(`${path}: imports ${specifier} by name; inside the package import the file itself`);
      } else if (target !== undefined) {
        const to = folderOf(target);
        if (to !== folder && !layer.below.includes(to)) {
          complaints.push(`${path}: ${folder} imports ${specifier}, and ${to} is not below it`);
        }
      } else if (layer.pure && !purePackage.test(specifier)) {
        complaints.push(`${path}: ${folder} does no I/O and imports ${specifier}`);
      }
    }
  }
  return complaints;
}

/** Clocks, timers and randomness that pure folders take from the air. */
function ambientUses(sources: Sources): string[] {
  const complaints: string[] = [];
  // `define` replaces real references to the global only: no comment, no string, no property, no local of that name.
  const marker = (name: string): string => `__ambient_${name.replace(".", "_")}`;
  const define = Object.fromEntries(ambient.map((name) => [name, marker(name)]));
  for (const [path, source] of sources) {
    if (layers[folderOf(path)]?.pure !== true) continue;
    const { code } = transformSync(source, { loader: "ts", define });
    for (const name of ambient) {
      if (new RegExp(`\\b${marker(name)}\\b`).test(code)) complaints.push(`${path}: uses ${name}`);
    }
  }
  return complaints;
}

/** Files that import each other at run time, each cycle once, as `a -> b -> a`. */
function cycles(sources: Sources): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) found.push([...trail.slice(start), path].join(" -> "));
    if (start >= 0 || done.has(path)) return;
    for (const target of valueImports(sources, path)) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of sources.keys()) visit(path, []);
  return found;
}

/** The files of the package that a file imports at run time. */
function valueImports(sources: Sources, path: string): string[] {
  return importsOf(sources.get(path) ?? "")
    .filter(({ typeOnly }) => !typeOnly)
    .map(({ specifier }) => fileOf(path, specifier))
    .filter((target) => target !== undefined)
    .filter((target) => sources.has(target));
}

/** What a browser cannot load, in all that an entry reaches at run time. */
function notForBrowsers(sources: Sources, entry: string): string[] {
  const complaints: string[] = [];
  const reached = new Set([entry]);
  for (const path of reached) {
    for (const { specifier, typeOnly } of importsOf(sources.get(path) ?? "")) {
      if (!typeOnly && (isNode(specifier) || isWs(specifier)))
        complaints.push(`${path}: imports ${specifier}`);
    }
    for (const target of valueImports(sources, path)) reached.add(target);
  }
  return complaints;
}

const sources: Sources = new Map(
  globSync("src/**/*.{ts,tsx}")
    .map((path) => path.replaceAll("\\", "/"))
    // What the benchmarks' peers bring along.
    .filter((path) => !path.includes("/node_modules/"))
    .sort()
    .map((path) => [path, readFileSync(path, "utf8")]),
);

describe("the sources", () => {
  it("exist in the folders that the table names", () => {
    const folders = new Set([...sources.keys()].map(folderOf));
    expect([...folders].sort()).toEqual(Object.keys(layers).sort());
  });

  it("import downwards only", () => {
    expect(forbiddenEdges(sources)).toEqual([]);
  });

  it("take no time, timers or randomness from the air in the pure folders", () => {
    expect(ambientUses(sources)).toEqual([]);
  });

  it("hold no import cycle", () => {
    expect(cycles(sources)).toEqual([]);
  });

  it("load in a browser from the browser's entry", () => {
    expect(sources.has("src/client/browser.ts")).toBe(true);
    expect(notForBrowsers(sources, "src/client/browser.ts")).toEqual([]);
    expect(notForBrowsers(sources, "src/tabs/index.ts")).toEqual([]);
    expect(notForBrowsers(sources, "src/tabs/worker/index.ts")).toEqual([]);
  });

  it("load in a browser from the entry for Connect", () => {
    expect(sources.has("src/connectrpc/index.ts")).toBe(true);
    expect(notForBrowsers(sources, "src/connectrpc/index.ts")).toEqual([]);
  });

  it("import files that exist", () => {
    const missing = [...sources].flatMap(([path, source]) =>
      importsOf(source)
        .map(({ specifier }) => fileOf(path, specifier))
        .filter((target) => target !== undefined && !existsSync(target))
        .map((target) => `${path}: ${target}`),
    );
    expect(missing).toEqual([]);
  });
});

describe("the checker", () => {
  const files = (texts: Record<string, string>): Sources => new Map(Object.entries(texts));

  it("sees every import that a real parser sees", async () => {
    const { metafile } = await build({
      entryPoints: [...sources.keys()],
      bundle: true,
      write: false,
      metafile: true,
      outdir: "unused",
      platform: "node",
      format: "esm",
      packages: "external",
      logLevel: "silent",
      tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
    });
    for (const [path, source] of sources) {
      const seen = importsOf(source)
        .filter(({ typeOnly }) => !typeOnly)
        .map(({ specifier }) => fileOf(path, specifier) ?? specifier);
      const real = (metafile.inputs[path]?.imports ?? []).map(
        (entry) => fileOf(path, entry.path) ?? entry.path,
      );
      expect(new Set(seen), path).toEqual(new Set(real));
    }
  });

  it.each([
    ["upwards", "src/wire/a.ts", 'import { b } from "../session/b.js";'],
    ["upwards for a type", "src/base/a.ts", 'import type { B } from "../rpc/b.js";'],
    ["upwards by re-export", "src/base/a.ts", 'export * from "../wire/b.js";'],
    ["upwards over several lines", "src/rpc/a.ts", 'import {\n  a,\n  type B,\n} from "../driver/b.js";'],
    ["upwards by an import type", "src/rpc/a.ts", 'let b: import("../driver/b.js").B;'],
    ["upwards when called", "src/rpc/a.ts", 'const b = await import("../client/b.js");'],
    ["the server from the client", "src/client/a.ts", 'import "../server/b.js";'],
    ["the client from the server", "src/server/a.ts", 'import { b } from "../client/b.js";'],
    ["the demo from the server", "src/server/a.ts", 'import { b } from "../demo/b.js";'],
    ["Node from a pure folder", "src/session/a.ts", 'import { readFileSync } from "node:fs";'],
    ["Node by its old name from a pure folder", "src/session/a.ts", 'import fs from "fs";'],
    ["ws from a pure folder", "src/wire/a.ts", 'import { WebSocket } from "ws";'],
    ["the demo by a name", "src/testing/a.ts", 'import "hawser/demo";'],
    ["the package by its name", "src/server/a.ts", 'import { Code } from "hawser";'],
    ["from a folder without a layer", "src/misc/a.ts", "export const a = 1;"],
  ])("rejects an import: %s", (_, path, text) => {
    expect(forbiddenEdges(files({ [path]: text }))).toHaveLength(1);
  });

  it("accepts what is allowed, and what only looks like an import", () => {
    const allowed = files({
      "src/rpc/a.ts": [
        'import { create } from "@bufbuild/protobuf";',
        'import { Code } from "../base/code.js";',
        'import { b } from "./b.js";',
        '// import { c } from "../client/c.js";',
        '/**\n * ```ts\nimport { connect } from "hawser/client";\n * ```\n */',
        'const glob = "/*"; const text = "see node:fs"; const other = "*/";',
      ].join("\n"),
      "src/demo/a.ts": 'import { connect } from "hawser/client";\nimport { Code } from "hawser";',
      "src/server/a.ts": 'import { createServer } from "node:http";\nimport { WebSocketServer } from "ws";',
    });
    expect(forbiddenEdges(allowed)).toEqual([]);
  });

  it.each([
    ["setTimeout", "setTimeout(f, 1);"],
    ["setInterval", "const start = setInterval;"],
    ["setImmediate", "setImmediate(f);"],
    ["queueMicrotask", "queueMicrotask(f);"],
    ["process", "if (process.env.DEBUG) f();"],
    ["performance", "const now = performance.now();"],
    ["crypto", "crypto.getRandomValues(bytes);"],
    ["globalThis", "globalThis.setTimeout(f, 1);"],
    ["Date", "const now = Date.now();"],
    ["Date", "const now = new Date();"],
    ["Math.random", "const n = Math.random();"],
    ["AbortSignal.timeout", "AbortSignal.timeout(1);"],
  ])("rejects %s in a pure folder", (name, text) => {
    expect(ambientUses(files({ "src/session/a.ts": text }))).toEqual([`src/session/a.ts: uses ${name}`]);
    expect(ambientUses(files({ "src/driver/a.ts": text }))).toEqual([]);
  });

  it("accepts names that are handed in, and words in comments and strings", () => {
    const text = [
      "// Math.random and Date.now are not for us",
      'const text = "setTimeout";',
      "export function f(clock: { now(): number; setTimeout: 1 }, crypto: number): number {",
      "  return clock.now() + clock.setTimeout + crypto + Math.floor(1.5);",
      "}",
    ].join("\n");
    expect(ambientUses(files({ "src/session/a.ts": text }))).toEqual([]);
  });

  it("finds cycles, but not through types", () => {
    const a = 'import { b } from "./b.js";';
    const cyclic = files({ "src/rpc/a.ts": a, "src/rpc/b.ts": 'export { a } from "./a.js";' });
    expect(cycles(cyclic)).toEqual(["src/rpc/a.ts -> src/rpc/b.ts -> src/rpc/a.ts"]);
    const typed = files({ "src/rpc/a.ts": a, "src/rpc/b.ts": 'import type { A } from "./a.js";' });
    expect(cycles(typed)).toEqual([]);
  });

  it("finds what a browser cannot load, however deep", () => {
    const deep = files({
      "src/client/browser.ts": 'export { connect } from "./connect.js";\nimport type { S } from "ws";',
      "src/client/connect.ts": 'import { link } from "../driver/link.js";',
      "src/driver/link.ts": 'import { WebSocket } from "ws";\nimport { once } from "events";',
    });
    expect(notForBrowsers(deep, "src/client/browser.ts")).toEqual([
      "src/driver/link.ts: imports ws",
      "src/driver/link.ts: imports events",
    ]);
  });
});
