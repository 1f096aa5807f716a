// A Connect client in a page has calls that go both ways, over the routes of a Connect service as they are.
import { createRouterTransport } from "@connectrpc/connect";
import { build } from "esbuild";
import { expect, it, onTestFinished } from "vitest";
import { connectRoutes } from "../../src/connectrpc/index.js";
import { openSite } from "../browser/site.js";
import { launchChromium } from "../demo/chromium.js";
import { dialogue, routes } from "./dialogue.js";
import type {} from "./page.js";

it("talks in turns with a Connect service from Chromium, as over Connect's transport in one process", async () => {
  const { outputFiles } = await build({
    entryPoints: ["test/connectrpc/page.ts"],
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    target: "es2022",
  });
  const files = new Map([
    [
      "/index.html",
      '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>',
    ],
    ["/page.js", outputFiles[0]!.text],
  ]);
  const site = await openSite(files, { routes: connectRoutes(routes) });
  onTestFinished(() => site.close());
  const browser = await launchChromium();
  onTestFinished(() => browser.close());
  const page = await browser.newPage();
  await page.goto(site.url);
  await page.waitForFunction(() => "talk" in globalThis);

  const seen = await page.evaluate(() => globalThis.talk());
  expect(seen).toEqual(["hello", "7", [3, "no id"], 2, 4, 8, 16, 32, 64, 128]);
  expect(seen).toEqual(await dialogue(createRouterTransport(routes)));
});
