import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import GithubSlugger from "github-slugger";
import { defineConfig, type UserConfig } from "vitepress";
import { navigation } from "../navigation.js";

const staged = join(import.meta.dirname, "../.staged");

/** The first heading of a page. */
function titleOf(page: string): string {
  const [, title = page] = readFileSync(join(staged, page), "utf8").match(/^# (.+)$/m) ?? [];
  return title.replaceAll("`", "");
}

const item = (page: string) => ({ text: titleOf(page), link: `/${page.replace(/\.md$/, "")}` });

const sidebarOfReference = join(staged, "api/typedoc-sidebar.json");
const reference = existsSync(sidebarOfReference)
  ? (JSON.parse(readFileSync(sidebarOfReference, "utf8")) as { text: string; link?: string }[])
  : [];

const examples = ["chat", "cluster", "deploy", "jwt", "nestjs", "react"].map((name) => `examples/${name}.md`);

const guides = [
  ...navigation.map(({ title, pages }) => ({ text: title, items: pages.map(item) })),
  { text: "Examples", collapsed: true, items: examples.map(item) },
];

const config: UserConfig = defineConfig({
  title: "Hawser",
  description: "Typed protobuf RPC over one WebSocket that survives bad networks",
  base: process.env["DOCS_BASE"] ?? "/",
  srcDir: ".staged",
  outDir: "dist",
  cacheDir: ".staged/.cache",
  // Links to what is not there end the build; what a reader starts is there later.
  ignoreDeadLinks: [/^http:\/\/localhost/],
  markdown: {
    // As GitHub makes them, so that links hold in both places.
    anchor: { slugify: (text: string) => new GithubSlugger().slug(text) },
  },
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    nav: [
      { text: "Tutorial", link: "/tutorial" },
      { text: "Reliability", link: "/reliability" },
      { text: "API", link: "/api/" },
      { text: "Protocol", link: "/PROTOCOL" },
    ],
    sidebar: { "/api/": [{ text: "API reference", items: reference }], "/": guides },
  },
});

export default config;
