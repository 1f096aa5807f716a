// The pages as a whole: links lead somewhere, the navigation has all of them, and every code is explained.
import { existsSync, readdirSync, statSync } from "node:fs";
import { posix } from "node:path";
import GithubSlugger from "github-slugger";
import { describe, expect, it } from "vitest";
import { navigation } from "../../docs/site/navigation.js";
import { CloseCode } from "../../src/base/close.js";
import { Code, codeName } from "../../src/base/code.js";
import { blocksOf, PAGES, textOf } from "./pages.js";

/** Without fenced blocks, in which "#" and "](" mean other things. */
function proseOf(page: string): string {
  return blocksOf(page).reduce((text, block) => text.replace(block.text, ""), textOf(page));
}

/** What `#…` may follow a page's name, as GitHub and the site make it of headings. */
function anchorsOf(page: string): Set<string> {
  const slugger = new GithubSlugger();
  return new Set(
    [...proseOf(page).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = ""]) =>
      slugger.slug(heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll("`", "")),
    ),
  );
}

interface Link {
  readonly page: string;
  readonly target: string;
}

const links: readonly Link[] = PAGES.flatMap((page) =>
  [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => ({ page, target })),
);

describe("links", () => {
  const inside = links.filter(({ target }) => !/^[a-z]+:/.test(target));

  it("lead to files and headings that are there", () => {
    expect(inside.length).toBeGreaterThan(100);
    const dead = inside.filter(({ page, target }) => {
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? page : posix.join(posix.dirname(page), path);
      if (!existsSync(file)) return true;
      return anchor !== undefined && (statSync(file).isDirectory() || !anchorsOf(file).has(anchor));
    });
    expect(dead.map(({ page, target }) => `${page}: ${target}`)).toEqual([]);
  });

  it("to other sites are secure", () => {
    const insecure = links.filter(
      ({ target }) => target.startsWith("http:") && !target.startsWith("http://localhost"),
    );
    expect(insecure).toEqual([]);
  });
});

describe("docs/site/navigation.ts", () => {
  it("has every page of docs once, and no other", () => {
    const pages = readdirSync("docs").filter((name) => name.endsWith(".md"));
    expect(navigation.flatMap((part) => part.pages).sort()).toEqual(pages.sort());
  });
});

describe("docs/troubleshooting.md", () => {
  const page = textOf("docs/troubleshooting.md");
  /** First cells of the table under a heading; all of its cells must say something. */
  const rows = (heading: string): string[] => {
    const section = page.slice(page.indexOf(`\n## ${heading}\n`)).split("\n## ")[1] ?? "";
    const lines = [...section.matchAll(/^\| (.+) \|$/gm)].map(([, line = ""]) => line.split(" | "));
    const [header, , ...body] = lines;
    for (const cells of body) {
      expect(cells).toHaveLength(header?.length ?? 0);
      for (const cell of cells) expect(cell.trim()).not.toBe("");
    }
    return body.map(([first = ""]) => first.replaceAll("`", ""));
  };

  it("explains every code of an error", () => {
    expect(rows("Codes of errors")).toEqual(Object.values(Code).map((code) => codeName(code)));
  });

  it("explains every close code", () => {
    expect(rows("Close codes")).toEqual(Object.values(CloseCode).map(String));
  });
});
