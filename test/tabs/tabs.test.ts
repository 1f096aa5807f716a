// Several tabs of a real Chromium over one WebSocket, held by a SharedWorker or by one of them.
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Code } from "../../src/index.js";
import { launchChromium } from "../demo/chromium.js";
import { expectedResult } from "../support/echo.js";
import { SeededRandom } from "../support/random.js";
import { until } from "../support/until.js";
import { buildScripts, openTab, progress, type Site, seenBy, start, startSite } from "./site.js";

let scripts: ReadonlyMap<string, Uint8Array>;
let browser: Browser;
const closers: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  scripts = await buildScripts();
  browser = await launchChromium();
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

afterAll(async () => {
  await browser?.close();
});

async function site(options: Parameters<typeof startSite>[1] = {}): Promise<Site> {
  const started = await startSite(scripts, options);
  closers.push(() => started.close());
  return started;
}

/** A profile of its own: its tabs know nothing of those of another test. */
async function profile(): Promise<BrowserContext> {
  const context = await browser.newContext();
  closers.push(() => context.close());
  return context;
}

const heldBy = (page: Page) => page.evaluate(() => window.tab.heldBy());

/** The renderer of a page dies. */
async function crash(page: Page): Promise<void> {
  const crashed = new Promise((resolve) => page.once("crash", resolve));
  const session = await page.context().newCDPSession(page);
  session.send("Page.crash").catch(() => undefined);
  await crashed;
}

describe.each(["worker", "leader"] as const)("held by a %s", (mode) => {
  test("tabs share one WebSocket, and each can make calls of all kinds", async () => {
    const { url, sockets, server } = await site();
    const context = await profile();
    const pages = [];
    for (let i = 0; i < 3; i++) pages.push(await openTab(context, url, { mode }));
    expect(await Promise.all(pages.map(heldBy))).toEqual(
      mode === "worker" ? ["worker", "worker", "worker"] : ["this tab", "another tab", "another tab"],
    );
    expect(sockets).toEqual({ open: 1, ever: 1 });
    expect(server.sessions.size).toBe(3);
    for (const [i, page] of pages.entries()) {
      const tag = `tab ${i}`;
      expect(await page.evaluate((tag) => window.tab.exchange(tag), tag)).toEqual(expectedResult(tag));
    }
    expect(await Promise.all(pages.map((page) => page.evaluate(() => window.tab.fail())))).toEqual(
      pages.map(() => ({ code: Code.FailedPrecondition, message: "no", executed: "yes", trailer: "7" })),
    );
    // Larger than what may be on the way at once.
    expect(await Promise.all(pages.map((page) => page.evaluate(() => window.tab.large(3_000_000))))).toEqual([
      3_000_000, 3_000_000, 3_000_000,
    ]);
    // A tab that closes its connection ends its session, and no other.
    await pages[0]!.evaluate(() => window.tab.close());
    await until(() => server.sessions.size === 2);
    await pages[1]!.evaluate(() => window.tab.exchange("still there"));
    await Promise.all(pages.slice(1).map((page) => page.evaluate(() => window.tab.close())));
    await until(() => sockets.open === 0);
  });

  test("nothing is lost or doubled when the one that holds the connection dies, whenever and however", async () => {
    const seed = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 32));
    const random = new SeededRandom(seed);
    const { url, added, sockets, server, handlers } = await site();
    const context = await profile();
    let tabs = 0;
    const add = async () => {
      const page = await openTab(context, url, { mode });
      const number = ++tabs;
      await page.evaluate((number) => window.tab.work(number), number);
      return { page, number };
    };
    const open = [await add(), await add(), await add()];
    const gone: typeof open = [];
    /** In worker mode, the worker runs in the process of the tab that started it, and dies when that crashes. */
    const victim = async () => {
      if (mode === "worker") return open[0]!;
      for (const tab of open) if ((await heldBy(tab.page)) === "this tab") return tab;
      throw new Error("nobody holds the connection");
    };
    const ways = mode === "worker" ? [crash, crash] : [close, crash, close, crash, leave];
    const answered = new Map<number, number>();
    for (const way of ways) {
      await Promise.all(open.map(({ page }) => progress(page, 20)));
      await new Promise((resolve) => setTimeout(resolve, random.below(50)));
      const tab = await victim();
      answered.set(tab.number, (await seenBy(tab.page)).adds);
      open.splice(open.indexOf(tab), 1);
      gone.push(tab);
      await way(tab.page);
      await Promise.all(open.map(({ page }) => progress(page, 20)));
      open.push(await add());
    }
    await Promise.all(open.map(({ page }) => progress(page, 20)));
    for (const { page, number } of open) {
      const seen = await seenBy(page);
      expect(seen, `tab ${number}, seed ${seed}`).toMatchObject({ faults: [], lost: 0 });
      answered.set(number, seen.adds);
    }
    // The one that was there from the beginning and is there still has moved each time.
    const first = open.find(({ number }) => number <= 3)!;
    if (mode === "worker") expect((await seenBy(first.page)).resumed).toBeGreaterThanOrEqual(1);
    expect(sockets.open).toBe(1);
    // Each call took effect once; those of dead tabs may have gone on after we looked.
    for (const [number, times] of added) expect(times, `add ${number}, seed ${seed}`).toBe(1);
    for (const [number, adds] of answered) {
      for (let i = 0; i < adds; i++) expect(added.has(BigInt(number) * 1_000_000n + BigInt(i))).toBe(true);
    }
    await Promise.all(open.map(({ page }) => page.close()));
    await until(() => sockets.open === 0);
    expect(handlers.following).toBeLessThanOrEqual(server.sessions.size);
  });

  test("a tab that crashes loses its session at once, and nobody else notices", async () => {
    const { url, sockets, server, handlers } = await site();
    const context = await profile();
    const first = await openTab(context, url, { mode });
    const second = await openTab(context, url, { mode });
    for (const [i, page] of [first, second].entries()) {
      await page.evaluate((i) => window.tab.work(i), i);
      await progress(page, 5);
    }
    expect(handlers.following).toBe(2);
    await crash(second);
    await until(() => server.sessions.size === 1);
    await until(() => handlers.following === 1);
    await progress(first, 20);
    expect(await seenBy(first)).toMatchObject({ faults: [], resumed: 0, lost: 0 });
    expect(sockets).toEqual({ open: 1, ever: 1 });
  });

  test("a tab that does not read holds up its own stream, and no other tab", async () => {
    const { url, handlers } = await site();
    const context = await profile();
    const slow = await openTab(context, url, { mode });
    const other = await openTab(context, url, { mode });
    await slow.evaluate(() => window.tab.readSlowly(10_000, 2_000));
    await slow.waitForFunction(() => window.tab.read === 1);
    await other.evaluate(() => window.tab.work(1));
    await progress(other, 50);
    // 256 KiB of credit, and what is between: not 20 MB.
    const stopped = handlers.repeated;
    expect(stopped).toBeLessThan(100);
    await progress(other, 50);
    expect(handlers.repeated).toBe(stopped);
    await slow.evaluate(() => window.tab.readOn());
    await slow.waitForFunction(() => window.tab.read === 2_000);
    expect(await seenBy(other)).toMatchObject({ faults: [], resumed: 0 });
  });

  test("the server's wish for new connections is granted, without a loss", async () => {
    const { url, sockets } = await site({ maxConnectionAgeMs: 700 });
    const context = await profile();
    const pages = [await openTab(context, url, { mode }), await openTab(context, url, { mode })];
    for (const [i, page] of pages.entries()) await page.evaluate((i) => window.tab.work(i), i);
    await until(() => sockets.ever >= 4);
    for (const page of pages) {
      await progress(page, 5);
      expect(await seenBy(page)).toMatchObject({ faults: [], lost: 0 });
    }
    await until(() => sockets.open <= 2);
  });

  test("each tab has its own credentials and identity", async () => {
    const { url, server, sockets } = await site({
      authenticate: ({ credentials }) => ({ id: credentials ?? "" }),
    });
    const context = await profile();
    await openTab(context, url, { mode, token: "ada" });
    await openTab(context, url, { mode, token: "grace" });
    expect([...server.sessions].map(({ identity }) => identity?.id).sort()).toEqual(["ada", "grace"]);
    expect(sockets).toEqual({ open: 1, ever: 1 });
  });

  test("where the server lets nobody share, each tab connects by itself", async () => {
    const { url, server, sockets } = await site({ maxLanes: 0 });
    const context = await profile();
    for (let i = 0; i < 2; i++) {
      const page = await openTab(context, url, { mode });
      expect(await page.evaluate(() => window.tab.exchange("alone"))).toEqual(expectedResult("alone"));
      expect(await heldBy(page)).toBe("nobody else");
    }
    await until(() => sockets.open === 2);
    expect(server.sessions.size).toBe(2);
  });
});

test("a leader that does not answer is replaced, and follows when it is back", async () => {
  const { url } = await site();
  const context = await profile();
  const leader = await openTab(context, url, { mode: "leader" });
  const follower = await openTab(context, url, { mode: "leader" });
  for (const [i, page] of [leader, follower].entries()) {
    await page.evaluate((i) => window.tab.work(i), i);
    await progress(page, 5);
  }
  await leader.evaluate(() => window.tab.block(4_000));
  // As when its user turns to it.
  await follower.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await follower.waitForFunction(() => window.tab.heldBy() === "this tab");
  await progress(follower, 20);
  await leader.waitForFunction(() => window.tab.heldBy() === "another tab");
  await progress(leader, 20);
  for (const page of [leader, follower])
    expect(await seenBy(page)).toMatchObject({ faults: [], lost: 0, resumed: 1 });
});

test("where the worker's script cannot be had, one of the tabs holds the connection", async () => {
  const { url, sockets } = await site();
  const context = await profile();
  const setup = { mode: "worker", script: "/missing.js" } as const;
  const pages = [await openTab(context, url, setup), await openTab(context, url, setup)];
  expect(await Promise.all(pages.map(heldBy))).toEqual(["this tab", "another tab"]);
  expect(sockets.open).toBe(1);
});

test("a page that is reloaded leaves nothing behind", async () => {
  // Its last words, which would end its session at once, do not always get out of the browser.
  const { url, server, sockets } = await site({ graceMs: 5_000 });
  const context = await profile();
  const leader = await openTab(context, url, { mode: "leader" });
  const follower = await openTab(context, url, { mode: "leader" });
  await follower.evaluate(() => window.tab.work(1));
  await leader.reload();
  await start(leader, { mode: "leader" });
  await progress(follower, 20);
  await follower.waitForFunction(() => window.tab.heldBy() === "this tab");
  expect(await seenBy(follower)).toMatchObject({ faults: [], lost: 0, resumed: 1 });
  await until(() => server.sessions.size === 2 && sockets.open === 1);
});

const close = (page: Page): Promise<void> => page.close();

/** Goes to another site. */
async function leave(page: Page): Promise<void> {
  await page.goto("about:blank");
}
