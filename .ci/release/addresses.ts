import { globSync, readFileSync, writeFileSync } from "node:fs";

/** Where users are told to load the package from by an address with a version in it. */
const PLACES = ["README.md", "docs/*.md", "examples/**/*.html", "examples/**/*.md"];

/** As in `https://unpkg.com/hawser@1.2.3/dist/browser/hawser.js`. */
const ADDRESS = /(\/hawser@)(\d[\w.+-]*)(?=\/)/g;

/** An address of the package in a file. */
export interface Address {
  readonly file: string;
  readonly version: string;
}

const files = (): string[] =>
  globSync(PLACES, { exclude: ["**/node_modules/**"] }).map((file) => file.replaceAll("\\", "/"));

/** All addresses with a version in what users read. */
export function addresses(): Address[] {
  return files().flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(ADDRESS)].map(([, , version = ""]) => ({ file, version })),
  );
}

/** Makes all of them lead to this version. @returns the files that had another one */
export function readdress(version: string): string[] {
  return files().filter((file) => {
    const text = readFileSync(file, "utf8");
    const next = text.replaceAll(ADDRESS, (_, before: string) => `${before}${version}`);
    if (next !== text) writeFileSync(file, next);
    return next !== text;
  });
}
