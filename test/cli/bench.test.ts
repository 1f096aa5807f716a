// `hawser bench` as a process, against servers in processes of their own.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Report } from "../../src/cli/bench/report.js";
import { until } from "../support/until.js";
import { hawser, start, startServer, type TestServer } from "./hawser.js";
import { openTap } from "./tap.js";

const ECHO = "hawser.test.v1.EchoService";

let server: TestServer;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "hawser-cli-"));
  server = await startServer();
});

afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

const short = ["--duration", "300ms", "--warm-up", "50ms", "-c", "3", "-i", "4"];

async function report(...args: string[]): Promise<Report> {
  const { code, stdout, stderr } = await hawser("bench", server.url, ...args, ...short, "--json");
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout) as Report;
}

describe("hawser bench", () => {
  test("prints throughput, latencies and what was corrected", async () => {
    const { code, stdout, stderr } = await hawser(
      "bench",
      server.url,
      `${ECHO}/Echo`,
      "-d",
      '{"id": "7", "name": "ada"}',
      ...short,
    );
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain(`${ECHO}/Echo (unary) at ${server.url}`);
    expect(stdout).toContain(
      "3 connections, closed loop, 4 in flight on each; 300 ms after 50 ms of warm-up",
    );
    expect(stdout).toMatch(/^calls +[\d,]+ +[\d,.]+ calls\/s$/m);
    expect(stdout).toMatch(/^errors +0$/m);
    expect(stdout).toMatch(/^latency +as measured +corrected$/m);
    for (const row of ["mean", "p50", "p99", "p99.99", "max"])
      expect(stdout).toMatch(new RegExp(`^  ${row.replace(".", "\\.")}( +[\\d.]+ (µs|ms|s)){2}$`, "m"));
    expect(stdout).toContain("each of the 12 places waits for its answer");
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(115);
  });

  test("gives all figures as JSON", async () => {
    const unary = await report(`${ECHO}/Echo`);
    expect(unary).toMatchObject({
      url: server.url,
      method: `${ECHO}/Echo`,
      kind: "unary",
      connections: 3,
      inFlight: 4,
      rate: null,
      failed: 0,
      errors: {},
      messages: null,
      correction: { by: "interval" },
      interrupted: false,
      connectionEvents: { resumed: 0, lost: 0, down: 0 },
    });
    expect(unary.calls).toBeGreaterThan(50);
    expect(unary.succeeded).toBe(unary.calls);
    expect(unary.latencyMicros?.count).toBe(unary.calls);
    const { p50, p99, max } = unary.correctedMicros ?? { p50: 0, p99: 0, max: 0 };
    expect(0 < p50 && p50 <= p99 && p99 <= max).toBe(true);
    expect(unary.histogram).toMatch(/^HIST[\w+/=]+$/);
  });

  test("keeps to a rate, and counts from the moment that a call was due", async () => {
    const open = await report(`${ECHO}/Echo`, "--rate", "400");
    expect(open.correction).toEqual({ by: "due" });
    expect(open.rate).toBe(400);
    expect(open.calls + open.unsent).toBeGreaterThanOrEqual(119);
    expect(open.calls + open.unsent).toBeLessThanOrEqual(121);
    expect(open.correctedMicros?.max).toBeGreaterThanOrEqual(open.lateMicros?.max ?? 0);
  });

  test.each([
    ["Repeat", '{"count": 20, "body": "aGk="}', "server_streaming", 20],
    ["Converse", '{"number": 1}{"number": 2}\n{"number": 3}', "bidi_streaming", 3],
  ])("counts the messages of %s", async (method, data, kind, perCall) => {
    const streams = await report(`${ECHO}/${method}`, "-d", data);
    expect(streams.kind).toBe(kind);
    expect(streams.calls).toBeGreaterThan(5);
    expect(streams.messages).toBeGreaterThan(streams.calls * perCall * 0.8);
    expect(streams.firstMessageMicros?.count).toBeGreaterThan(5);
  });

  test("calls methods that take a stream with all messages, others with each in turn", async () => {
    expect((await report(`${ECHO}/Collect`, "-d", '{"number": 1} {"number": 2}')).failed).toBe(0);
    const file = join(folder, "requests.json");
    writeFileSync(file, '{"name": "ada"}\n{"name": "missing"}\n');
    const turns = await report(`${ECHO}/Echo`, "-d", `@${file}`);
    const { count = 0, message } = turns.errors["NOT_FOUND"] ?? {};
    expect(message).toBe("there is no such name");
    expect(Math.abs(count - turns.succeeded)).toBeLessThan(30);
  });

  /** Calls are under way when this much has passed. */
  const MANY_BYTES = 50_000;

  test("ends at Ctrl-C, with the results so far", async () => {
    const tap = await openTap(server.url);
    const run = start(["bench", tap.url, `${ECHO}/Echo`, "--warm-up", "0s", "--duration", "10m", "--json"]);
    await until(() => tap.bytes > MANY_BYTES);
    run.child.kill("SIGINT");
    const { code, stdout } = await run.ended;
    await tap.close();
    expect(code).toBe(130);
    const { interrupted, calls, durationMs, callsPerSecond } = JSON.parse(stdout) as Report;
    expect(interrupted).toBe(true);
    expect(calls).toBeGreaterThan(10);
    expect(durationMs).toBeLessThan(600_000);
    expect(callsPerSecond).toBeGreaterThan(0);
  });

  test("goes on when the server breaks down and comes back", async () => {
    const first = await startServer();
    const second = await startServer();
    const tap = await openTap(first.url);
    const load = ["--warm-up", "0s", "--duration", "10m", "--timeout", "500ms", "-c", "2", "--json"];
    const run = start(["bench", tap.url, `${ECHO}/Echo`, ...load]);
    await until(() => tap.bytes > MANY_BYTES);
    tap.aim(second.url);
    await first.close();
    const before = tap.bytes;
    await until(() => tap.bytes > before + MANY_BYTES);
    run.child.kill("SIGINT");
    const { stdout } = await run.ended;
    await Promise.all([tap.close(), second.close()]);
    const { errors, calls, succeeded, connectionEvents } = JSON.parse(stdout) as Report;
    expect(succeeded).toBeGreaterThan(0);
    expect(calls).toBeGreaterThan(succeeded);
    for (const code of Object.keys(errors)) expect(["UNAVAILABLE", "DEADLINE_EXCEEDED"]).toContain(code);
    expect(connectionEvents.resumed).toBe(0);
    expect(connectionEvents.lost + connectionEvents.down).toBe(2);
  });
});

describe("it says what is wrong", () => {
  test("when all calls fail", async () => {
    const { code, stdout } = await hawser(
      "bench",
      server.url,
      `${ECHO}/Echo`,
      "-d",
      '{"name":"missing"}',
      ...short,
    );
    expect(code).toBe(1);
    expect(stdout).toMatch(/^ {2}NOT_FOUND +[\d,]+ +there is no such name$/m);
    expect(stdout).toContain("no call came to its end");
  });

  test("when there is no server", async () => {
    const port = await new Promise<number>((resolve) => {
      const probe = createServer().listen(0, "127.0.0.1", () => {
        const { port } = probe.address() as AddressInfo;
        probe.close(() => resolve(port));
      });
    });
    const { code, stdout, stderr } = await hawser("bench", `127.0.0.1:${port}`, `${ECHO}/Echo`);
    expect([code, stdout]).toEqual([112, ""]);
    expect(stderr).toBe(
      `hawser: UNAVAILABLE: cannot connect to ws://127.0.0.1:${port}/rpc: connect ECONNREFUSED 127.0.0.1:${port} (1006)\n`,
    );
  });

  test("when the server takes some connections only", async () => {
    const small = await startServer({ SERVER_MAX_CONNECTIONS: "5" });
    const { code, stderr } = await hawser("bench", small.url, `${ECHO}/Echo`, "-c", "20");
    await small.close();
    expect(code).toBe(112);
    expect(stderr).toMatch(
      /^hawser: UNAVAILABLE: connection \d+ of 20: cannot connect to .*: the server answered HTTP 503 instead of a WebSocket \(\d+\)\n$/,
    );
  });

  test("when credentials are missing or wrong, and not when they are right", async () => {
    const guarded = await startServer({ SERVER_TOKEN: "secret" });
    const bench = ["bench", guarded.url, `${ECHO}/Echo`, ...short];
    const none = await hawser(...bench);
    expect(none.code).toBe(128);
    expect(none.stderr).toContain("UNAUTHENTICATED: the server closed the connection: who are you?");
    const file = join(folder, "token");
    writeFileSync(file, "secret\n");
    expect((await hawser(...bench, "--token", `@${file}`)).code).toBe(0);
    expect((await start(bench, { env: { HAWSER_TOKEN: "secret" } }).ended).code).toBe(0);
    await guarded.close();
  });

  test.each([
    [["bench"], /^Error: Expected a `URL`/],
    [
      ["bench", "x", "y", "--connections", "0"],
      /^Error: .*`--connections`.* greater than or equal to 1, but got "0"\.$/,
    ],
    [
      ["bench", "x", "y", "--duration", "10"],
      /^Error: .*"10" is no length of time, such as 500ms, 30s or 2m/,
    ],
    [
      ["bench", "http://[", "y"],
      /^Error: .*"http:\/\/\[" is no URL of a server, such as ws:\/\/localhost:8080\/rpc/,
    ],
    [["bench", "x", "y", "--nonsense"], /^Error: Unexpected option or subcommand: `--nonsense`\.$/],
    [["benhc"], /^Error: Unexpected option or subcommand: `benhc`\./],
  ])("when the arguments are %j", async (args, expected) => {
    const { code, stdout, stderr } = await hawser(...args);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr.trim()).toMatch(new RegExp(expected.source, "s"));
  });

  test.each([
    [[`${ECHO}/Nope`], `${ECHO} has no method Nope; it has Echo, Repeat, Collect, Converse`],
    [["Echo"], '"Echo" is no method; name one as package.Service/Method'],
    [
      ["no.Such/Method"],
      "there is no service no.Such; the services are grpc.health.v1.Health, grpc.reflection.v1",
    ],
    [[`${ECHO}/Echo`, "-d", '{"nmae": 1}'], "-d: message 1 is no hawser.test.v1.EchoRequest: cannot decode"],
    [[`${ECHO}/Echo`, "-d", "{"], "-d: message 1 is no hawser.test.v1.EchoRequest: "],
    [[`${ECHO}/Echo`, "-d", "@nowhere"], "-d @nowhere cannot be read: ENOENT"],
    [[`${ECHO}/Echo`, "-d", " "], "-d   holds no message"],
    [[`${ECHO}/Echo`, "-H", "x"], '-H "x" is no header, such as "name: value"'],
    [[`${ECHO}/Echo`, "--cacert", "nowhere"], "--cacert: nowhere cannot be read: ENOENT"],
  ])("when %j names something that is not there", async (args, expected) => {
    const { code, stdout, stderr } = await hawser("bench", server.url, ...args);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(`hawser: ${expected}`);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});
