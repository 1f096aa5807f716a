import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { renderReport } from "../../src/bench/report/report.js";
import type { BenchResult } from "../../src/bench/result.js";
import { type Row, unitOf } from "../../src/bench/rows.js";
import { SCENARIOS } from "../../src/bench/scenarios.js";
import { launchChromium } from "../demo/chromium.js";

/** A figure for everything; it tells who, so that a mix-up shows. */
function rowsOf(): Row[] {
  return SCENARIOS.flatMap(({ name, headline, contenders }) =>
    contenders.flatMap((contender, index) =>
      [...new Set([headline, "callsPerSecond", "serverCpuMicrosPerCall"])].map((metric) => {
        const median = 1_000 * (index + 1) + metric.length;
        return {
          scenario: name,
          contender,
          metric,
          unit: unitOf(metric),
          median,
          min: median * 0.9,
          max: median * 1.1,
        };
      }),
    ),
  );
}

const found: BenchResult = {
  node: "v24.21.0",
  cpu: "a CPU </script><script>document.title = 'broken'</script>",
  cpus: 2,
  platform: "linux x64",
  date: "2026-11-21T10:00:00.000Z",
  quick: false,
  rounds: 3,
  contenders: { ws: "as it is", hawser: "with generated codecs" },
  failures: [],
  rows: rowsOf(),
};

describe("the report", () => {
  let browser: Browser;
  let url: string;
  const folder = mkdtempSync(join(tmpdir(), "hawser-report-"));

  beforeAll(async () => {
    const file = join(folder, "report.html");
    writeFileSync(file, await renderReport(found));
    url = pathToFileURL(file).href;
    browser = await launchChromium();
  });

  afterAll(async () => {
    await browser.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function open(
    width: number,
    colorScheme: "light" | "dark",
  ): Promise<{ page: Page; troubles: string[] }> {
    const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
    const troubles: string[] = [];
    page.on("pageerror", (error) => troubles.push(error.message));
    page.on("console", (message) => troubles.push(message.text()));
    page.on("request", (request) => {
      if (request.url() !== url) troubles.push(`asked for ${request.url()}`);
    });
    await page.goto(url);
    return { page, troubles };
  }

  it.each([
    [1_100, "light"],
    [1_100, "dark"],
    [390, "light"],
    [390, "dark"],
  ] as const)("draws every chart within %i pixels in %s, and asks for nothing", async (width, scheme) => {
    const { page, troubles } = await open(width, scheme);
    const charts = page.locator(".plot svg");
    const bars = SCENARIOS.filter(({ name, quick }) => quick || !name.startsWith("unary-")).length;
    await expect.poll(() => charts.count()).toBe(bars + 3);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
    for (const box of await Promise.all((await charts.all()).map((chart) => chart.boundingBox()))) {
      expect(box?.width).toBeGreaterThan(width * 0.7);
      expect(box?.height).toBeGreaterThan(60);
    }
    const plain = await page.evaluate(() => {
      const [r = 0, g = 0, b = 0] =
        getComputedStyle(document.body).backgroundColor.match(/\d+/g)?.map(Number) ?? [];
      return r + g + b;
    });
    expect(plain > 382).toBe(scheme === "light");
    expect(await page.title()).toBe("Hawser benchmarks");
    expect(troubles).toEqual([]);
    await page.close();
  });

  it("shows medians on the bars, another metric when asked, and the aims", async () => {
    const { page } = await open(1_100, "light");
    const figure = page.locator("figure", { has: page.locator("code", { hasText: /^unary-32B-64$/ }) });
    const texts = () => figure.locator("svg text").allTextContents();
    expect(await texts()).toEqual(expect.arrayContaining(["net", "ws", "hawser", "1,014", "2,014", "3,014"]));
    await figure.locator("select").selectOption("serverCpuMicrosPerCall");
    expect(await texts()).toEqual(expect.arrayContaining(["hawser", "3,022"]));
    const aim = page.locator("tr", { hasText: "unary-32B-64" }).first();
    expect(await aim.textContent()).toBe("unary-32B-64calls per secondhawser ÷ ws≥ 1.51.50✗ missed");
    await page.close();
  });

  it("changes its colours with the machine's", async () => {
    const { page } = await open(1_100, "light");
    const fill = () => page.locator(".plot svg text").first().getAttribute("fill");
    const before = await fill();
    await page.emulateMedia({ colorScheme: "dark" });
    await expect.poll(fill).not.toBe(before);
    await page.close();
  });
});
