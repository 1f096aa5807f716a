// The link is cut at every byte of an exchange of all four kinds, in both directions. Nobody may notice.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { type ConnectOptions, connect, createClient } from "../../src/client/index.js";
import { createServer, type Server } from "../../src/server/index.js";
import {
  type BreakKind,
  createFaultProxy,
  type Direction,
  type PlannedBreak,
} from "../../src/testing/index.js";
import { Executions, echoRoutes, exchange, expectedResult } from "../support/echo.js";
import { inLanes } from "../support/lanes.js";

/** Exchanges that run side by side. */
const LANES = 24;

const executions = new Executions();
let server: Server;
let port = 0;

beforeAll(async () => {
  server = createServer({ routes: echoRoutes(executions), ackDelayMs: 5 });
  ({ port } = await server.listen({ port: 0, host: "127.0.0.1" }));
});

afterAll(() => server.close());

const options: ConnectOptions = {
  ackDelayMs: 5,
  reconnect: { initialDelayMs: 1, maxDelayMs: 8 },
};

interface Run {
  readonly breaks: number;
  /** Bytes by link. */
  readonly passed: readonly Readonly<Record<Direction, number>>[];
  /** What was not as if nothing had happened. */
  readonly faults: readonly string[];
}

/** One client, one exchange over a link of its own that breaks as planned. */
async function run(tag: string, plan: (connection: number) => PlannedBreak | undefined): Promise<Run> {
  const link = await createFaultProxy({ target: { port: port }, plan });
  const connection = connect(link.url, options);
  const faults: string[] = [];
  const off = connection.on("lost", () => faults.push("the session was lost"));
  try {
    const result = await exchange(createClient(EchoService, connection), tag);
    const [was, expected] = [result, expectedResult(tag)].map((value) =>
      JSON.stringify(value, (_key, item) => (typeof item === "bigint" ? Number(item) : item)),
    );
    if (was !== expected) faults.push(`${was} instead of ${expected}`);
    const ran = JSON.stringify(executions.of(tag));
    if (ran !== '{"echo":1,"repeat":1,"collect":1,"converse":1}') faults.push(`executed ${ran}`);
    if (connection.callsInFlight !== 0) faults.push(`${connection.callsInFlight} calls are left`);
  } catch (error) {
    faults.push(String(error));
  }
  off();
  await connection.close();
  await link.close();
  return { breaks: link.breaks, passed: link.passed, faults };
}

/** Tags have one length, so that all runs of a sweep have the same bytes. */
let runs = 0;
const nextTag = () => `run${String(++runs).padStart(6, "0")}`;

/** Runs an exchange for every number of bytes after which a link can break. Gives the number of bytes and of breaks. */
async function sweep(
  direction: Direction,
  plan: (after: number) => (connection: number) => PlannedBreak | undefined,
  bytes: (recorded: Run) => number,
): Promise<{ readonly total: number; readonly breaks: number }> {
  const recorded = await run(nextTag(), plan(Number.POSITIVE_INFINITY));
  const total = bytes(recorded);
  const faults = [...recorded.faults];
  let breaks = 0;
  await inLanes(
    LANES,
    Array.from({ length: total }, (_, after) => async () => {
      const done = await run(nextTag(), plan(after));
      breaks += done.breaks - recorded.breaks;
      for (const fault of done.faults) faults.push(`cut ${direction} after ${after} bytes: ${fault}`);
    }),
  );
  expect(faults).toEqual([]);
  // Nothing of the calls is left on the server either.
  expect([...server.sessions].filter((session) => session.callsInFlight > 0)).toEqual([]);
  // Some acknowledgements come by time: a run may end a few bytes before the recorded one did, and is not cut then.
  expect(breaks).toBeGreaterThan(total - 32);
  return { total, breaks };
}

describe.each<Direction>(["up", "down"])("a cut on the way %s", (direction) => {
  test.for<BreakKind>(["end", "reset"])("of the first link at every byte (%s)", async (how, { annotate }) => {
    const { total, breaks } = await sweep(
      direction,
      (after) => (connection) => (connection === 1 ? { direction, after, how } : undefined),
      (recorded) => recorded.passed[0]?.[direction] ?? 0,
    );
    expect(total).toBeGreaterThan(400);
    await annotate(`${total} offsets, ${breaks} cuts`);
  });

  test("of the link that resumes, at every byte", async ({ annotate }) => {
    const { total, breaks } = await sweep(
      direction,
      // The first link breaks when about half of the exchange is through.
      (after) => (connection) =>
        connection === 1
          ? { direction: "down", after: 300, how: "end" }
          : connection === 2
            ? { direction, after, how: "reset" }
            : undefined,
      (recorded) => recorded.passed[1]?.[direction] ?? 0,
    );
    expect(total).toBeGreaterThan(300);
    await annotate(`${total} offsets, ${breaks} cuts`);
  });
});

test("every link breaks, each some bytes later than the one before it", async ({ annotate }) => {
  const faults: string[] = [];
  let breaks = 0;
  await inLanes(
    LANES,
    Array.from({ length: 80 }, (_, index) => async () => {
      const done = await run(nextTag(), (connection) => ({
        direction: (connection + index) % 2 === 0 ? "up" : "down",
        after: 100 + index + 11 * connection,
        how: index % 3 === 0 ? "reset" : "end",
      }));
      breaks += done.breaks;
      for (const fault of done.faults) faults.push(`run ${index}: ${fault}`);
    }),
  );
  await annotate(`${breaks} cuts in 80 exchanges`);
  expect(faults).toEqual([]);
  expect(breaks).toBeGreaterThan(80 * 5);
});
