import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, chromium, type LaunchOptions } from "playwright-core";

/** The flags keep the browser from talking to anybody but the page under test. */
export const FLAGS: readonly string[] = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Starts the Chromium that `.ci/setup.ts` has made sure of. */
export function launchChromium(options: LaunchOptions = {}): Promise<Browser> {
  return chromium.launch({ ...options, executablePath: chromiumPath(), args: [...FLAGS] });
}

/** Where it is. */
export function chromiumPath(): string {
  const named = process.env["CHROMIUM_BIN"];
  if (named !== undefined && named !== "") return named;
  for (const program of ["chromium", "chromium-browser", "google-chrome"]) {
    for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
      const path = join(folder, program);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // Not here; the next one may be.
      }
    }
  }
  throw new Error("these tests need chromium: run node .ci/setup.ts, or set CHROMIUM_BIN");
}
