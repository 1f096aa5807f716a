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
  expect(report.left).toEqual([]);
  expect(report.sessions).toBe(0);
});
