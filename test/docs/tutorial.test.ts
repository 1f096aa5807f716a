// docs/tutorial.md, followed from an empty folder with the packed package, real processes, NATS, nginx and Chromium. After each
// chapter all code is compiled, and what the page promises is looked for.
import { execFile } from "node:child_process";
import { globSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createFaultProxy } from "../../src/testing/index.js";
import { launchChromium } from "../demo/chromium.js";
import { freePorts } from "../support/proxy-process.js";
import { createFollower, type Follower } from "./follow.js";
import { type Block, blocksOf, textOf } from "./pages.js";

const PAGE = "docs/tutorial.md";
const run = promisify(execFile);

/** Blocks by the chapter that they are in. */
const chapters = new Map<string, Block[]>();
{
  const lines = textOf(PAGE).split("\n");
  for (const block of blocksOf(PAGE)) {
    const title = lines
      .slice(0, block.line)
      .findLast((line) => line.startsWith("## "))
      ?.slice(3);
    chapters.set(title ?? "", [...(chapters.get(title ?? "") ?? []), block]);
  }
}

let scratch: string;
let folder: string;
let reader: Follower;
let browser: Browser;
const ports = new Map<string, string>();
let here: (text: string) => string;

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "hawser-tutorial-"));
  folder = join(scratch, "chat");
  mkdirSync(folder);
  const named = ["8080", "8081", "8082", "8083", "4222"];
  const free = await freePorts(named.length);
  for (const [index, port] of named.entries()) ports.set(port, String(free[index]));
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", scratch]);
  const [filename = ""] = stdout.match(/hawser-[\w.-]+\.tgz/) ?? [];
  here = (text) =>
    [...ports]
      .reduce((changed, [from, to]) => changed.replaceAll(from, to), text)
      .replace("npm install hawser ", `npm install ${resolve(scratch, filename)} `);
  reader = createFollower(folder, here);
  browser = await launchChromium();
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await reader?.close();
  rmSync(scratch, { recursive: true, force: true });
});

async function compiles(): Promise<void> {
  const files = globSync("{*,page/*}.ts", { cwd: folder });
  const options = ["--strict", "--noEmit", "--module", "nodenext", "--target", "es2023", "--types", "node"];
  const lib = ["--lib", "es2023,dom,dom.iterable"];
  await expect(run("npx", ["tsc", ...options, ...lib, ...files], { cwd: folder })).resolves.toMatchObject({
    stdout: "",
  });
}

interface Person {
  readonly page: Page;
  readonly say: (text: string) => Promise<void>;
  readonly lines: () => Promise<string[]>;
  readonly sees: (line: string) => Promise<unknown>;
  readonly is: (state: string) => Promise<unknown>;
}

async function open(address = "", port = here("8080")): Promise<Person> {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`http://localhost:${port}/${address}`);
  const lines = () => page.locator("#lines li").allTextContents();
  return {
    page,
    lines,
    async say(text) {
      await page.fill("#text", text);
      await page.click("button");
    },
    sees: (line) =>
      page.waitForFunction(
        (line) => [...document.querySelectorAll("#lines li")].some(({ textContent }) => textContent === line),
        line,
      ),
    is: (state) =>
      page.waitForFunction((state) => document.querySelector("#state")?.textContent === state, state),
  };
}

/** What must be true after each chapter. */
const promised: Readonly<Record<string, () => Promise<void>>> = {
  "A folder": async () => undefined,

  "A server": compiles,

  async "A page"() {
    await compiles();
    const proxy = await createFaultProxy({ target: { port: Number(here("8080")) } });
    const [one, two] = [await open(), await open("", String(proxy.port))];
    await one.is("open");
    await one.say("first");
    await two.sees("somebody: first");
    await proxy.refuse("reset");
    proxy.cut("reset");
    await two.is("reconnecting");
    await two.say("from the dark");
    await one.say("meanwhile");
    await one.sees("somebody: meanwhile");
    expect(await two.lines()).toEqual(["somebody: first"]);
    await proxy.refuse(false);
    for (const person of [one, two]) {
      await person.sees("somebody: from the dark");
      await person.sees("somebody: meanwhile");
      expect(await person.lines()).toHaveLength(3);
    }
    await two.page.reload();
    await two.sees("somebody: meanwhile");
    for (const { page } of [one, two]) await page.context().close();
    await proxy.close();
  },

  async "Who is talking"() {
    await compiles();
    const [ada, grace, nobody] = [await open("#rope-1842"), await open("#knot-1815"), await open("#other")];
    await ada.say("hello");
    await grace.sees("Ada: hello");
    await nobody.is("closed");
    await nobody.sees("nobody has this secret");
    expect(await nobody.lines()).toEqual(["nobody has this secret"]);
    for (const { page } of [ada, grace, nobody]) await page.context().close();
  },

  async "Three nodes"() {
    await compiles();
    const [ada, grace] = [await open("#rope-1842"), await open("#knot-1815")];
    await ada.is("open");
    await grace.is("open");
    const said: string[] = [];
    const talk = async (text: string) => {
      await ada.say(`${text}, says Ada`);
      await grace.say(`${text}, says Grace`);
      said.push(`Ada: ${text}, says Ada`, `Grace: ${text}, says Grace`);
    };
    await talk("before");
    await reader.kill("node1");
    await talk("one is gone");
    await reader.kill("node2");
    await talk("two are gone");
    for (const person of [ada, grace]) {
      for (const line of said) await person.sees(line);
      expect((await person.lines()).sort()).toEqual([...said].sort());
    }
  },

  "Where to go from here": async () => undefined,
};

describe(PAGE, () => {
  it("has chapters that are all followed here", () => {
    const titles = [...textOf(PAGE).matchAll(/^## (.+)$/gm)].map(([, title]) => title);
    expect(Object.keys(promised)).toEqual(titles);
    expect([...chapters.keys()].every((title) => titles.includes(title))).toBe(true);
  });

  it.each(Object.entries(promised))(
    "%s",
    async (title, holds) => {
      await reader.follow(chapters.get(title) ?? []);
      await holds();
    },
    120_000,
  );
});
