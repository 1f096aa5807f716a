// What a browser application pays for Hawser: bundles `connect`, `createClient` and one small generated service,
// prints the sizes, and fails when they pass the limits or when anything of Node comes along.
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
const LIMIT_TOTAL = 55_100;
const LIMIT_OWN = 37_000;

const schema = `syntax = "proto3";
package eliza.v1;
service ElizaService {
  rpc Say(SayRequest) returns (SayResponse);
  rpc Introduce(IntroduceRequest) returns (stream IntroduceResponse);
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

const gzipped = ({ outputFiles }: Bundle): number =>
  outputFiles.reduce((sum, file) => sum + gzipSync(file.contents, { level: 9 }).length, 0);

/** Minified bytes in the output, by where they come from. */
function shares({ metafile }: Bundle): Map<string, number> {
  const sums = new Map<string, number>();
  for (const output of Object.values(metafile.outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(output.inputs)) {
      const [, packageName] = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path) ?? [];
      const share = packageName ?? (path.startsWith("src/") ? "src" : "service");
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

  for (const [share, bytes] of [...shares(whole)].sort(([, a], [, b]) => b - a)) {
    console.log(`${share.padEnd(20)} ${String(bytes).padStart(7)} bytes minified`);
  }
  for (const [name, bytes, limit, aim] of [
    ["browser bundle", gzipped(whole), LIMIT_TOTAL, AIM_TOTAL],
    ["our own share", gzipped(own), LIMIT_OWN, AIM_OWN],
  ] as const) {
    console.log(`${name.padEnd(20)} ${String(bytes).padStart(7)} bytes gzipped (limit ${limit}, aim ${aim})`);
    if (bytes > limit) complaints.push(`${name}: ${bytes} bytes gzipped are over the limit of ${limit}`);
  }
  for (const path of strangers(whole)) complaints.push(`${path} is in the browser's bundle`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

if (complaints.length > 0) {
  console.error(complaints.join("\n"));
  process.exitCode = 1;
}
