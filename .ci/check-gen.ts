// Fails when gen/ is not exactly what `npm run generate` writes, or when a generated file is not in git.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";

function filesBelow(folder: string): Map<string, string> {
  if (!existsSync(folder)) return new Map();
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return new Map(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [path.slice(folder.length + 1).replaceAll(sep, "/"), readFileSync(path, "utf8")]),
  );
}

const scratch = mkdtempSync(join(tmpdir(), "hawser-gen-"));
const complaints: string[] = [];
try {
  execFileSync("buf", ["generate", "--output", scratch], { stdio: "inherit" });
  const fresh = filesBelow(join(scratch, "gen"));
  const present = filesBelow("gen");
  const listed = execFileSync("git", ["ls-files", "-z", "gen"], { encoding: "utf8" });
  const tracked = new Set(listed.split("\0").map((path) => path.slice("gen/".length)));

  for (const [path, text] of fresh) {
    if (!present.has(path)) complaints.push(`gen/${path} is missing`);
    else if (present.get(path) !== text) complaints.push(`gen/${path} differs from what the schema says`);
    else if (!tracked.has(path)) complaints.push(`gen/${path} is not in git`);
  }
  for (const path of present.keys()) {
    if (!fresh.has(path)) complaints.push(`gen/${path} comes from no schema`);
  }
  if (complaints.length === 0) console.log(`gen/ is up to date (${fresh.size} files)`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

if (complaints.length > 0) {
  console.error(complaints.join("\n"));
  console.error("Run `npm run generate` and commit gen/.");
  process.exitCode = 1;
}
