// What a browser application pays for Hawser: bundles `connect`, `createClient` and one small generated service, and
// applications that use more or less of it, prints the sizes, and fails when they pass the limits or when anything of Node
// comes along.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { type BuildResult, build } from "esbuild";

/** What we aim at, in bytes, minified and gzipped. docs/decisions/0002-bundle-size.md says why we are not there. */
const AIM_TOTAL = 30_000;
const AIM_OWN = 12_000;

/** What CI holds: today's size and a little room. Lower these when the bundle shrinks. */
const LIMIT_TOTAL = 58_600;
const LIMIT_OWN = 40_500;

/** An application, and what CI holds its size to. */
interface Application {
  readonly name: string;
  /** How much larger than `LIMIT_TOTAL` it may be. */
  readonly more: number;
  /** One file, in which also lies what others load when they need it. */
  readonly whole?: true;
  /** Its program; it imports `connect` from a file of that name, and services from generated files. */
  readonly program: string;
}

const APPLICATIONS: readonly Application[] = [
  {
    name: "unary only",
    more: 100,
    program: `
      import { connect, createClient } from "./client.js";
      import { SayService } from "./gen/eliza/v1/eliza_pb.js";
      console.log(await createClient(SayService, connect(location.href)).say({ sentence: "hello" }));`,
  },
  {
    name: "streams",
    more: 100,
    program: `
      import { connect, createClient } from "./client.js";
      import { ElizaService } from "./gen/eliza/v1/eliza_pb.js";
      const eliza = createClient(ElizaService, connect(location.href));
      async function* requests() { yield { sentence: "hello" }; }
      for await (const reply of eliza.converse(requests())) console.log(reply.sentence);`,
  },
  {
    name: "topics",
    more: 100,
    program: `
      import { connect, createClient, gapBefore } from "./client.js";
      import { ElizaService } from "./gen/eliza/v1/eliza_pb.js";
      const eliza = createClient(ElizaService, connect(location.href));
      for await (const news of eliza.introduce({ name: "lobby" }, { topic: { last: 10, onGap: console.warn } }))
        console.log(gapBefore(news), news.sentence);`,
  },
  {
    name: "generated codecs",
    more: 1_700,
    program: `
      import { connect } from "./client.js";
      import { createElizaServiceClient } from "./gen/eliza/v1/eliza_hawser.js";
      console.log(await createElizaServiceClient(connect(location.href)).say({ sentence: "hello" }));`,
  },
  {
    name: "Connect transport",
    more: 3_300,
    program: `
      import { createClient } from "@connectrpc/connect";
      import { connect } from "./client.js";
      import { createHawserTransport } from "./connectrpc.js";
      import { ElizaService } from "./gen/eliza/v1/eliza_pb.js";
      const eliza = createClient(ElizaService, createHawserTransport(connect(location.href)));
      console.log(await eliza.say({ sentence: "hello" }));`,
  },
  { name: "module for pages", more: 30_400, whole: true, program: `export * from "./module.js";` },
];

const schema = `syntax = "proto3";
package eliza.v1;
service ElizaService {
  rpc Say(SayRequest) returns (SayResponse);
  rpc Introduce(IntroduceRequest) returns (stream IntroduceResponse);
  rpc Converse(stream SayRequest) returns (stream SayResponse);
}
service SayService {
  rpc Say(SayRequest) returns (SayResponse);
}
message SayRequest { string sentence = 1; }
message SayResponse { string sentence = 1; }
message IntroduceRequest { string name = 1; }
message IntroduceResponse { string sentence = 1; }
`;

type Bundle = BuildResult<{ metafile: true; write: false }>;

function bundle(contents: string, folder: string, external: string[]): Promise<Bundle> {
  return build({
    stdin: { contents, resolveDir: folder, loader: "ts" },
    bundle: true,
    minify: true,
    // What is loaded when it is needed comes in files of its own.
    splitting: true,
    outdir: "size",
    write: false,
    metafile: true,
    platform: "browser",
    format: "esm",
    target: "es2023",
    // Left as imports, to be named by `strangers` rather than fail to resolve.
    external: [...external, "node:*", ...builtinModules, "ws"],
    logLevel: "error",
  });
}

/** The files that are loaded at once: the entry, and what it imports in the ordinary way. */
function loadedAtOnce({ metafile: { outputs } }: Bundle): Set<string> {
  const loaded = new Set(
    Object.keys(outputs).filter((path) => outputs[path]?.inputs["<stdin>"] !== undefined),
  );
  for (const path of loaded) {
    for (const { path: imported, kind } of outputs[path]?.imports ?? [])
      if (kind === "import-statement" && outputs[imported] !== undefined) loaded.add(imported);
  }
  return loaded;
}

/** Length of these files. */
const gzipped = ({ outputFiles }: Bundle, isCounted: (path: string) => boolean): number =>
  outputFiles
    .filter(({ path }) => isCounted(relative(process.cwd(), path)))
    .reduce((sum, file) => sum + gzipSync(file.contents, { level: 9 }).length, 0);

/** Minified bytes of what is loaded at once, by where they come from. */
function shares(bundled: Bundle): Map<string, number> {
  const sums = new Map<string, number>();
  for (const path of loadedAtOnce(bundled)) {
    for (const [input, { bytesInOutput }] of Object.entries(bundled.metafile.outputs[path]?.inputs ?? {})) {
      const [, packageName] = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input) ?? [];
      const share = packageName ?? (input.startsWith("src/") ? "src" : "service");
      sums.set(share, (sums.get(share) ?? 0) + bytesInOutput);
    }
  }
  return sums;
}

/** What must not be in a browser's bundle. */
function strangers({ metafile }: Bundle): string[] {
  const builtins = new Set(builtinModules);
  const imports = Object.values(metafile.outputs).flatMap((output) => output.imports);
  const paths = [...Object.keys(metafile.inputs), ...imports.map((entry) => entry.path)];
  return paths.filter(
    (path) =>
      path.startsWith("node:") ||
      builtins.has(path) ||
      /(^|node_modules\/)ws(\/|$)/.test(path) ||
      path.startsWith("src/server/"),
  );
}

mkdirSync(".tmp", { recursive: true });
const scratch = mkdtempSync(join(".tmp", "size-"));
const complaints: string[] = [];
try {
  mkdirSync(join(scratch, "proto", "eliza", "v1"), { recursive: true });
  writeFileSync(join(scratch, "proto", "eliza", "v1", "eliza.proto"), schema);
  execFileSync("buf", ["generate", join(scratch, "proto"), "--output", scratch], { stdio: "inherit" });

  const client = JSON.stringify(`${relative(scratch, "src/client/browser.js")}`);
  const library = `export { connect, createClient } from ${client};`;
  const service = `export { ElizaService } from "./gen/eliza/v1/eliza_pb.js";`;
  const whole = await bundle(`${library}\n${service}`, scratch, []);
  const own = await bundle(library, scratch, ["@bufbuild/protobuf"]);

  const atOnce = (path: string) => loadedAtOnce(whole).has(path);
  for (const [share, bytes] of [...shares(whole)].sort(([, a], [, b]) => b - a)) {
    console.log(`${share.padEnd(20)} ${String(bytes).padStart(7)} bytes minified`);
  }
  for (const [name, bytes, limit, aim] of [
    ["browser bundle", gzipped(whole, atOnce), LIMIT_TOTAL, AIM_TOTAL],
    ["our own share", gzipped(own, (path) => loadedAtOnce(own).has(path)), LIMIT_OWN, AIM_OWN],
  ] as const) {
    console.log(`${name.padEnd(20)} ${String(bytes).padStart(7)} bytes gzipped (limit ${limit}, aim ${aim})`);
    if (bytes > limit) complaints.push(`${name}: ${bytes} bytes gzipped are over the limit of ${limit}`);
  }
  const later = gzipped(whole, (path) => !atOnce(path));
  console.log(`${"loaded when needed".padEnd(20)} ${String(later).padStart(7)} bytes gzipped`);
  // The fallback is what most never need: it must not come along by accident.
  if (later === 0) complaints.push("nothing is left to be loaded when it is needed");

  const entry = (name: string, path: string) =>
    writeFileSync(join(scratch, name), `export * from ${JSON.stringify(relative(scratch, path))};`);
  entry("client.ts", "src/client/browser.js");
  entry("connectrpc.ts", "src/connectrpc/index.js");
  entry("module.ts", "src/browser/index.js");
  for (const { name, more, whole = false, program } of APPLICATIONS) {
    const limit = LIMIT_TOTAL + more;
    const application = await bundle(program, scratch, []);
    const bytes = gzipped(application, (path) => whole || loadedAtOnce(application).has(path));
    console.log(`${name.padEnd(20)} ${String(bytes).padStart(7)} bytes gzipped (limit ${limit})`);
    if (bytes > limit) complaints.push(`${name}: ${bytes} bytes gzipped are over the limit of ${limit}`);
    for (const path of strangers(application)) complaints.push(`${name}: ${path} is in the bundle`);
  }
  for (const path of strangers(whole)) complaints.push(`${path} is in the browser's bundle`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

if (complaints.length > 0) {
  console.error(complaints.join("\n"));
  process.exitCode = 1;
}
