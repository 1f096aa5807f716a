// docs/THREATS.md names the tests that show what it says: they exist.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const page = readFileSync("docs/THREATS.md", "utf8");
const shown = [...page.matchAll(/`(test\/[^`]+)`: (.+?) \|$/gm)].map(([, path = "", title = ""]) => ({
  path,
  title,
}));

describe("docs/THREATS.md", () => {
  it("shows most threats by a test", () => {
    expect(shown.length).toBeGreaterThan(25);
  });

  it.each(shown)("$path: $title", ({ path, title }) => {
    expect(readFileSync(path, "utf8")).toContain(title);
  });
});
