import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";

interface Report {
  readonly left: string[];
  readonly sessions: number;
}

test("close() leaves no handle and no timer behind: the process ends by itself", async () => {
  const path = fileURLToPath(new URL("../support/leaks-server.ts", import.meta.url));
  const child = fork(path, { execArgv: ["--import", "tsx"] });
  onTestFinished(() => void child.kill());
  const report = await new Promise<Report>((resolve, reject) => {
    child.once("message", (message) => resolve(message as Report));
    child.once("exit", (code) => reject(new Error(`it ended with ${code} before it said anything`)));
  });
  const code = await new Promise((resolve) => child.once("exit", resolve));
  expect(code).toBe(0);
  // What else there may be belongs to the channel between the processes.
  expect(report.left.filter((name) => /Timeout|Immediate|TCP/.test(name))).toEqual([]);
  expect(report.sessions).toBe(0);
});
