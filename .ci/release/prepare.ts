// What `npm version` does after it has set the version, and before it commits and tags: the changelog, the
// client's name and the addresses in what users read get the version, the code is frozen for test/compat, and the regression guard gets new figures to compare with.
import { execFileSync } from "node:child_process";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { readdress } from "./addresses.js";
import { withRelease } from "./changelog.js";
import { freeze } from "./freeze.js";

const CHANGELOG = "CHANGELOG.md";

const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { readonly version: string };
const today = new Date().toISOString().slice(0, 10);
// First: the guard names the commit that it has measured, and calls it dirty once sources have changed.
execFileSync("npm", ["run", "-s", "guard", "--", "--write-baseline"], { stdio: "inherit" });
writeFileSync(CHANGELOG, withRelease(readFileSync(CHANGELOG, "utf8"), version, today));
const [major, minor] = version.split(".");
const sources = globSync("src/client/*.ts");
for (const path of sources) {
  const text = readFileSync(path, "utf8");
  const named = text.replaceAll(/"hawser-js\/[\d.]+"/g, `"hawser-js/${major}.${minor}"`);
  if (named !== text) writeFileSync(path, named);
}
const readdressed = readdress(version);
await freeze(version);
execFileSync("git", [
  "add",
  CHANGELOG,
  ...sources,
  ...readdressed,
  "test/compat/releases",
  "src/bench/guard/baseline.json",
]);
