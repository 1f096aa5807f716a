// One byte of a conversation arrives as another one: every byte in turn, in both directions.
//
// TLS notices each of them, so that nobody may notice anything: results are right, and handlers run once. Without TLS, a
// WebSocket has no checksum: a byte that is wrong within a payload is what was said, for all that anybody can tell. All
// else must hold there too: each exchange has an outcome, nothing hangs, nothing goes unhandled, and the next client is
// served as if nothing had happened.
import { createServer as createHttpsServer, type Server as HttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { type ConnectOptions, codeName, connect, createClient, RpcError } from "../../src/client/index.js";
import { createServer, type Server } from "../../src/server/index.js";
import { createFaultProxy, type Direction } from "../../src/testing/index.js";
import { selfSigned } from "../support/certificate.js";
import { Executions, echoRoutes, exchange, expectedResult } from "../support/echo.js";
import { inLanes } from "../support/lanes.js";

/** Exchanges that run side by side. */
const LANES = 24;
/** Both upgrades are shorter than this, and the conversation proper begins behind them: all of it is looked at. */
const LEAST_BYTES = 400;

const executions = new Executions();
const logged: unknown[] = [];
const trusted = getCACertificates("default");
let plain: Server;
let secured: Server;
let https: HttpsServer;
const ports = { plain: 0, secured: 0 };

beforeAll(async () => {
  const log = (message: string, ...details: unknown[]) => logged.push([message, ...details]);
  const server = () =>
    createServer({ routes: echoRoutes(executions), ackDelayMs: 5, logger: { warn: log, error: log } });
  plain = server();
  ports.plain = (await plain.listen({ port: 0, host: "127.0.0.1" })).port;
  const certificate = selfSigned();
  setDefaultCACertificates([...trusted, certificate.cert]);
  https = createHttpsServer(certificate);
  secured = server();
  secured.attach(https, { path: "/rpc" });
  await new Promise<void>((resolve) => https.listen(0, "127.0.0.1", resolve));
  ports.secured = (https.address() as AddressInfo).port;
});

afterAll(async () => {
  await plain.close();
  await secured.close();
  await new Promise((resolve) => https.close(resolve));
  setDefaultCACertificates(trusted);
});

const options: ConnectOptions = {
  ackDelayMs: 5,
  // A wrong length makes one side wait for bytes that never come: silence has to give it away.
  pingIntervalMs: 100,
  pingTimeoutMs: 400,
  handshakeTimeoutMs: 1_000,
  reconnect: { initialDelayMs: 1, maxDelayMs: 20 },
};

type Outcome = "right" | "wrong" | RpcError;

interface Run {
  readonly outcome: Outcome;
  /** What should not be, whatever the outcome. */
  readonly faults: readonly string[];
  /** Bytes of the first link. */
  readonly passed: Readonly<Record<Direction, number>>;
}

/** One client, one exchange; one byte of its first link is inverted. */
async function run(tag: string, port: number, direction: Direction, after: number): Promise<Run> {
  const proxy = await createFaultProxy({
    target: { port },
    plan: (connection) => (connection === 1 ? { direction, after, how: "corrupt" } : undefined),
  });
  const scheme = port === ports.secured ? "wss" : "ws";
  const connection = connect(`${scheme}://localhost:${proxy.port}/rpc`, options);
  const client = createClient(EchoService, connection);
  const faults: string[] = [];
  let outcome: Outcome = "right";
  try {
    // A wrong byte may make an answer one to another call; that its call ends is up to its deadline.
    const result = await Promise.race([exchange(client, tag), client.collect(never(), { timeoutMs: 5_000 })]);
    if (!sameResult(result, expectedResult(tag))) outcome = "wrong";
  } catch (error) {
    if (error instanceof RpcError) outcome = error;
    else faults.push(`an error that is no RpcError: ${String(error)}`);
  }
  await connection.close();
  if (connection.callsInFlight !== 0) faults.push(`${connection.callsInFlight} calls are left`);
  await proxy.close();
  return { outcome, faults, passed: proxy.passed[0] ?? { up: 0, down: 0 } };
}

function sameResult(result: unknown, expected: unknown): boolean {
  const [was, should] = [result, expected].map((value) =>
    JSON.stringify(value, (_key, item) => (typeof item === "bigint" ? `${item}n` : item)),
  );
  return was === should;
}

/** A stream that sends nothing. */
async function* never(): AsyncGenerator<{ number: number }> {
  await new Promise(() => undefined);
  yield { number: 0 };
}

/** Tags have one length, so that all runs of a sweep have the same bytes. */
let runs = 0;
const nextTag = () => `run${String(++runs).padStart(6, "0")}`;

/** Runs an exchange for every byte of a direction. Gives outcomes by name, and what should not be. */
async function sweep(
  port: number,
  direction: Direction,
  check: (tag: string, outcome: Outcome) => string | undefined,
): Promise<{ readonly total: number; readonly outcomes: ReadonlyMap<string, number> }> {
  const recorded = await run(nextTag(), port, direction, Number.POSITIVE_INFINITY);
  expect(recorded).toMatchObject({ outcome: "right", faults: [] });
  const total = recorded.passed[direction];
  expect(total).toBeGreaterThan(LEAST_BYTES);
  const faults: string[] = [];
  const outcomes = new Map<string, number>();
  await inLanes(
    LANES,
    Array.from({ length: total }, (_, after) => async () => {
      const tag = nextTag();
      const done = await run(tag, port, direction, after);
      const name = done.outcome instanceof RpcError ? codeName(done.outcome.code) : done.outcome;
      outcomes.set(name, (outcomes.get(name) ?? 0) + 1);
      const fault = check(tag, done.outcome);
      for (const found of [...done.faults, ...(fault === undefined ? [] : [fault])])
        faults.push(`byte ${after} ${direction}: ${found}`);
    }),
  );
  expect(faults).toEqual([]);
  expect(logged).toEqual([]);
  // The server is none the worse for it.
  expect(await run(nextTag(), port, direction, Number.POSITIVE_INFINITY)).toMatchObject({ outcome: "right" });
  return { total, outcomes };
}

const told = ({ total, outcomes }: { total: number; outcomes: ReadonlyMap<string, number> }) =>
  `${total} bytes: ${[...outcomes].map(([name, times]) => `${times} ${name}`).join(", ")}`;

describe.each<Direction>(["up", "down"])("a wrong byte on the way %s", (direction) => {
  test("is noticed by TLS, and by nobody else", async ({ annotate }) => {
    const result = await sweep(ports.secured, direction, (tag, outcome) => {
      const ran = JSON.stringify(executions.of(tag));
      if (outcome !== "right") return String(outcome);
      return ran === '{"echo":1,"repeat":1,"collect":1,"converse":1}' ? undefined : `executed ${ran}`;
    });
    await annotate(told(result));
  }, 180_000);

  test("without TLS spoils one exchange at most, and hangs none", async ({ annotate }) => {
    const result = await sweep(ports.plain, direction, () => undefined);
    await annotate(told(result));
    // The upgrade and what is said of the session are made good on another link.
    expect(result.outcomes.get("right")).toBeGreaterThan(result.total / 4);
  }, 180_000);
});
