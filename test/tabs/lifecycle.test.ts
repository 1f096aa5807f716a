// Tabs that are hidden, frozen, and kept for the way back, as Playwright keeps its pages from being.
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { startTabs, type Tab, type Tabs } from "../browser/devtools.js";
import { until } from "../support/until.js";
import type { Setup } from "./page.js";
import { buildScripts, type Site, startSite } from "./site.js";

let scripts: ReadonlyMap<string, Uint8Array>;
let tabs: Tabs;
let site: Site;
const open: Tab[] = [];

beforeAll(async () => {
  scripts = await buildScripts();
  tabs = await startTabs();
  site = await startSite(scripts);
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((tab) => tab.close()));
  await until(() => site.sockets.open === 0);
});

afterAll(async () => {
  await tabs?.close();
  await site?.close();
});

/** A tab that is at work. */
async function work(setup: Setup, number: number): Promise<Tab> {
  const tab = await tabs.open(site.url);
  open.push(tab);
  await tab.until(() => "tab" in window);
  await tab.evaluate((setup) => window.tab.start(setup), setup);
  await tab.evaluate((number) => window.tab.work(number), number);
  return tab;
}

/** Waits until streams have come on: what the page itself does by timers is slow while it is hidden. */
async function progress(tab: Tab): Promise<void> {
  const before = await tab.evaluate(() => window.tab.seen.stream);
  let now = before;
  while (now < before + 20) {
    now = await tab.evaluate(() => (window.tab.seen.faults.length > 0 ? Infinity : window.tab.seen.stream));
    if (now === null) throw new Error(JSON.stringify(await tab.evaluate(() => window.tab.seen)));
  }
}

const whole = async (tab: Tab) =>
  expect(await tab.evaluate(() => window.tab.seen)).toMatchObject({ faults: [], lost: 0 });

test("a page that is kept for the way back hands the connection on, and goes on when it is back", async () => {
  const leader = await work({ mode: "leader" }, 1);
  const follower = await work({ mode: "leader" }, 2);
  await leader.show();
  await progress(follower);
  await leader.goto(`${site.url}elsewhere`);
  await follower.until(() => window.tab.heldBy() === "this tab");
  await progress(follower);
  await leader.evaluate(() => history.back());
  // The same page as before, which has forgotten nothing.
  await leader.until(() => "tab" in window && window.tab.seen.resumed === 1);
  await leader.until(() => window.tab.heldBy() === "another tab");
  await progress(leader);
  for (const tab of [leader, follower]) await whole(tab);
});

test("a tab that is frozen hands the connection on, and goes on when it is not", async () => {
  const leader = await work({ mode: "leader" }, 3);
  const follower = await work({ mode: "leader" }, 4);
  await follower.show();
  await leader.freeze("frozen");
  await follower.until(() => window.tab.heldBy() === "this tab");
  await progress(follower);
  await leader.freeze("active");
  await leader.show();
  await leader.until(() => window.tab.heldBy() === "another tab" && window.tab.seen.resumed === 1);
  await progress(leader);
  for (const tab of [leader, follower]) await whole(tab);
});

test("hidden tabs come along when the one that holds the connection is closed", async () => {
  const first = await work({ mode: "leader" }, 5);
  const hidden = await work({ mode: "leader" }, 6);
  const last = await work({ mode: "leader" }, 7);
  await last.show();
  await progress(hidden);
  expect(await hidden.evaluate(() => document.visibilityState)).toBe("hidden");
  await first.close();
  open.splice(open.indexOf(first), 1);
  for (const tab of [hidden, last]) {
    await tab.until(() => window.tab.seen.resumed === 1);
    await progress(tab);
    await whole(tab);
  }
});
