// `npm run release:check`: fails when what is checked out must not be published, and says why; what only should be known is a
// warning. With --before: when `npm version` should not begin.
import { execFileSync } from "node:child_process";
import { globSync, readdirSync, readFileSync } from "node:fs";
import { addresses } from "./addresses.js";
import { problemsBefore, problemsOf, type ReleaseState, warningsOf } from "./problems.js";

interface Manifest {
  readonly version: string;
  readonly repository?: { readonly url: string };
}

const git = (...args: string[]): string => execFileSync("git", args, { encoding: "utf8" }).trim();
const json = (path: string): unknown => JSON.parse(readFileSync(path, "utf8"));

function agent(): string {
  for (const path of globSync("src/client/*.ts")) {
    const [found] = /hawser-js\/[\d.]+/.exec(readFileSync(path, "utf8")) ?? [];
    if (found !== undefined) return found;
  }
  return "nothing";
}

function presentState(): ReleaseState {
  const { version, repository } = json("package.json") as Manifest;
  return {
    version,
    changelog: readFileSync("CHANGELOG.md", "utf8"),
    changes: git("status", "--porcelain"),
    tags: git("tag", "--points-at", "HEAD").split("\n"),
    frozen: readdirSync("test/compat/releases"),
    baseline: json("src/bench/guard/baseline.json") as ReleaseState["baseline"],
    agent: agent(),
    addresses: addresses(),
    repository: repository?.url ?? "",
    publisher: process.env["GITHUB_REPOSITORY"] || undefined,
  };
}

const before = process.argv.includes("--before");
const state = presentState();
const problems = before ? problemsBefore(state) : problemsOf(state);
for (const warning of warningsOf(state)) console.error(`warning: ${warning}`);
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
else console.log("ready");
