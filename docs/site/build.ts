// `npm run docs`: the pages of docs, README, the examples and an API reference as a static site in docs/site/dist. A link that
// leads nowhere, and a docstring that links to nothing, fails it.
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, posix, relative } from "node:path";
import { Application, LogLevel, OptionDefaults } from "typedoc";
import { build } from "vitepress";
import { entries } from "./entries.js";

const root = join(import.meta.dirname, "../..");
const site = import.meta.dirname;
/** What VitePress builds from. */
const staged = join(site, ".staged");

/** Where a page of the repository is in the site; `undefined` for what is no page. */
function placeOf(path: string): string | undefined {
  if (path === "README.md") return "index.md";
  if (path === "CHANGELOG.md") return "changelog.md";
  const example = path.match(/^examples\/([^/]+)(?:\/README\.md)?\/?$/);
  if (example !== null) return `examples/${example[1]}.md`;
  if (/^docs\/(decisions\/)?[^/]+\.md$/.test(path)) return path.slice("docs/".length);
  return path.endsWith(".md") ? path.replace(/README\.md$/, "index.md") : undefined;
}

/** Copies a page, with links as they must be there. Files that are no pages are put beside, to be looked at. */
function stage(path: string): void {
  const place = placeOf(path) ?? path;
  const here = posix.dirname(place);
  const text = readFileSync(join(root, path), "utf8").replace(
    /(!?\]\()([^)\s:]+?)(#[^)\s]*)?\)/g,
    (whole: string, open: string, target: string, anchor = "") => {
      if (target.startsWith("#")) return whole;
      const file = posix.join(posix.dirname(path), target);
      const page = placeOf(file);
      if (page !== undefined) return `${open}${linked(here, page)}${anchor})`;
      if (/\.(svg|png)$/.test(file)) {
        copy(file, join(staged, file.replace(/^docs\//, "")));
        return `${open}${linked(here, file.replace(/^docs\//, ""))})`;
      }
      // Folders are shown by what is in them.
      const files = globSync([file, `${file}/*.*`], { cwd: root }).filter((name) => /\.[\w]+$/.test(name));
      for (const name of files) copy(name, join(staged, "public/files", `${name}.txt`));
      return `${open}/files/${files[0] ?? file}.txt){target="_blank"}`;
    },
  );
  const to = join(staged, place);
  mkdirSync(dirname(to), { recursive: true });
  writeFileSync(to, text);
}

function linked(from: string, to: string): string {
  const path = posix.relative(from, to);
  return path.startsWith(".") ? path : `./${path}`;
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(join(root, from), to);
}

async function writeReference(): Promise<void> {
  const app = await Application.bootstrapWithPlugins({
    entryPoints: entries(root),
    tsconfig: join(site, "tsconfig.reference.json"),
    plugin: ["typedoc-plugin-markdown", "typedoc-vitepress-theme"],
    out: join(staged, "api"),
    docsRoot: staged,
    readme: "none",
    name: "API reference",
    disableSources: true,
    excludeInternal: true,
    excludePrivate: true,
    // What comes from other packages is documented there.
    excludeExternals: true,
    githubPages: false,
    hideBreadcrumbs: true,
    // A page for each entry of the package.
    outputFileStrategy: "modules",
    // protobuf-es writes where a declaration comes from.
    blockTags: [...OptionDefaults.blockTags, "@generated"],
    logLevel: LogLevel.Warn,
    validation: { invalidLink: true, notExported: false, notDocumented: false },
    treatValidationWarningsAsErrors: true,
    sidebar: { pretty: false },
  } as Parameters<typeof Application.bootstrapWithPlugins>[0]);
  const project = await app.convert();
  if (project === undefined) throw new Error("TypeDoc could not read the sources");
  // By what one writes behind `from`.
  for (const module of project.children ?? []) {
    module.name = module.name === "index" ? "hawser" : `hawser/${module.name}`;
  }
  app.validate(project);
  await app.generateOutputs(project);
  if (app.logger.hasErrors()) throw new Error("the docstrings have faults, see above");
}

rmSync(staged, { recursive: true, force: true });
for (const path of [
  "README.md",
  "CHANGELOG.md",
  ...globSync(
    ["docs/*.md", "docs/decisions/*.md", "examples/*/README.md", "test/codec/conformance/README.md"],
    {
      cwd: root,
    },
  ),
]) {
  stage(path);
}
await writeReference();
await build(site);
process.stdout.write(`the site is in ${relative(process.cwd(), join(site, "dist"))}\n`);
