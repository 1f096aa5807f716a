// The built package in the runtimes that docs/browser.md names. `.ci/setup.ts` installs them.
import { execFile } from "node:child_process";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { transform } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { folderWithPackage } from "../support/built-package.js";

const run = promisify(execFile);

const installed = (path: string) => resolve("test/runtimes/programs/node_modules", path);

/** What each says of itself, and how it runs a program. */
const RUNTIMES: readonly (readonly [string, string, ...string[]])[] = [
  ["node 22", installed("node-22/bin/node")],
  ["node 24", "node"],
  ["node 26", installed("node-26/bin/node")],
  ["bun 1", installed(".bin/bun")],
  ["deno 2", installed(".bin/deno"), "run", "--allow-all", "--no-lock"],
];

let folder: string;

beforeAll(async () => {
  folder = await folderWithPackage("runtimes");
  cpSync("test/runtimes/smoke.mjs", join(folder, "smoke.mjs"));
  const generated = readFileSync("gen/hawser/test/v1/echo_pb.ts", "utf8");
  writeFileSync(join(folder, "echo_pb.js"), (await transform(generated, { loader: "ts" })).code);
});

afterAll(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

test.each(RUNTIMES)("client and server on %s", async (name, program, ...args) => {
  const { stdout } = await run(program, [...args, "smoke.mjs"], { cwd: folder });
  const { runtime, ...result } = JSON.parse(stdout);
  expect(runtime.startsWith(`${name}.`), runtime).toBe(true);
  expect(result).toEqual({
    unary: "hello",
    large: true,
    server: [1, 2, 3],
    client: [1, 2, 3],
    bidi: [1, 2, 3, 4],
    resumed: true,
  });
});

test("the folder of runtimes names exact versions", () => {
  const { dependencies } = JSON.parse(readFileSync("test/runtimes/programs/package.json", "utf8"));
  for (const version of Object.values(dependencies)) expect(version).toMatch(/^(npm:node@)?\d+\.\d+\.\d+$/);
});
