// The command line as users get it: from the packed package, in an empty folder.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer, type TestServer } from "./hawser.js";

const run = promisify(execFile);

/** What the package is built of. Built from a copy: other tests build it at the same time. */
const SOURCES = [
  ".ci",
  "docs",
  "gen",
  "proto",
  "src",
  "package.json",
  "tsconfig.json",
  "tsconfig.build.json",
];

let folder: string;
let user: string;
let server: TestServer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "hawser-package-"));
  user = join(folder, "user");
  const copy = join(folder, "copy");
  mkdirSync(copy);
  mkdirSync(user);
  const wanted = (path: string) => !path.includes("node_modules");
  for (const name of SOURCES) cpSync(name, join(copy, name), { recursive: true, filter: wanted });
  symlinkSync(resolve("node_modules"), join(copy, "node_modules"));
  await run("npm", ["pack", "--pack-destination", folder], { cwd: copy });
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "";
  await run("npm", ["init", "-y"], { cwd: user });
  await run("npm", ["install", join(folder, tarball)], { cwd: user });
  server = await startServer();
}, 300_000);

afterAll(async () => {
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

const shell = async (line: string) => (await run("bash", ["-euc", line], { cwd: user })).stdout;

describe("in an empty folder", () => {
  test("npx hawser calls, lists, describes and measures", async () => {
    const echo = `${server.url} hawser.test.v1.EchoService/Echo`;
    expect(await shell("npx hawser --version")).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(await shell(`npx hawser call ${echo} -d '{"name": "ada"}'`)).toBe('{"name":"ada"}\n');
    expect(await shell(`npx hawser list ${server.url}`)).toContain("hawser.test.v1.EchoService\n");
    expect(await shell(`npx hawser describe ${server.url} hawser.test.v1.Note`)).toContain("message Note {");
    const bench = await shell(`npx hawser bench ${echo} --duration 200ms --warm-up 0s -c 1 --json`);
    expect(JSON.parse(bench)).toMatchObject({ failed: 0, kind: "unary" });
    expect(await shell("npx hawser tune node_modules/hawser/package.json --quick")).toContain(
      "compression: ",
    );
  });

  test("bash completes commands, options, their values, and paths", async () => {
    const complete = async (...words: string[]) => {
      const quoted = words.map((word) => `'${word}'`).join(" ");
      const script = `
        PATH=$PWD/node_modules/.bin:$PATH
        eval "$(hawser completion bash)"
        COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; COMPREPLY=()
        _hawser
        printf '%s\\n' "\${COMPREPLY[@]}"`;
      return (await shell(script)).trim().split("\n");
    };
    expect(await complete("hawser", "")).toEqual(
      expect.arrayContaining(["call", "list", "describe", "subscribe", "bench", "tune", "demo"]),
    );
    expect(await complete("hawser", "sub")).toEqual(["subscribe"]);
    expect(await complete("hawser", "bench", "localhost", "M", "--conn")).toEqual([
      "--connections",
      "--connect-timeout",
    ]);
    expect(await complete("hawser", "call", "localhost", "M", "--token-in", "s")).toEqual(["subprotocol"]);
    expect(await complete("hawser", "list", "--schema", "pack")).toEqual([
      "package-lock.json",
      "package.json",
    ]);
  });

  test.each(["zsh", "fish"])("there is a script for %s", async (name) => {
    expect((await shell(`npx hawser completion ${name}`)).length).toBeGreaterThan(500);
  });

  test("the demonstration serves its page", async () => {
    const child = spawn("node_modules/.bin/hawser", ["demo", "--port", "0", "--cuts", "0"], {
      cwd: user,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let page = "";
    for await (const chunk of child.stdout.setEncoding("utf8")) {
      page = /page on (http:\S+)/.exec(String(chunk))?.[1] ?? page;
      if (page !== "") break;
    }
    for (const [path, type] of [
      ["", "text/html; charset=utf-8"],
      ["page.js", "text/javascript; charset=utf-8"],
      ["page.css", "text/css; charset=utf-8"],
    ] as const) {
      const response = await fetch(new URL(path, page));
      expect([path, response.status, response.headers.get("content-type")]).toEqual([path, 200, type]);
      expect((await response.text()).length).toBeGreaterThan(500);
    }
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  });
});
