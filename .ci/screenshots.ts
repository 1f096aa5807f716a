// Takes the pictures of the inspector for docs/images, in a real browser, and notes of which sources (test/inspector/pictures.test.ts
// compares). test/inspector/page.test.ts takes them too, into .tmp.
import { launchChromium } from "../test/demo/chromium.js";
import { pinPictures } from "../test/inspector/pictures.js";
import { takeScreenshots } from "../test/inspector/screenshots.js";
import { startWorld } from "../test/inspector/world.js";

/** Charts are to have something in them. */
const SECONDS = 55;

const faults: string[] = [];
const world = await startWorld(true);
const browser = await launchChromium();
try {
  for (const file of await takeScreenshots(browser, world, "docs/images", SECONDS, faults)) console.log(file);
} finally {
  await browser.close();
  await world.close();
}
if (faults.length > 0) {
  console.error(faults.join("\n"));
  process.exitCode = 1;
} else pinPictures();
