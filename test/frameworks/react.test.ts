// examples/react in a real Chromium, under React's development build, in which StrictMode mounts everything twice.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { startWeb, type Web } from "../../examples/react/web.js";
import { launchChromium } from "../demo/chromium.js";
import { until } from "../support/until.js";

let browser: Browser;
const folders: string[] = [];
const webs: Web[] = [];
const contexts: BrowserContext[] = [];

/** Builds the page, for development or as it would be published. */
async function build(mode: "development" | "production"): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "hawser-react-"));
  folders.push(folder);
  // React and Vite go by this, and Vitest has set it to "test".
  vi.stubEnv("NODE_ENV", mode);
  const vite = await import("vite");
  await vite.build({
    configFile: "examples/react/vite.config.ts",
    mode,
    build: { outDir: folder, emptyOutDir: true, minify: mode === "production" },
    logLevel: "error",
  });
  vi.unstubAllEnvs();
  return folder;
}

let development: string;

beforeAll(async () => {
  [development, browser] = await Promise.all([build("development"), launchChromium()]);
}, 120_000);

afterEach(async () => {
  for (const context of contexts.splice(0)) await context.close();
  for (const web of webs.splice(0)) await web.close();
});

afterAll(async () => {
  await browser?.close();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

async function serve(folder: string): Promise<Web> {
  const web = await startWeb(folder, 0);
  webs.push(web);
  return web;
}

interface Tab {
  readonly page: Page;
  readonly context: BrowserContext;
  readonly faults: string[];
}

async function open(web: Web): Promise<Tab> {
  const context = await browser.newContext();
  contexts.push(context);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    // That a WebSocket could not be made while the page is offline is what a test is about.
    if (["error", "warning"].includes(message.type()) && !message.text().includes("WebSocket"))
      faults.push(message.text());
  });
  await page.goto(web.url);
  await shows(page, "#state", "open");
  await page.waitForSelector("#standing li");
  return { page, context, faults };
}

const shows = (page: Page, selector: string, text: string) =>
  page.waitForFunction(
    ([selector, text]) => document.querySelector(selector!)?.textContent === text,
    [selector, text],
  );
const votesFor = (option: string) => `#standing li:has(#${option}) .votes`;

describe("the poll in React", () => {
  it("shows a topic in every tab, over one subscription each, StrictMode or not", async () => {
    const web = await serve(development);
    const one = await open(web);
    const two = await open(web);
    await one.page.click("#rope");
    await shows(one.page, "#vote", "yours was vote number 1");
    await shows(two.page, votesFor("rope"), "1");
    await two.page.click("#anchor");
    await shows(one.page, votesFor("anchor"), "1");
    expect(web.server.topics.subscribers).toBe(2);
    expect([...one.faults, ...two.faults]).toEqual([]);
  });

  it("goes on after a cut: the topic is up to date, and a vote of meanwhile counts once", async () => {
    const web = await serve(development);
    const one = await open(web);
    const two = await open(web);
    await one.context.setOffline(true);
    const [first] = [...web.server.sessions];
    // What stands already does not go away by itself in an emulated outage.
    first?.close(1001, "cut");
    await one.page.waitForFunction(() => document.querySelector("#state")?.textContent !== "open");
    await one.page.click("#chain");
    await shows(one.page, "#vote", "counting …");
    await two.page.click("#rope");
    await shows(two.page, votesFor("rope"), "1");
    await one.context.setOffline(false);
    await shows(one.page, "#state", "open");
    await shows(one.page, votesFor("rope"), "1");
    await shows(one.page, "#vote", "yours was vote number 2");
    await shows(two.page, votesFor("chain"), "1");
    expect([...one.faults, ...two.faults]).toEqual([]);
  });

  it("goes on with a stream in another session, and ends it when nobody looks", async () => {
    const web = await serve(development);
    const { page, faults } = await open(web);
    for (let vote = 1; vote <= 30; vote++) {
      await page.click(vote % 3 === 0 ? "#chain" : "#rope");
      await shows(page, "#vote", `yours was vote number ${vote}`);
    }
    await page.click("#replay");
    await page.waitForSelector("#votes li:nth-child(5)");
    // The server forgets the session, as if it had died.
    for (const session of web.server.sessions) session.close(1012, "restart");
    await shows(page, "#replay-status", "ended");
    const numbers = await page
      .locator("#votes li")
      .evaluateAll((items) => items.map((item) => (item as HTMLLIElement).value));
    expect(numbers).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
    // Shown again and taken away in the middle: the call is cancelled.
    await page.click("#replay");
    await page.click("#replay");
    await page.waitForSelector("#votes li");
    const inFlight = () => [...web.server.sessions].reduce((sum, session) => sum + session.callsInFlight, 0);
    expect(inFlight()).toBe(2);
    await page.click("#replay");
    await until(() => inFlight() === 1);
    expect(faults).toEqual([]);
  });

  it("is mounted twice by StrictMode in these tests, as in development", async () => {
    const web = await serve(development);
    const { page } = await open(web);
    expect(await page.evaluate(() => document.scripts[0]?.src)).toContain("/assets/");
    const source = await (await page.request.get(await page.evaluate(() => document.scripts[0]!.src))).text();
    expect(source).toContain("doubleInvokeEffects");
  });

  it("works as it is published", async () => {
    const web = await serve(await build("production"));
    const { page, faults } = await open(web);
    await page.click("#rope");
    await shows(page, votesFor("rope"), "1");
    expect(faults).toEqual([]);
  });
});
