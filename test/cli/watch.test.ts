// `hawser watch`, against a server with something going on.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { stripVTControlCharacters } from "node:util";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GetNodeResponseSchema, WatchResponseSchema } from "../../gen/hawser/inspect/v1/inspect_pb.js";
import { ORDERS } from "../../src/cli/watch/orders.js";
import { pictureOf } from "../../src/cli/watch/view.js";
import { startWorld, type World } from "../inspector/world.js";
import { until } from "../support/until.js";
import { hawser, start, startServer } from "./hawser.js";

let world: World;

beforeAll(async () => {
  world = await startWorld(true);
});

afterAll(async () => {
  await world?.close();
});

test("prints a look on each line as JSON", async () => {
  const { code, stdout, stderr } = await hawser(
    "watch",
    world.url,
    "--token",
    "ada",
    "--json",
    "-n",
    "2",
    "--interval",
    "300ms",
  );
  expect([code, stderr]).toEqual([0, ""]);
  const [first, second, ...rest] = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(rest).toEqual([]);
  expect(first.sessions.total).toBe(8);
  expect(first.sessions.sessions).toHaveLength(8);
  expect(first.topics.topics.map(({ name }: { name: string }) => name)).toContain("notes.market.ACME");
  expect(first.methods.methods[0].method).toBe("hawser.test.v1.EchoService/Echo");
  expect(first.calls.inFlight.length).toBeGreaterThan(5);
  expect(Date.parse(second.at)).toBeGreaterThan(Date.parse(first.at));
});

test("prints a line for each look where there is no terminal, until Ctrl-C", async () => {
  const run = start(["watch", world.url, "--token", "ada", "--interval", "250ms"]);
  await until(() => run.stdout().split("\n").length > 3);
  run.child.kill("SIGINT");
  const { code, stdout, stderr } = await run.ended;
  expect([code, stderr]).toEqual([0, ""]);
  for (const line of stdout.trim().split("\n"))
    expect(line).toMatch(/^\d\d:\d\d:\d\d {2}connections \d+ {2}in flight \d+ .*topics 3$/);
  expect(stdout).toMatch(/calls\/s [1-9]/);
});

test("says why it may not look", async () => {
  const denied = await hawser("watch", world.url, "--token", "grace");
  expect([denied.code, denied.stderr]).toEqual([
    56,
    "hawser: PERMISSION_DENIED: grace may not look into this server\n",
  ]);
  const plain = await startServer();
  const { code, stderr } = await hawser("watch", plain.url);
  await plain.close();
  expect(code).toBe(96);
  expect(stderr).toContain("the server has no inspector");
  expect(stderr).toContain('on your own machine, allow: "loopback" will do');
});

describe("on a terminal", () => {
  /** Runs a command on a terminal of its own, by util-linux' or BSD's `script`. */
  function onTerminal(args: readonly string[]) {
    const command = [process.execPath, "--import", "tsx", "src/cli/main.ts", ...args];
    // A pipe has no size that the new terminal could take over.
    const sized = `stty cols 120 rows 30; exec ${command.join(" ")}`;
    const line =
      process.platform === "linux" ? ["-qec", sized, "/dev/null"] : ["-q", "/dev/null", "sh", "-c", sized];
    const child = spawn("script", line, {
      env: {
        ...process.env,
        TERM: "xterm-256color",
        HAWSER_TOKEN: "ada",
        CI: "",
        NO_COLOR: "",
        FORCE_COLOR: "",
      },
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
    });
    return { child, output: () => output, ended: once(child, "close") };
  }

  const ESCAPE = "\u001b";
  const HIDE = "\u001b[?25l";
  const SHOW = "\u001b[?25h";

  test.each([
    ["q", "q"],
    ["Ctrl-C", "\u0003"],
  ])("shows one picture in one place, and gives the terminal back at %s", async (_, key) => {
    const { child, output, ended } = onTerminal(["watch", world.url, "--interval", "250ms"]);
    await until(() =>
      /Connections by traffic \(\d+\).*Topics \(3\)/s.test(stripVTControlCharacters(output())),
    );
    child.stdin.write("s");
    await until(() => stripVTControlCharacters(output()).includes("Connections by calls"));
    child.stdin.write(key);
    const [code] = await ended;
    expect(code).toBe(0);
    expect(output().lastIndexOf(SHOW)).toBeGreaterThan(output().lastIndexOf(HIDE));
    expect(output().indexOf(HIDE)).toBeGreaterThanOrEqual(0);
  });

  const node = create(GetNodeResponseSchema, { host: "host", process: 1 });
  const names = (count: number) => Array.from({ length: count }, (_, number) => `name-${number}`);
  const scene = (count: number) => ({
    url: "ws://localhost:8080/rpc",
    node,
    state: "open",
    samples: [{ spanMs: 1_000, callsEnded: 5, p50Ms: 1, p99Ms: 2 }],
    order: ORDERS[0],
    response: create(WatchResponseSchema, {
      sessions: { total: count, sessions: names(count).map((identity) => ({ identity })) },
      methods: { methods: names(count).map((method) => ({ method })) },
      topics: { total: count, topics: names(count).map((name) => ({ name })) },
    }),
  });

  test.each([
    [200, 60],
    [80, 24],
    [40, 24],
  ])("fits %d columns and %d lines, however much there is", (columns, rows) => {
    const picture = pictureOf(scene(50) as never, { columns, rows });
    const lines = stripVTControlCharacters(picture).split("\n");
    expect(lines.length).toBeLessThan(rows);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
    for (const title of ["Methods (50)", "Connections by traffic (50)", "Topics (50)"])
      expect(lines.some((line) => line.startsWith(title))).toBe(true);
  });

  test("gives nothing of what clients call themselves to the terminal as a command", () => {
    const evil = scene(1);
    evil.response.sessions!.sessions[0]!.identity = "\u001b]0;owned\u0007\u001b[2Jmallory\r\n\u009b31m";
    const picture = pictureOf(evil as never, { columns: 120, rows: 40 });
    expect(picture).toContain("mallory");
    // Colours of our own are all that is left.
    const rest = picture.replaceAll(new RegExp(`${ESCAPE}\\[\\d+m`, "g"), "").replaceAll("\n", "");
    expect(rest).not.toMatch(/\p{Cc}/u);
  });
});
