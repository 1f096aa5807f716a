import { mkdir } from "node:fs/promises";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Monitor, startMonitor } from "../../src/demo/monitor.js";
import { buildPage } from "../../src/demo/web/bundle.js";
import { launchChromium } from "./chromium.js";

let monitor: Monitor;
let browser: Browser;

beforeAll(async () => {
  monitor = await startMonitor(0);
  monitor.servePage(await buildPage());
  browser = await launchChromium();
});

afterAll(async () => {
  await browser?.close();
  await monitor?.close();
});

/** Opens the page, and fails the test for whatever goes wrong in it. */
async function open(options: { width: number; height: number; colorScheme: "light" | "dark" }) {
  const { width, height, colorScheme } = options;
  const page = await browser.newPage({ viewport: { width, height }, colorScheme });
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    // A WebSocket that could not be made while the link is cut is the business of this page.
    if (message.type() === "error" && !message.text().includes("WebSocket")) faults.push(message.text());
  });
  await page.goto(monitor.url);
  return { page, faults };
}

const number = async (page: Page, id: string) => Number(await page.textContent(`#${id}`));

const text = (page: Page, id: string, pattern: string) =>
  page.waitForFunction(
    ([id, pattern]) => new RegExp(pattern!).test(document.getElementById(id!)?.textContent ?? ""),
    [id, pattern],
  );

const readings = (page: Page, least: number) =>
  page.waitForFunction((least) => Number(document.getElementById("readings")?.textContent) >= least, least);

/** Keeps a picture for the eye, when `SCREENSHOTS` names a folder. */
async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env["SCREENSHOTS"];
  if (folder === undefined || folder === "") return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
}

test("the page shows this machine, and misses nothing when its link is cut", async () => {
  const { page, faults } = await open({ width: 1280, height: 900, colorScheme: "light" });
  await text(page, "state", "^open$");
  await readings(page, 4);
  expect(await page.textContent("#hostname")).not.toBe("This machine");
  await text(page, "memory-key", "used \\d");
  await text(page, "busy-key", "busy \\d+ %");
  if (process.platform === "linux") expect(await page.locator("#processes tr").count()).toBeGreaterThan(0);

  for (let cut = 1; cut <= 3; cut++) {
    const before = await number(page, "readings");
    await page.click("#cut");
    await text(page, "resumes", `^${cut}$`);
    await text(page, "state", "^open$");
    await readings(page, before + 3);
  }
  expect(await number(page, "missing")).toBe(0);
  expect(await number(page, "doubled")).toBe(0);
  expect(await page.textContent("#down")).toMatch(/^\d+(\.\d+)? m?s$/);
  expect(await page.isHidden("#trouble")).toBe(true);
  await picture(page, "light");
  expect(faults).toEqual([]);
  await page.close();
});

test("the log can be paused and resumed, also across a cut", async () => {
  const { page, faults } = await open({ width: 1280, height: 900, colorScheme: "dark" });
  await text(page, "pause", "^Pause$");
  await page.waitForFunction(() => document.querySelectorAll("#log li").length > 0);
  await page.click("#pause");
  await text(page, "log-state", "paused after line");
  const lines = () => page.locator("#log li").allTextContents();
  const whenPaused = await lines();
  await page.click("#cut");
  await text(page, "resumes", "^1$");
  await page.waitForTimeout(1_500);
  expect(await lines()).toEqual(whenPaused);
  await page.click("#pause");
  await page.waitForFunction(
    (count) => document.querySelectorAll("#log li").length > count,
    whenPaused.length,
  );
  const numbers = (await lines()).map((line) => Number(line.split(" ")[0]));
  expect(numbers).toEqual(numbers.map((_, index) => numbers[0]! + index));
  await picture(page, "dark");
  expect(faults).toEqual([]);
  await page.close();
});

test("a file goes up from a narrow screen, and arrives whole", async () => {
  const { page, faults } = await open({ width: 360, height: 740, colorScheme: "light" });
  await text(page, "state", "^open$");
  const body = Buffer.alloc(3_000_001, "hawser");
  await page.setInputFiles("#file", { name: "rope.bin", mimeType: "application/octet-stream", buffer: body });
  await text(page, "verdict", "^rope.bin: 3,000,001 bytes arrived whole");
  await readings(page, 3);
  const [content, screen] = await page.evaluate(() => [document.body.scrollWidth, innerWidth] as const);
  expect(content).toBeLessThanOrEqual(screen);
  await picture(page, "narrow");
  expect(faults).toEqual([]);
  await page.close();
});

test("the page comes back by itself when the server is started again", async () => {
  const first = await startMonitor(0);
  const files = await buildPage();
  first.servePage(files);
  const page = await browser.newPage();
  await page.goto(first.url);
  await readings(page, 2);
  await first.close();
  await text(page, "state", "^reconnecting$");
  const before = await number(page, "readings");
  const second = await startMonitor(first.port);
  second.servePage(files);
  await readings(page, before + 3);
  // A new session is no resume: the row begins at 1 again, and nothing of it is missing.
  expect(await number(page, "resumes")).toBe(0);
  expect(await number(page, "missing")).toBe(0);
  expect(await number(page, "doubled")).toBe(0);
  await page.waitForFunction(() => document.getElementById("trouble")?.hidden === true);
  await page.close();
  await second.close();
});

test("only pages of this machine are let in", async () => {
  const port = new URL(monitor.url).port;
  const elsewhere = await fetch(monitor.url, { headers: { origin: "http://elsewhere.example" } });
  expect(elsewhere.status).toBe(403);
  expect((await fetch(`${monitor.url}cut?link=0`, { method: "POST" })).status).toBe(404);
  expect((await fetch(`${monitor.url}nothing`)).status).toBe(404);
  expect((await fetch(monitor.url)).headers.get("content-security-policy")).toContain("default-src 'none'");
  const closed = await new Promise<number>((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/other`, "hawser.v1");
    socket.onclose = (event) => resolve(event.code);
  });
  expect(closed).toBe(1006);
});
