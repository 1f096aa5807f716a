import satisfies from "spdx-satisfies";

/** What asks for nothing but to be named. */
const PERMISSIVE: readonly string[] = [
  "0BSD",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "BlueOak-1.0.0",
  "CC0-1.0",
  "ISC",
  "MIT",
  "Unlicense",
  "Zlib",
];

/** `import … from "name"`, over several lines too; not of types. */
const STATIC_IMPORT =
  /^(?:(?:import|export)\b(?!\s+type\b)[^;"'()]*?\bfrom|import)\s*["']((?!\.)(?:@[\w.-]+\/)?[\w.-]+)(?:\/[^"']*)?["']/gm;

/** Whether a licence lets everybody do everything: `(MIT OR GPL-3.0)` does, `(MIT AND GPL-3.0)` does not. */
export function isPermissive(licence: string): boolean {
  try {
    return satisfies(licence, [...PERMISSIVE]);
  } catch {
    // It is not an expression of SPDX.
    return false;
  }
}

/** Packages that a source file imports when it is loaded: not for types only, and not by `import()`. */
export function importedPackages(source: string): string[] {
  return [...source.matchAll(STATIC_IMPORT)].map(([, name = ""]) => name);
}
