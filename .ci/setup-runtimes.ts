import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A manifest of its own, so that nobody has these programs who only wants to build or use the package. */
const FOLDER = "test/runtimes/programs";
/** What is not there by then is not coming. */
const TIMEOUT_MS = 180_000;

interface Manifest {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const read = (path: string): Manifest => JSON.parse(readFileSync(path, "utf8")) as Manifest;

function areThere(): boolean {
  return Object.entries(read(join(FOLDER, "package.json")).dependencies ?? {}).every(([name, wanted]) => {
    const manifest = join(FOLDER, "node_modules", name, "package.json");
    return existsSync(manifest) && read(manifest).version === wanted.replace(/^.*@/, "");
  });
}

/** Installs the other runtimes of the tests, unless they are there; whether they are now. */
export function installRuntimes(): boolean {
  if (areThere()) return true;
  console.log("installing other versions of Node, Bun and Deno");
  const { error, status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], {
    cwd: FOLDER,
    stdio: "inherit",
    timeout: TIMEOUT_MS,
  });
  if (status === 0 && areThere()) return true;
  const why = error?.message ?? `npm ci ended with ${status}`;
  console.error(`tests in other runtimes need what ${FOLDER}/package.json names: run npm ci there (${why})`);
  return false;
}
