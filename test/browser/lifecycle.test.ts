// What a page goes through: outages, being hidden, being frozen, being left and come back to. Nothing of it may lose or
// double a message, and the way back is taken at once: the clients of this file would not connect again by themselves.
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { launchChromium } from "../demo/chromium.js";
import { echoRoutes } from "../support/echo.js";
import { Notes, topicRoutes } from "../support/topics.js";
import { until } from "../support/until.js";
import { startTabs, type Tab, type Tabs } from "./devtools.js";
import type {} from "./page/kit.js";
import { kitFiles, openPage, openSite, type Site } from "./site.js";

let site: Site;
let browser: Browser;
let tabs: Tabs;

beforeAll(async () => {
  [browser, tabs] = await Promise.all([launchChromium(), startTabs()]);
  site = await openSite(await kitFiles(), {
    // Nobody is to find a dead link by its silence.
    pingIntervalMs: 600_000,
    ackTimeoutMs: 600_000,
    routes(router) {
      topicRoutes(router);
      echoRoutes()(router);
    },
  });
  site.server.on("opened", ({ session }) => happened.set(session.id, []));
  site.server.on("detached", ({ session, code, reason }) =>
    happened.get(session.id)?.push(`detached ${code} ${reason}`),
  );
  site.server.on("resumed", ({ session }) => happened.get(session.id)?.push("resumed"));
});

afterAll(async () => {
  await browser?.close();
  await tabs?.close();
  await site?.close();
});

/** What became of each session, on the server. */
const happened = new Map<string, string[]>();

/** What the sessions are told in a page. */
const LISTEN = async (name: string): Promise<string> => {
  const connection = kit.connect(kit.url, {
    pingIntervalMs: 600_000,
    ackTimeoutMs: 600_000,
    reconnect: { initialDelayMs: 600_000, maxDelayMs: 600_000 },
  });
  const { numbers, events } = kit.kept;
  kit.kept.connection = connection;
  connection.on("state", ({ state }) => events.push(state));
  connection.on("lost", () => events.push("lost"));
  const client = kit.createClient(kit.TopicService, connection);
  const read = async () => {
    for await (const { number } of client.watch({ name }, { topic: { last: 10_000 } })) numbers.push(number);
  };
  kit.kept.done = read();
  await connection.ready();
  // Answered when the subscription stands.
  await kit.createClient(kit.EchoService, connection).echo({});
  return connection.sessionId;
};

/** A page of Playwright's, or a tab. */
type Anywhere = Pick<Tab, "evaluate">;

/** A topic, and pages that must have all of it. */
class Feed {
  readonly name: string;
  #published = 0;

  constructor(name: string) {
    this.name = name;
  }

  async publish(count: number): Promise<void> {
    for (let i = 0; i < count; i++)
      await site.server.publish(Notes(this.name), { number: ++this.#published });
  }

  /** Waits until the page has everything, and sees that it has it once and in order. */
  async complete(page: Anywhere): Promise<void> {
    while ((await page.evaluate(() => kit.kept.numbers.length)) < this.#published);
    expect(await page.evaluate(() => kit.kept.numbers)).toEqual(
      Array.from({ length: this.#published }, (_, index) => index + 1),
    );
  }
}

const statesOf = (page: Anywhere) => page.evaluate(() => kit.kept.events);

async function openPlaywright() {
  const { page, faults } = await openPage(browser, site.url);
  onTestFinished(async () => {
    await page.context().close();
    expect(faults).toEqual([]);
  });
  return page;
}

/** A tab that listens to a feed. */
async function openTab(name: string) {
  const tab = await tabs.open(site.url);
  onTestFinished(async () => {
    await tab.close();
    expect(tab.faults).toEqual([]);
  });
  await tab.until(() => "kit" in globalThis);
  const id = await tab.evaluate(LISTEN, name);
  return { tab, events: happened.get(id)! };
}

test("offline: nothing is tried until the network is back, and then at once", async () => {
  const page = await openPlaywright();
  const feed = new Feed("offline");
  await page.evaluate(LISTEN, feed.name);
  await feed.publish(5);
  await page.context().setOffline(true);
  site.proxy.cut("reset");
  await page.waitForFunction(() => kit.kept.connection?.state === "reconnecting");
  // Made without a network, answered when there is one.
  const call = page.evaluate(async () => {
    const { connection } = kit.kept;
    return (
      connection && (await kit.createClient(kit.EchoService, connection).echo({ name: "from the dark" })).name
    );
  });
  await feed.publish(5);
  const tried = site.proxy.connections;
  await page.context().setOffline(false);
  expect(await call).toBe("from the dark");
  expect(site.proxy.connections).toBe(tried + 1);
  await feed.complete(page);
  expect(await statesOf(page)).toEqual(["open", "reconnecting", "open"]);
});

test("offline: a link that was silently lost is replaced when the network is back", async () => {
  const page = await openPlaywright();
  const feed = new Feed("silent");
  const id = await page.evaluate(LISTEN, feed.name);
  await feed.publish(5);
  await feed.complete(page);
  await page.context().setOffline(true);
  site.proxy.stall("up");
  site.proxy.stall("down");
  await feed.publish(5);
  expect(await statesOf(page)).toEqual(["open"]);
  await page.context().setOffline(false);
  await feed.complete(page);
  expect(await statesOf(page)).toEqual(["open", "reconnecting", "open"]);
  expect(happened.get(id)).toContain("resumed");
});

test("hidden: nothing is tried until the page is looked at again, and then at once", async () => {
  const feed = new Feed("hidden");
  const { tab, events } = await openTab(feed.name);
  await feed.publish(5);
  const other = await tabs.open(`${site.url}elsewhere.html`);
  await tab.until(() => document.visibilityState === "hidden");
  site.proxy.cut("reset");
  await tab.until(() => kit.kept.connection?.state === "reconnecting");
  await feed.publish(5);
  const tried = site.proxy.connections;
  await tab.show();
  await feed.complete(tab);
  expect(site.proxy.connections).toBe(tried + 1);
  expect(await statesOf(tab)).toEqual(["open", "reconnecting", "open"]);
  expect(events.at(-1)).toBe("resumed");
  await other.close();
});

test("frozen: the link is given up in time, and the session goes on afterwards", async () => {
  const feed = new Feed("frozen");
  const { tab, events } = await openTab(feed.name);
  await feed.publish(5);
  // Browsers freeze what is hidden.
  const other = await tabs.open(`${site.url}elsewhere.html`);
  await tab.until(() => document.visibilityState === "hidden");
  await tab.freeze("frozen");
  await until(() => events.length > 0);
  await feed.publish(5);
  await tab.freeze("active");
  await tab.show();
  await feed.complete(tab);
  expect(await statesOf(tab)).toEqual(["open", "reconnecting", "open"]);
  expect(events).toEqual(["detached 4001 the page was frozen", "resumed"]);
  await other.close();
});

test("left and come back to: the page is kept, and its session goes on", async () => {
  const feed = new Feed("kept");
  const { tab, events } = await openTab(feed.name);
  await feed.publish(5);
  await feed.complete(tab);
  await tab.goto(`${site.url}elsewhere.html`);
  await until(() => events.length > 0);
  await feed.publish(5);
  await tab.evaluate(() => history.back());
  // A page that was loaded anew would have nothing in its hands.
  await tab.until(() => globalThis.kit?.kept.numbers.length >= 5);
  await feed.complete(tab);
  expect(await statesOf(tab)).toEqual(["open", "reconnecting", "open"]);
  expect(events).toEqual(["detached 4001 the page was left", "resumed"]);
});
