import { describe, expect, it } from "vitest";
import { importedPackages, isPermissive } from "../../.ci/licence-rules.js";

describe("a licence", () => {
  it.each([
    ["MIT", true],
    ["(MIT AND Zlib)", true],
    ["(MIT OR GPL-3.0-only)", true],
    ["(MIT AND GPL-3.0-only)", false],
    ["GPL-3.0-only", false],
    ["AGPL-3.0-or-later", false],
    ["MPL-2.0", false],
    ["BUSL-1.1", false],
    ["UNLICENSED", false],
    ["SEE LICENSE IN LICENSE.txt", false],
    ["Custom: https://example.com", false],
    ["none", false],
  ])("%s: permissive is %s", (licence, permissive) => {
    expect(isPermissive(licence)).toBe(permissive);
  });
});

describe("packages that a file has when it is loaded", () => {
  it("are those of imports, whatever they look like", () => {
    const source = `
import a from "a";
import { b,
  type B } from "@scope/b/deep.js";
export * from 'c';
import "d/style.css";
import type { E } from "e";
export type { F } from "f";
import { g } from "./g.js";
export async function h(): Promise<void> {
  const { build } = await import("esbuild");
}
// import i from "i";
`;
    expect(importedPackages(source)).toEqual(["a", "@scope/b", "c", "d"]);
  });
});
