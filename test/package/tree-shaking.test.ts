// What an application does not use of the package does not come along in its bundle.
import { readFileSync } from "node:fs";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly browser?: string }>>;
}

const { exports } = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;
/** `hawser/client` and the file that it comes from; browsers' where there is one. */
const entries = Object.entries(exports).flatMap(([path, target]): [string, string][] => {
  if (typeof target === "string") return [];
  const built = target.browser ?? target.types;
  const source = built.replace("./dist/", "./").replace(/(\.d\.ts|\.js)$/, ".ts");
  return [[`hawser${path.slice(1)}`, source]];
});
const sourceOf = (entry: string) => entries.find(([name]) => name === entry)![1];

/** An application of these lines, minified; packages of others stay imports. */
async function bundle(lines: string) {
  const { outputFiles, metafile } = await build({
    stdin: { contents: lines, resolveDir: ".", loader: "ts" },
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    outdir: "unused",
    platform: "node",
    format: "esm",
    target: "es2023",
    packages: "external",
    logLevel: "error",
  });
  const [output] = Object.values(metafile.outputs);
  const files = Object.entries(output!.inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0);
  return {
    text: outputFiles[0]!.text,
    files: files.map(([path]) => path).filter((path) => path !== "<stdin>"),
    packages: output!.imports.map(({ path }) => path),
  };
}

describe("an application", () => {
  it.each(entries)("that imports %s and uses nothing of it has nothing of it", async (_, source) => {
    const { files, text } = await bundle(`import * as all from "${source}"; console.log(1);`);
    expect(files).toEqual([]);
    expect(text.length).toBeLessThan(500);
  });

  it.each([
    ["hawser", "Code", ["src/base/code.ts"]],
    ["hawser/client", "Code", ["src/base/code.ts"]],
    ["hawser/server", "codeName", ["src/base/code.ts"]],
    ["hawser", "createContextKey", ["src/base/context.ts"]],
    ["hawser/testing", "seededRandom", ["src/testing/random.ts"]],
  ])("that uses of %s only %s has only that", async (entry, name, wanted) => {
    const { files, packages, text } = await bundle(
      `import { ${name} } from "${sourceOf(entry)}"; console.log(${name});`,
    );
    expect(files).toEqual(wanted);
    expect(packages).toEqual([]);
    expect(text.length).toBeLessThan(1_000);
  });

  it("that only connects and makes calls has no server, no topics' hub, no command line", async () => {
    const source = sourceOf("hawser/client");
    const { files } = await bundle(
      `import { connect, createClient } from "${source}"; console.log(connect, createClient);`,
    );
    expect(files).toContain("src/client/connector.ts");
    expect(
      files.filter((path) => /^src\/(server|cli|testing|nats|bench|demo|protoc|tune)\//.test(path)),
    ).toEqual([]);
    expect(files).not.toContain("src/topics/hub.ts");
    expect(files).not.toContain("src/idempotency/memory.ts");
  });
});
