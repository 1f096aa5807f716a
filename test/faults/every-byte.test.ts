import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { connect, createClient } from "../../src/client/index.js";
import { createServer, type Server } from "../../src/server/index.js";
import { type CutPlan, type Direction, startCutProxy } from "../support/cut-proxy.js";

/** Connections that are tried at the same time. */
const AT_ONCE = 48;
const MESSAGES = 3;

let server: Server;
let port: number;
/** How often each handler ran, by run and kind. */
const executions = new Map<string, number>();

function ran(kind: string, run: bigint | string): void {
  const key = `${kind} ${run}`;
  executions.set(key, (executions.get(key) ?? 0) + 1);
}

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

beforeAll(async () => {
  server = createServer({
    graceMs: 60_000,
    routes: (router) =>
      router.service(EchoService, {
        echo(request) {
          ran("unary", request.name);
          return { id: request.id, name: request.name, body: request.body };
        },
        async *repeat(request) {
          ran("server", text(request.body));
          for (let number = 1; number <= request.count; number++) yield { number, body: request.body };
        },
        async collect(requests) {
          const numbers: number[] = [];
          let run = "";
          for await (const request of requests) {
            numbers.push(request.number);
            run = text(request.body);
          }
          ran("client", run);
          return { numbers, bytes: BigInt(numbers.length) };
        },
        async *converse(requests) {
          let run = "";
          for await (const request of requests) {
            run = text(request.body);
            yield { number: request.number, body: request.body };
          }
          ran("bidi", run);
        },
      }),
  });
  ({ port } = await server.listen({ port: 0, host: "127.0.0.1" }));
});

afterAll(() => server.close());

async function* numbered(run: string) {
  for (let number = 1; number <= MESSAGES; number++) {
    yield { number, body: bytes(run) };
    // Each message goes out in a packet of its own.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const ALL = Array.from({ length: MESSAGES }, (_, i) => i + 1);

/** The exchange: all four kinds side by side, over a link that breaks as planned. */
async function exchange(run: string, plan: CutPlan | undefined) {
  const proxy = await startCutProxy(port, plan);
  const connection = connect(`ws://127.0.0.1:${proxy.port}/rpc`, {
    reconnect: { initialDelayMs: 1, maxDelayMs: 5 },
    ackDelayMs: 5,
    ackTimeoutMs: 20_000,
  });
  let lost = 0;
  connection.on("lost", () => lost++);
  const echo = createClient(EchoService, connection);
  const server = async () => {
    const numbers: number[] = [];
    for await (const { number, body } of echo.repeat({ count: MESSAGES, body: bytes(run) })) {
      expect(text(body)).toBe(run);
      numbers.push(number);
    }
    return numbers;
  };
  const bidi = async () => {
    const numbers: number[] = [];
    for await (const { number } of echo.converse(numbered(run))) numbers.push(number);
    return numbers;
  };
  try {
    const [unary, repeated, collected, conversed] = await Promise.all([
      echo.echo({ id: 7n, name: run, body: bytes("payload") }),
      server(),
      echo.collect(numbered(run)),
      bidi(),
    ]);
    expect(unary.name).toBe(run);
    expect(unary.id).toBe(7n);
    expect(repeated).toEqual(ALL);
    expect(collected.numbers).toEqual(ALL);
    expect(conversed).toEqual(ALL);
    for (const kind of ["unary", "server", "client", "bidi"]) {
      expect(executions.get(`${kind} ${run}`), `executions of ${kind}, cut ${JSON.stringify(plan)}`).toBe(1);
    }
    expect(lost).toBe(0);
    expect(connection.callsInFlight).toBe(0);
    return { passed: { ...proxy.passed }, wasCut: proxy.wasCut };
  } finally {
    await connection.close();
    await proxy.close();
  }
}

describe("a link that is cut at every byte of an exchange of the four kinds", () => {
  it.each(["up", "down"] satisfies Direction[])(
    "%s: every call ends as if nothing had happened",
    async (direction) => {
      const { passed } = await exchange(`recorded-${direction}`, undefined);
      const offsets = Array.from({ length: passed[direction] + 1 }, (_, i) => i);
      expect(offsets.length).toBeGreaterThan(300);
      let cuts = 0;
      const worker = async () => {
        for (let afterBytes = offsets.pop(); afterBytes !== undefined; afterBytes = offsets.pop()) {
          const { wasCut } = await exchange(`${direction}-${afterBytes}`, { direction, afterBytes });
          if (wasCut) cuts++;
        }
      };
      const total = offsets.length;
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      // Batching differs a little from run to run, so the last offsets of the recording may lie beyond a run's end.
      expect(cuts).toBeGreaterThan(total * 0.9);
      // Nothing of the calls is left on the server either.
      expect([...server.sessions].filter((session) => session.callsInFlight > 0)).toEqual([]);
    },
    120_000,
  );
});
