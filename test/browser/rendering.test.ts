// Thousands of messages do not keep a page from being painted. Each case runs in two pages: one in which the client has
// what it takes to let painting go between messages, and one in which it has not.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launchChromium } from "../demo/chromium.js";
import { echoRoutes } from "../support/echo.js";
import { Notes, topicRoutes } from "../support/topics.js";
import type {} from "./page/kit.js";
import { kitFiles, openPage, openSite, type Site } from "./site.js";

/** Messages, on each of which the page works for a millisecond. */
const MESSAGES = 1_000;

/** Publications, the same: those of one packet keep the page busy for several frames. */
const PUBLICATIONS = 2_000;

let site: Site;
let browser: Browser;
let sliced: Page;
let unsliced: Page;
const faults: string[] = [];

beforeAll(async () => {
  browser = await launchChromium();
  site = await openSite(await kitFiles(), {
    routes(router) {
      topicRoutes(router);
      echoRoutes()(router);
    },
  });
  const open = async (script: string) => {
    const opened = await openPage(browser, site.url, script + tools);
    opened.page.on("close", () => faults.push(...opened.faults));
    return opened.page;
  };
  sliced = await open("");
  unsliced = await open("delete globalThis.MessageChannel;");
});

afterAll(async () => {
  await browser?.close();
  await site?.close();
  expect(faults).toEqual([]);
});

declare global {
  /** Keeps the page busy for a millisecond, as showing a message may. */
  var work: () => void;
  /** Begins to count frames; returns how many there were so far. */
  var countFrames: () => () => number;
}

const tools = `
  globalThis.work = () => {
    const end = performance.now() + 1;
    while (performance.now() < end);
    document.getElementById("text").textContent = String(end);
  };
  globalThis.countFrames = () => {
    let frames = 0;
    let counts = true;
    const frame = () => {
      if (!counts) return;
      frames++;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    return () => {
      counts = false;
      return frames;
    };
  };`;

/** Frames painted in each page while it was at work. */
async function compare(frames: (page: Page, name: string) => Promise<number>): Promise<void> {
  const without = await frames(unsliced, "unsliced");
  const within = await frames(sliced, "sliced");
  expect(within, `frames painted, where ${without} were without slices`).toBeGreaterThan(2 * without + 5);
}

test("thousands of publications of a topic", async () => {
  await compare(async (page, name) => {
    const notes = Notes(name);
    // Some are there before anybody is, the others come when they come.
    for (let number = 1; number <= PUBLICATIONS / 2; number++) await site.server.publish(notes, { number });
    const frames = page.evaluate(
      async ([name, count]) => {
        const connection = kit.connect(kit.url);
        const client = kit.createClient(kit.TopicService, connection);
        await connection.ready();
        const numbers: number[] = [];
        const painted = countFrames();
        for await (const { number } of client.watch({ name }, { topic: { last: count } })) {
          work();
          if (numbers.push(number) === count) break;
        }
        const frames = painted();
        await connection.close();
        if (numbers.some((number, index) => number !== index + 1)) throw new Error(`got ${numbers}`);
        return frames;
      },
      [name, PUBLICATIONS] as const,
    );
    for (let number = PUBLICATIONS / 2 + 1; number <= PUBLICATIONS; number++)
      await site.server.publish(notes, { number });
    return frames;
  });
});

test("answers to calls that were made at once", async () => {
  await compare((page) =>
    page.evaluate(async (count) => {
      const connection = kit.connect(kit.url);
      const client = kit.createClient(kit.EchoService, connection);
      await connection.ready();
      const painted = countFrames();
      const call = async (_: unknown, number: number) => {
        const { id } = await client.echo({ id: BigInt(number) });
        work();
        return id === BigInt(number);
      };
      const right = await Promise.all(Array.from({ length: count }, call));
      const frames = painted();
      await connection.close();
      if (right.includes(false)) throw new Error("an answer to another call");
      return frames;
    }, MESSAGES),
  );
});

test("messages that waited for their reader", async () => {
  await compare((page) =>
    page.evaluate(async (count) => {
      const connection = kit.connect(kit.url);
      const client = kit.createClient(kit.EchoService, connection);
      const replies = client.repeat({ count })[Symbol.asyncIterator]();
      const numbers = [(await replies.next()).value.number];
      // The messages are there when the answer to a call is that was made after them.
      await client.echo({});
      await client.echo({});
      const painted = countFrames();
      for (let reply = await replies.next(); reply.done !== true; reply = await replies.next()) {
        work();
        numbers.push(reply.value.number);
      }
      const frames = painted();
      await connection.close();
      if (numbers.length !== count || numbers.some((number, index) => number !== index + 1))
        throw new Error(`got ${numbers}`);
      return frames;
    }, MESSAGES),
  );
});

test("a reader that leaves, and a call that fails, while messages wait for their turn", async () => {
  const result = await sliced.evaluate(async (count) => {
    const connection = kit.connect(kit.url);
    const client = kit.createClient(kit.EchoService, connection);
    const read = async (signal: AbortSignal, leaveAt: number, abort: () => void) => {
      let got = 0;
      try {
        for await (const { number } of client.repeat({ count }, { signal })) {
          work();
          got++;
          if (number === leaveAt) break;
          if (number === 50) abort();
        }
        return `left after ${got}`;
      } catch (error) {
        return `${kit.RpcError.from(error).code === kit.Code.Canceled} after ${got}`;
      }
    };
    const control = new AbortController();
    const both = await Promise.all([
      read(new AbortController().signal, 40, () => undefined),
      read(control.signal, count, () => control.abort()),
    ]);
    const { callsInFlight } = connection;
    await connection.close();
    return { both, callsInFlight };
  }, MESSAGES);
  expect(result).toEqual({ both: ["left after 40", "true after 50"], callsInFlight: 0 });
});
