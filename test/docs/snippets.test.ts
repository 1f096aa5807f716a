// Every fenced block of the documentation is compiled, parsed, or an excerpt of something that is; which of them also runs is
// said by test/readme.test.ts and test/docs/tutorial.test.ts. docs/site/README.md says how a block is marked.
import { execFile, execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { transform } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Block, blocksOf, excerptOf, FOLLOWED, PAGES } from "./pages.js";

const run = promisify(execFile);
const blocks = PAGES.filter((page) => !FOLLOWED.includes(page)).flatMap(blocksOf);
const where = ({ page, line }: Block): string => `${page}:${line}`;

const isCode = ({ language }: Block): boolean => /^[jt]sx?$/.test(language);
/** Code of another library, in the guides for those who come from it. */
const isForeign = ({ label }: Block): boolean => label === "other";
const excerpts = blocks.filter((block) => excerptOf(block) !== undefined);
const foreign = blocks.filter((block) => isCode(block) && isForeign(block));
/** A file of its own, by the name in its label. */
const isFile = (block: Block): boolean => /^[\w./-]+\.\w+$/.test(block.label);
const sources = blocks.filter((block) => isCode(block) && isFile(block));
const protos = blocks.filter((block) => block.language === "proto" && isFile(block));
const shell = blocks.filter(({ language }) => language === "sh");

/** What a language may be without being looked at by one of the tests below. */
const SPOKEN = ["text", "mermaid"];

describe("every block", () => {
  it("is of a kind that is checked", () => {
    const checked = new Set<Block>([...excerpts, ...foreign, ...sources, ...protos, ...shell]);
    const others = blocks.filter(
      (block) =>
        !checked.has(block) &&
        !SPOKEN.includes(block.language) &&
        block.language !== "json" &&
        // Which of these run is listed in test/readme.test.ts.
        !(block.language === "yaml" && isFile(block)),
    );
    expect(others.map((block) => `${where(block)}: ${block.language} ${block.label}`)).toEqual([]);
  });

  it("has a name that no other has", () => {
    const names = [...sources, ...protos].map(({ label }) => label);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });
});

describe("excerpts", () => {
  it.each(excerpts.map((block) => [where(block), block] as const))("%s is what the file says", (_, block) => {
    const path = excerptOf(block) ?? "";
    expect(existsSync(path), `${path} exists`).toBe(true);
    expect(squeezed(readFileSync(path, "utf8"))).toContain(squeezed(block.text));
  });

  /** Without indentation and empty lines, so that an excerpt may stand farther to the left than in its file. */
  function squeezed(text: string): string {
    return `\n${text
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "")
      .join("\n")}\n`;
  }
});

describe("code of other libraries", () => {
  it.each(foreign.map((block) => [where(block), block] as const))("%s parses", async (_, block) => {
    expect(block.text).not.toContain("hawser");
    await transform(block.text, { loader: block.language as "ts" });
  });
});

describe("json", () => {
  const json = blocks.filter(({ language }) => language === "json");
  it("parses", () => {
    for (const block of json) expect(() => JSON.parse(block.text), where(block)).not.toThrow();
  });
});

describe("sh", () => {
  const program = readFileSync("src/cli/program.ts", "utf8");
  const commands = [...program.matchAll(/command: constant\("(\w+)"\)/g)].map(([, name]) => name);
  const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as { scripts: object };

  it.each(shell.map((block) => [where(block), block] as const))("%s names what exists", (_, { text }) => {
    execFileSync("bash", ["-n"], { input: text });
    for (const [, script = ""] of text.matchAll(/\bnpm run (?:-s )?([\w:]+)/g)) {
      expect(scripts).toHaveProperty([script]);
    }
    for (const [, command = ""] of text.matchAll(/\bhawser ([a-z]+)/g)) {
      if (!/\b(npm|install)\b[^\n]*hawser [a-z]/.test(text))
        expect([...commands, "completion"]).toContain(command);
    }
    for (const [, path = ""] of text.matchAll(/ ((?:examples|src|docs|test|proto)\/[\w./-]+)/g)) {
      expect(existsSync(path), `${path} exists`).toBe(true);
    }
  });
});

describe("files", () => {
  let folder: string;

  beforeAll(() => {
    mkdirSync(".tmp", { recursive: true });
    folder = mkdtempSync(join(".tmp", "snippets-"));
    for (const { label, text } of [...sources, ...protos]) {
      // What belongs into proto/ is found there by buf.yaml, whatever the page says of its place.
      const path = label.endsWith(".proto") ? join("proto", label.replace(/^proto\//, "")) : label;
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    cpSync("proto", join(folder, "vendor"), { recursive: true });
    cpSync("test/proto/buf", join(folder, "vendor/buf"), { recursive: true });
    writeFileSync(join(folder, "buf.yaml"), "version: v2\nmodules:\n  - path: proto\n  - path: vendor\n");
    const plugin = (local: string) =>
      `  - local: ${local}\n    out: gen\n    opt: [target=ts, import_extension=js]\n` +
      "    include_imports: true\n    strategy: all\n";
    writeFileSync(
      join(folder, "buf.gen.yaml"),
      `version: v2\ninputs:\n  - directory: proto\nplugins:\n${plugin("protoc-gen-es")}` +
        plugin(`[node, --import, tsx, ${resolve("src/protoc/main.ts")}]`),
    );
    const config = {
      extends: "../../tsconfig.json",
      compilerOptions: {
        rootDir: "../..",
        jsx: "react-jsx",
        declaration: false,
        isolatedDeclarations: false,
        paths: { hawser: ["../../src/index.ts"], "hawser/*": ["../../src/*/index.ts"] },
      },
      include: ["**/*.ts", "**/*.tsx"],
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("are there", () => {
    expect(sources.length).toBeGreaterThan(20);
    expect(protos.length).toBeGreaterThan(3);
  });

  it("of schemas are generated from, and all of code is accepted by the strict compiler", async () => {
    const fails = (error: { stdout?: string; stderr?: string }) =>
      `${error.stdout ?? ""}${error.stderr ?? ""}`;
    expect(await run("buf", ["generate"], { cwd: folder }).then(() => "", fails)).toBe("");
    expect(await run("tsc", ["-p", folder]).then(() => "", fails)).toBe("");
  }, 120_000);
});
