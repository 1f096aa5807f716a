// Several tabs of a real Chromium behind a real nginx that refuses upgrades: each goes over HTTP, and they share a WebSocket as
// soon as one gets through.
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { launchChromium } from "../demo/chromium.js";
import { startNginx } from "../fallback/nginx.js";
import { expectedResult } from "../support/echo.js";
import { until } from "../support/until.js";
import { buildScripts, openTab, progress, type Site, seenBy, startSite } from "./site.js";

let scripts: ReadonlyMap<string, Uint8Array>;
let browser: Browser;

beforeAll(async () => {
  scripts = await buildScripts();
  browser = await launchChromium();
});

afterAll(async () => {
  await browser?.close();
});

const OPEN = { refusesUpgrades: false, buffers: false } as const;
const BLOCKED = { refusesUpgrades: true, buffers: false } as const;

/** A site behind nginx. */
async function behindNginx(obstacles: typeof OPEN | typeof BLOCKED) {
  const site = await startSite(scripts);
  const nginx = await startNginx(Number(new URL(site.url).port), obstacles);
  const context = await browser.newContext();
  onTestFinished(async () => {
    await context.close();
    await site.close();
    await nginx.stop();
  });
  return { ...site, nginx, context, url: `http://127.0.0.1:${nginx.port}/` };
}

/** What carries the sessions that have a link, each kind once. */
const kinds = ({ server }: Pick<Site, "server">) => [
  ...new Set([...server.sessions].flatMap(({ linkKind }) => linkKind?.slice(0, 4) ?? [])),
];

describe.each(["worker", "leader"] as const)("tabs that would share by a %s", (mode) => {
  const setup = { mode, options: { fallback: { retryWebSocketMs: 100 } } } as const;

  test("go over HTTP each, survive each other's death, and share a WebSocket when it works again", async () => {
    const site = await behindNginx(BLOCKED);
    const { server, context, url, nginx, added, sockets } = site;
    const dying = await openTab(context, url, setup);
    const pages = [await openTab(context, url, setup), await openTab(context, url, setup)];
    for (const [i, page] of [...pages, dying].entries()) {
      expect(await page.evaluate(() => window.tab.exchange("blocked"))).toEqual(expectedResult("blocked"));
      await page.evaluate((i) => window.tab.work(i), i);
    }
    for (const page of [...pages, dying]) await progress(page, 5);
    expect([server.sessions.size, kinds(site)]).toEqual([3, ["http"]]);

    // Whoever led: it carried nobody's packets.
    await dying.close();
    for (const page of pages) await progress(page, 5);
    for (const page of pages) expect(await seenBy(page)).toMatchObject({ faults: [], lost: 0, resumed: 0 });

    nginx.change(OPEN);
    await until(() => kinds(site).join() === "webs" && sockets.open === 1);
    for (const page of pages) await progress(page, 5);
    expect((await Promise.all(pages.map((page) => page.evaluate(() => window.tab.heldBy())))).sort()).toEqual(
      mode === "worker" ? ["worker", "worker"] : ["another tab", "this tab"],
    );
    for (const page of pages) expect(await seenBy(page)).toMatchObject({ faults: [], lost: 0 });
    for (const [number, times] of added) expect(times, `add ${number}`).toBe(1);
  });

  test("that share a WebSocket go over HTTP when it is blocked, without a loss", async () => {
    const site = await behindNginx(OPEN);
    const { context, url, nginx, added, sockets } = site;
    const pages = [await openTab(context, url, setup), await openTab(context, url, setup)];
    for (const [i, page] of pages.entries()) {
      await page.evaluate((i) => window.tab.work(i), i);
      await progress(page, 5);
    }
    expect([kinds(site), sockets]).toEqual([["webs"], { open: 1, ever: 1 }]);
    nginx.change(BLOCKED);
    await until(() => kinds(site).join() === "http");
    for (const page of pages) await progress(page, 5);
    for (const page of pages) expect(await seenBy(page)).toMatchObject({ faults: [], lost: 0 });
    for (const [number, times] of added) expect(times, `add ${number}`).toBe(1);
  });
});
