import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The source files of the entries that the package has, by its `exports`. */
export function entries(root: string): string[] {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    exports: Readonly<Record<string, { readonly types?: string } | string>>;
  };
  return Object.values(exports)
    .map((entry) => (typeof entry === "string" ? undefined : entry.types))
    .filter((types) => types !== undefined)
    .map((types) => join(root, types.replace(/^\.\/dist\//, "").replace(/\.d\.ts$/, ".ts")))
    .filter((path) => existsSync(path));
}
