// Pictures of the inspector's page in a real browser, for the docs and for the test that makes sure they can be taken.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import type { World } from "./world.js";

/** What is taken: names of files without light or dark, and views of the page. */
export const VIEWS: Readonly<Record<string, string>> = {
  overview: "#/overview",
  connections: "#/connections",
  calls: "#/calls",
  topic: "#/topics/notes.market.ACME",
  call: "#/call/hawser.test.v1.EchoService/Repeat",
};

/** Opens the page, signed in. Whatever goes wrong in it is added to `faults`. */
export async function openInspector(
  browser: Browser,
  world: Pick<World, "page">,
  faults: string[],
  options: { width?: number; height?: number; colorScheme?: "light" | "dark"; credentials?: string } = {},
): Promise<Page> {
  const { width = 1280, height = 860, colorScheme = "light", credentials = "ada" } = options;
  const page = await browser.newPage({ viewport: { width, height }, colorScheme, deviceScaleFactor: 1 });
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text());
  });
  await page.goto(world.page);
  await page.fill("input[type=password]", credentials);
  await page.keyboard.press("Enter");
  await page.waitForSelector("header nav");
  return page;
}

/** Goes to a view of the page. */
export async function go(page: Page, place: string): Promise<void> {
  await page.evaluate((hash) => {
    location.hash = hash;
  }, place);
  await page.waitForFunction((hash) => location.hash === hash, place);
}

/**
 * Takes a picture of each view, light and dark.
 *
 * @param atLeast seconds that the charts show before
 * @returns the files
 */
export async function takeScreenshots(
  browser: Browser,
  world: World,
  folder: string,
  atLeast: number,
  faults: string[],
): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const files: string[] = [];
  for (const colorScheme of ["light", "dark"] as const) {
    const page = await openInspector(browser, world, faults, { colorScheme });
    await page.waitForFunction(
      (seconds) => Number(document.querySelector("[data-samples]")?.getAttribute("data-samples")) >= seconds,
      atLeast,
      { timeout: 120_000 },
    );
    for (const [name, hash] of Object.entries(VIEWS)) {
      await go(page, hash);
      if (name === "call") {
        await page.fill("textarea >> nth=0", '{\n  "count": 3,\n  "body": "aGF3c2Vy"\n}');
        await page.click("button.primary");
        await page.waitForSelector(".messages li");
        await page.waitForSelector(".outcome .badge");
      } else if (name === "overview") await page.waitForSelector(".events li");
      else await page.waitForSelector("tbody td:not(.none)");
      // Charts are drawn in the frame after.
      await page.evaluate(
        () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))),
      );
      const file = join(folder, `inspector-${name}-${colorScheme}.png`);
      await page.screenshot({ path: file });
      files.push(file);
    }
    await page.close();
  }
  return files;
}
