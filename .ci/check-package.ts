// Packs the package as npm would publish it, then checks the tarball: publint for its manifest and files,
// "are the types wrong" for how TypeScript resolves each entry (ESM only), and Node for whether each entry loads.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
}

const scratch = mkdtempSync(join(tmpdir(), "hawser-pack-"));
/** Entries that are not for browsers. */
const NODE_ONLY = ["./inspector", "./server", "./testing"];

const failed: string[] = [];

function check(command: string, ...args: string[]): void {
  if (spawnSync(command, args, { stdio: "inherit" }).status !== 0) failed.push([command, ...args].join(" "));
}

try {
  const json = execFileSync("npm", ["pack", "--json", "--pack-destination", scratch], { encoding: "utf8" });
  // A prepack script may print in front of the list.
  const [packed] = JSON.parse(json.slice(json.indexOf("[\n"))) as readonly [Packed];
  console.log(`${packed.filename}: ${packed.files.length} files, ${packed.size} bytes packed`);
  const tarball = join(scratch, packed.filename);
  for (const { path } of packed.files) {
    if (
      !/^(dist|proto)\/|^(docs\/[a-zA-Z0-9-]+\.md|README\.md|CHANGELOG\.md|LICENSE|THIRD_PARTY_LICENSES\.md|package\.json)$/.test(
        path,
      )
    ) {
      console.error(`${path} does not belong into the package`);
      failed.push(path);
    }
  }
  check("publint", "run", "--strict", tarball);
  check("attw", tarball, "--profile", "esm-only");
  // Packing has built dist/, and inside the package its own name leads through its own exports.
  const { exports } = JSON.parse(readFileSync("package.json", "utf8")) as {
    exports: Record<string, unknown>;
  };
  for (const entry of Object.keys(exports).filter((path) => !path.endsWith(".json"))) {
    const load = [
      "--input-type=module",
      "--eval",
      `await import(${JSON.stringify(`hawser${entry.slice(1)}`)})`,
    ];
    check("node", ...load);
    // `ws` has nothing for browsers, and neither have the entries that stand on it.
    if (!NODE_ONLY.includes(entry)) check("node", "--conditions=browser", ...load);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

if (failed.length > 0) {
  console.error(`the package is not ready: ${failed.join(", ")}`);
  process.exitCode = 1;
}
