// The chat in real pages: what two people see of each other, while connections break and pages are loaded again.
import { mkdir } from "node:fs/promises";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Chat, start } from "../../examples/chat/server.js";
import { launchChromium } from "../demo/chromium.js";

let chat: Chat;
let browser: Browser;
const contexts: BrowserContext[] = [];

beforeAll(async () => {
  chat = await start(0);
  browser = await launchChromium();
});

afterAll(async () => {
  await browser?.close();
  await chat?.close();
});

afterEach(async () => {
  for (const context of contexts.splice(0)) await context.close();
});

interface Person {
  readonly page: Page;
  readonly context: BrowserContext;
  readonly faults: string[];
  lines(): Promise<string[]>;
  say(text: string): Promise<void>;
}

/** Somebody enters a room. */
async function enter(
  name: string,
  room: string,
  look: { width: number; height: number; colorScheme: "light" | "dark" } = {
    width: 1200,
    height: 800,
    colorScheme: "light",
  },
): Promise<Person> {
  const { width, height, colorScheme } = look;
  const context = await browser.newContext({ viewport: { width, height }, colorScheme });
  contexts.push(context);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    // That a WebSocket could not be made while the page is offline is what the test is about.
    if (message.type() === "error" && !message.text().includes("WebSocket")) faults.push(message.text());
  });
  await page.goto(chat.url);
  await page.fill("#name", name);
  await page.fill("#room", room);
  await page.click("#enter button");
  await page.waitForFunction(() => document.getElementById("state")?.dataset["state"] === "open");
  return {
    page,
    context,
    faults,
    lines: () => page.locator("#lines .text").allTextContents(),
    async say(text) {
      await page.fill("#text", text);
      await page.press("#text", "Enter");
    },
  };
}

const hasLines = (page: Page, count: number) =>
  page.waitForFunction((count) => document.querySelectorAll("#lines .text").length >= count, count);
const shows = (page: Page, id: string, text: string) =>
  page.waitForFunction(
    ([id, text]) => document.getElementById(id!)?.textContent?.includes(text!),
    [id, text],
  );

/** Keeps a picture for the eye, when `SCREENSHOTS` names a folder. */
async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env["SCREENSHOTS"];
  if (folder === undefined || folder === "") return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: `${folder}/${name}.png` });
}

describe("two people in a room", () => {
  it("see what the other writes, that the other is there, and that the other is typing", async () => {
    const ada = await enter("Ada", "first");
    const bob = await enter("Bob", "first", { width: 390, height: 780, colorScheme: "dark" });
    await shows(ada.page, "members", "Bob");
    await shows(bob.page, "members", "Ada");
    expect(await ada.page.textContent("#count")).toBe("2");
    await bob.page.locator("#text").pressSequentially("Hel");
    await shows(ada.page, "typing", "Bob");
    await bob.say("Hello, <b>Ada</b>");
    await hasLines(ada.page, 1);
    // Text stays text.
    expect(await ada.lines()).toEqual(["Hello, <b>Ada</b>"]);
    expect(await ada.page.locator("#lines .text b").count()).toBe(0);
    await ada.say("Hi");
    await hasLines(bob.page, 2);
    await picture(ada.page, "chat-light");
    await picture(bob.page, "chat-dark-phone");
    await bob.context.close();
    contexts.splice(contexts.indexOf(bob.context), 1);
    await ada.page.waitForFunction(() => document.getElementById("count")?.textContent === "1");
    expect([...ada.faults, ...bob.faults]).toEqual([]);
  });

  it("miss nothing while they are offline, and what they wrote meanwhile goes out", async () => {
    const ada = await enter("Ada", "second");
    const bob = await enter("<i>Bob</i>", "second");
    await shows(ada.page, "members", "<i>Bob</i>");
    expect(await ada.page.locator("#members i").count()).toBe(0);
    await ada.say("0");
    await hasLines(bob.page, 1);
    await bob.context.setOffline(true);
    for (const session of chat.server.sessions) {
      // What stands already does not go away by itself in an emulated outage.
      if (session.identity?.id.includes("bob")) session.close(1001, "cut");
    }
    for (let i = 1; i <= 30; i++) await ada.say(String(i));
    await hasLines(ada.page, 31);
    await bob.say("from the dark");
    await bob.context.setOffline(false);
    await hasLines(bob.page, 32);
    await hasLines(ada.page, 32);
    const expected = [...Array.from({ length: 31 }, (_, i) => String(i)), "from the dark"];
    expect(await bob.lines()).toEqual(expected);
    expect(await ada.lines()).toEqual(expected);
    expect([...ada.faults, ...bob.faults]).toEqual([]);
  });

  it("go on after a reload, without doubles", async () => {
    const ada = await enter("Ada", "third");
    const bob = await enter("Bob", "third");
    for (let i = 0; i < 5; i++) await ada.say(String(i));
    await hasLines(bob.page, 5);
    await bob.page.reload();
    for (let i = 5; i < 8; i++) await ada.say(String(i));
    await hasLines(bob.page, 8);
    expect(await bob.lines()).toEqual(Array.from({ length: 8 }, (_, i) => String(i)));
    expect(await bob.page.locator("#lines .gap").count()).toBe(0);
    expect([...ada.faults, ...bob.faults]).toEqual([]);
  });
});
