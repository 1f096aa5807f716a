import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/**
 * Builds the package into a new folder, in which `hawser` can be imported as when it is installed. It lies inside the
 * repository, where the dependencies are found.
 */
export async function folderWithPackage(name: string): Promise<string> {
  mkdirSync(".tmp", { recursive: true });
  const folder = resolve(mkdtempSync(join(".tmp", `${name}-`)));
  const target = join(folder, "node_modules", "hawser");
  mkdirSync(target, { recursive: true });
  // Without these, programs in the folder would belong to the package itself, and some would run its sources.
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }');
  writeFileSync(join(folder, "tsconfig.json"), "{}");
  copyFileSync("package.json", join(target, "package.json"));
  await run("npx", ["tsc", "-p", "tsconfig.build.json", "--outDir", join(target, "dist")]);
  await run("npx", ["tsx", ".ci/build-browser.ts", join(target, "dist", "browser")]);
  return folder;
}
