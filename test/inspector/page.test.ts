// The inspector's page in a real browser, and how it is served.
import { rmSync, statSync } from "node:fs";
import { request } from "node:http";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { connect } from "../../src/client/index.js";
import { launchChromium } from "../demo/chromium.js";
import { go, openInspector, takeScreenshots, VIEWS } from "./screenshots.js";
import { startWorld, type World } from "./world.js";

let world: World;
let browser: Browser;
let faults: string[] = [];
const pages: Page[] = [];

beforeAll(async () => {
  world = await startWorld(true);
  browser = await launchChromium();
});

afterAll(async () => {
  await browser?.close();
  await world?.close();
});

afterEach(async () => {
  for (const page of pages.splice(0)) await page.close();
  expect(faults).toEqual([]);
  faults = [];
});

async function open(options: Parameters<typeof openInspector>[3] = {}): Promise<Page> {
  const page = await openInspector(browser, world, faults, options);
  pages.push(page);
  return page;
}

/** Waits until the text of what a selector finds first matches. */
const says = (page: Page, selector: string, pattern: RegExp) =>
  page.waitForFunction(
    ([selector, source]) =>
      new RegExp(source!, "s").test(document.querySelector(selector!)?.textContent ?? ""),
    [selector, pattern.source],
  );

/** The cells of a column, from 1. */
const column = (page: Page, number: number) =>
  page.locator(`tbody td:nth-child(${number})`).allTextContents();

describe("the page", () => {
  it("shows the node: figures, charts, methods, and what has happened", async () => {
    const page = await open();
    await says(page, ".tiles", /connections[1-9]/);
    await says(page, "section[aria-label='Calls per second'] .key", /ended [1-9]/);
    expect(await page.locator(".plot canvas").count()).toBeGreaterThanOrEqual(8);
    await says(page, "section[aria-label='Methods']", /EchoService\/Echo.*NOT_FOUND/);
    await says(page, ".events", /opened.*radia/);
    await says(page, "footer", /signed in as ada/);
    // Something is drawn.
    const drawn = await page
      .locator(".plot canvas")
      .first()
      .evaluate((canvas) => {
        const { width, height } = canvas as HTMLCanvasElement;
        const data =
          (canvas as HTMLCanvasElement).getContext("2d")?.getImageData(0, 0, width, height).data ?? [];
        return [...data].some((value) => value > 0);
      });
    expect(drawn).toBe(true);
  });

  it("stands still while it is paused", async () => {
    const page = await open();
    await says(page, "section[aria-label='Methods']", /EchoService\/Echo/);
    await page.click("text=Pause");
    const before = await page.textContent("section[aria-label='Methods']");
    const count = await page.getAttribute("[data-samples]", "data-samples");
    await page.waitForFunction(
      (count) => document.querySelector("[data-samples]")?.getAttribute("data-samples") !== count,
      count,
    );
    expect(await page.textContent("section[aria-label='Methods']")).toBe(before);
    await page.click("text=Go on");
    await page.waitForFunction(
      (before) => document.querySelector("section[aria-label='Methods']")?.textContent !== before,
      before,
    );
  });

  it("tells whom it does not let in, and lets them try again", async () => {
    const page = await browser.newPage();
    pages.push(page);
    await page.goto(world.page);
    await says(page, "[role=alert]", /sign in first/);
    await page.fill("input[type=password]", "grace");
    await page.keyboard.press("Enter");
    await says(page, "[role=alert]", /grace may not look/);
    await page.fill("input[type=password]", "ada");
    await page.keyboard.press("Enter");
    await says(page, "footer", /signed in as ada/);
  });

  it("sorts and filters connections by keyboard, and shows each with all that is known of it", async () => {
    const page = await open();
    await go(page, "#/connections");
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length >= 8);
    await page.focus("th button >> text=Identity");
    await page.keyboard.press("Enter");
    await page.waitForSelector("th[aria-sort=descending] >> text=Identity");
    await says(page, "tbody tr td:nth-child(2)", /tony/);
    await page.keyboard.press("Enter");
    await page.waitForSelector("th[aria-sort=ascending] >> text=Identity");
    await says(page, "tbody tr td:nth-child(2)", /ada/);
    const names = await column(page, 2);
    expect(names).toEqual([...names].sort());
    await page.fill("input[type=search]", "RADIA");
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
    await says(page, ".pager", /1–1 of 1 \(\d+ in all\)/);
    await page.fill("input[type=search]", "nobody");
    await says(page, "tbody", /No connection fits/);
    await page.fill("input[type=search]", "radia");
    await says(page, "tbody", /[0-9a-f]{8}radia/);
    await page.click("tbody a");
    await says(page, "h1", /radia/);
    await says(page, ".facts", /round trip[\d.]+ (µs|ms)/);
    await says(page, ".facts", /transportwebsocket/);
    await says(page, "section[aria-label='Calls in flight']", /TopicService\/Watch/);
    await says(page, "section[aria-label='Ended calls']", /EchoService\/Echo/);
    await says(page, "section[aria-label='Topics']", /notes\.market\.ACME/);
    await says(page, ".events", /opened/);
  });

  it("shows long lists part by part, and goes back when a list has become shorter", async () => {
    const crowd = Array.from({ length: 60 }, () => connect(world.url, { credentials: "leslie" }));
    try {
      await Promise.all(crowd.map((connection) => connection.ready()));
      const page = await open();
      await go(page, "#/connections");
      await page.fill("input[type=search]", "leslie");
      await says(page, ".pager", /1–50 of 61 \(\d+ in all\)/);
      expect(await page.locator("tbody tr").count()).toBe(50);
      await page.click(".pager >> text=Next");
      await says(page, ".pager", /51–61 of 61/);
      await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 11);
      await Promise.all(crowd.splice(0).map((connection) => connection.close()));
      await says(page, ".pager", /1–1 of 1 /);
      await says(page, "tbody", /leslie/);
    } finally {
      for (const connection of crowd) await connection.close();
    }
  });

  it("shows calls in flight and ended ones, those that failed alone, and one in full", async () => {
    const page = await open();
    await go(page, "#/calls");
    await says(page, "section[aria-label='Calls in flight']", /TopicService\/Watch.*server stream/);
    await page.check("text=not OK only");
    await page.waitForFunction(() => {
      const codes = [...document.querySelectorAll("section[aria-label='Ended calls'] td:nth-child(3)")];
      return codes.length > 0 && codes.every(({ textContent }) => textContent !== "OK");
    });
    await page.fill("input[type=search]", "echo");
    await page
      .locator("section[aria-label='Ended calls'] tr", { hasText: "NOT_FOUND" })
      .first()
      .locator("button")
      .click();
    await says(page, ".selected", /hawser\.test\.v1\.EchoService\/Echo.*NOT_FOUND.*there is no such name/);
  });

  it("shows topics with their history, newest publications and subscribers", async () => {
    const page = await open();
    await go(page, "#/topics");
    await says(page, "tbody", /notes\.market\.ACME\s*7/);
    await page.click("text=notes.market.ACME");
    await says(page, "section[aria-label='Newest publications']", /\{"number":\d+,"key":"ACME"\}/);
    await says(page, ".facts", /history[\d,]+ of 10,000, 10 min/);
    await says(page, "section[aria-label='Subscribers']", /radia.*live/);
  });

  it("makes calls of every kind, from templates of the schema", async () => {
    const page = await open();
    const form = async (method: string, json?: string) => {
      await go(page, `#/call/hawser.test.v1.EchoService/${method}`);
      await page.waitForFunction(
        (method) =>
          document.querySelector("select")?.value.endsWith(`/${method}`) &&
          document.querySelector("textarea") !== null,
        method,
      );
      if (json !== undefined) await page.fill("textarea >> nth=0", json);
    };
    await form("Echo");
    expect(JSON.parse(await page.inputValue("textarea >> nth=0"))).toEqual({ id: "0", name: "", body: "" });
    await page.fill("textarea >> nth=0", '{"id": "7", "name": "fine"}');
    await page.fill("textarea >> nth=1", "X-Seen: me: too");
    await page.click("button.primary");
    await says(page, ".replies", /OK in .*1 message.*x-seen: me: too.*x-end: bye.*"id": "7"/s);
    await page.fill("textarea >> nth=0", '{"name": "missing"}');
    await page.click("button.primary");
    await says(page, ".replies", /NOT_FOUND.*there is no such name/s);
    await page.fill("textarea >> nth=0", '{"nam": 1}');
    await page.click("button.primary");
    await says(page, "[role=alert]", /nam/);
    await form("Repeat", '{"count": 1000000}');
    await page.click("button.primary");
    await says(page, ".outcome", /under way, [1-9]/);
    await page.click("text=Cancel");
    await says(page, ".outcome", /CANCELLED/);
    await form("Converse", '{"number": 1}');
    await page.click("button.primary");
    await says(page, ".messages", /"number": 1/);
    await page.fill("textarea >> nth=0", '{"number": 2}');
    await page.click("text=Send message");
    await says(page, ".messages", /"number": 2/);
    await page.click("text=Finish");
    await says(page, ".outcome", /OK in .*2 messages/);
    await form("Collect", '{"number": 5}');
    await page.click("button.primary");
    await page.click("text=Finish");
    await says(page, ".messages", /"numbers":/);
  });

  it("fits a telephone", async () => {
    const page = await open({ width: 390, height: 800 });
    for (const hash of Object.values(VIEWS)) {
      await go(page, hash);
      await page.waitForSelector("main .card");
      const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      expect(content, hash).toBeLessThanOrEqual(screen!);
    }
  });

  it("gives the pictures of the docs", async () => {
    const folder = ".tmp/screenshots";
    rmSync(folder, { recursive: true, force: true });
    const files = await takeScreenshots(browser, world, folder, 3, faults);
    expect(files).toHaveLength(2 * Object.keys(VIEWS).length);
    for (const file of files) {
      expect(statSync(file).size).toBeGreaterThan(10_000);
      // What the docs show exists.
      expect(statSync(file.replace(folder, "docs/images")).size).toBeGreaterThan(10_000);
    }
  });
});

describe("its files", () => {
  /** What a request is answered with; `fetch` would not let us choose these headers. */
  const get = (path: string, headers: Record<string, string> = {}, method = "GET") =>
    new Promise<{ status: number; headers: Record<string, unknown>; body: string }>((resolve, reject) => {
      const sent = request(new URL(path, world.page), { method, headers }, (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          body += chunk;
        });
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
        );
      });
      sent.once("error", reject).end();
    });

  it("come with a policy that lets nothing in from elsewhere, and nothing inline", async () => {
    const { status, headers, body } = await get("/inspect/");
    expect(status).toBe(200);
    const policy = String(headers["content-security-policy"]);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("unsafe");
    expect(body).not.toMatch(/<script(?![^>]*src=)/);
    expect(body).not.toMatch(/ style=| on[a-z]+=|<style/);
    expect(headers).toMatchObject({
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      "referrer-policy": "no-referrer",
    });
  });

  it("are found at their path, and nowhere else", async () => {
    expect(await get("/inspect")).toMatchObject({ status: 308, headers: { location: "inspect/" } });
    expect((await get("/inspect/nothing.js")).status).toBe(404);
    expect((await get("/inspect/../package.json")).status).toBe(404);
    expect((await get("/inspector/")).status).toBe(404);
    expect((await get("/inspect/", {}, "POST")).status).toBe(405);
    expect(JSON.parse((await get("/inspect/config.json")).body)).toEqual({ rpcPath: "/rpc" });
  });

  it("are sent again only when they have changed", async () => {
    const { headers } = await get("/inspect/page.js");
    const again = await get("/inspect/page.js", { "if-none-match": String(headers["etag"]) });
    expect([again.status, again.body]).toEqual([304, ""]);
  });

  it("are for pages of the same host, which is called by its name", async () => {
    expect((await get("/inspect/", { origin: "https://evil.example" })).status).toBe(403);
    expect((await get("/inspect/", { host: "rebound.example" })).status).toBe(403);
    expect((await get("/inspect/page.js", { host: "rebound.example" })).status).toBe(403);
    const rebound = { host: "rebound.example", "x-forwarded-for": "192.0.2.1" };
    expect((await get("/inspect/", rebound)).status).toBe(403);
  });
});
