// Writes THIRD_PARTY_LICENSES.md: the packages that users install along with Hawser, and the texts for what lies bundled in the
// package itself. With --check it writes nothing, and fails when the file is not up to date. It always fails when a package
// has a licence that is not permissive, and when something would be bundled that nobody has listed.
import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { init, type ModuleInfo, type ModuleInfos } from "license-checker-rseidelsohn";
import { importedPackages, isPermissive } from "./licence-rules.js";

const FILE = "THIRD_PARTY_LICENSES.md";

/** Packages whose code lies in files of ours, such as pages that are built before publishing. */
const BUNDLED: readonly string[] = [
  "@bufbuild/protobuf",
  "@preact/signals",
  "@preact/signals-core",
  "preact",
  "uplot",
];

interface Manifest {
  readonly name: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;

function installed(): Promise<ModuleInfos> {
  const options = {
    start: process.cwd(),
    production: true,
    nopeer: true,
    excludePackagesStartingWith: manifest.name,
  };
  return new Promise((resolve, reject) => {
    init(options, (error, found) => (error === null || error === undefined ? resolve(found) : reject(error)));
  });
}

/** `@scope/name@1.2.3` without its version, which changes too often to be written down. */
const nameOf = (id: string): string => id.slice(0, id.lastIndexOf("@"));

const licenceOf = ({ licenses }: ModuleInfo): string =>
  Array.isArray(licenses) ? licenses.join(" AND ") : (licenses ?? "none");

/** Packages for development only that code of ours imports at run time: they can only be there by being bundled. */
function importedForBundling(): string[] {
  const found = new Set<string>();
  for (const file of globSync("src/**/*.{ts,tsx}").map((path) => path.replaceAll("\\", "/"))) {
    if (file.startsWith("src/bench/")) continue;
    for (const name of importedPackages(readFileSync(file, "utf8")))
      if (name in manifest.devDependencies && !(name in manifest.peerDependencies)) found.add(name);
  }
  return [...found].sort();
}

function licenceText(name: string): string {
  const folder = join("node_modules", name);
  const file = existsSync(folder) ? globSync("{LICENSE,LICENCE,license}*", { cwd: folder })[0] : undefined;
  if (file !== undefined) return readFileSync(join(folder, file), "utf8").trim();
  const { license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { license: string };
  // The text of this licence is that of our own, in LICENSE.
  return `${license}; see LICENSE beside this file and the headers of the code.`;
}

const complaints: string[] = [];
const rows = new Map<string, string>();
for (const [id, info] of Object.entries(await installed())) {
  const licence = licenceOf(info);
  if (!isPermissive(licence))
    complaints.push(`${id} has the licence ${licence}, which is not on our list of permissive ones`);
  const name = nameOf(id);
  rows.set(name, `| [${name}](https://www.npmjs.com/package/${name}) | ${licence.replaceAll(/[()]/g, "")} |`);
}
for (const name of importedForBundling())
  if (!BUNDLED.includes(name))
    complaints.push(
      `${name} is imported by code of ours, and only installed for development: list it as bundled, or as a dependency`,
    );

const sorted = [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
const texts = BUNDLED.map((name) => `### ${name}\n\n\`\`\`text\n${licenceText(name)}\n\`\`\``);
const wanted = `# Licences of others

Written by \`npm run licences\`.

## Installed along with Hawser

Dependencies, and what optional peer dependencies bring if you install them; each comes with its licence.

| package | licence |
| --- | --- |
${sorted.join("\n")}

## Bundled in files of this package

${texts.join("\n\n")}
`;
if (!process.argv.includes("--check")) writeFileSync(FILE, wanted);
else if (!existsSync(FILE) || readFileSync(FILE, "utf8") !== wanted)
  complaints.push(`${FILE} is not up to date: run \`npm run licences\``);
if (complaints.length > 0) {
  console.error(complaints.join("\n"));
  process.exitCode = 1;
} else console.log(`${rows.size} packages, all with permissive licences`);
