// Valid exchanges, changed at random, against a server and against a client. Nothing may crash, hang or pile up.
// A failing seed repeats with HAWSER_FUZZ_SEED=<seed>.
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { connect, createClient, RpcError } from "../../src/client/index.js";
import { createServer, type Server } from "../../src/server/index.js";
import { createFaultProxy } from "../../src/testing/index.js";
import { echoRoutes, exchange, expectedResult } from "../support/echo.js";
import { frames, hexBytes, joined, packet } from "../support/frames.js";
import { SeededRandom } from "../support/random.js";
import { rawConnect } from "../support/raw.js";
import { until } from "../support/until.js";

const seed = Number(process.env["HAWSER_FUZZ_SEED"] ?? Date.now() % 2 ** 32);
const MAX_DETACHED = 20;

let server: Server;
let port = 0;
let url = "";
const rejections: unknown[] = [];
const logged: unknown[] = [];
const onRejection = (reason: unknown) => rejections.push(reason);

beforeAll(async () => {
  process.on("unhandledRejection", onRejection);
  const log = (message: string, ...details: unknown[]) => logged.push([message, ...details]);
  server = createServer({
    routes: echoRoutes(),
    maxDetachedSessions: MAX_DETACHED,
    logger: { warn: log, error: log },
  });
  ({ port, url } = await server.listen({ port: 0, host: "127.0.0.1" }));
});

afterEach(async () => {
  const connection = connect(url);
  expect(await exchange(createClient(EchoService, connection), "good")).toEqual(expectedResult("good"));
  await connection.close();
  await until(() => [...server.sessions].every(({ connected }) => !connected));
  expect(server.sessions.size, `sessions, seed ${seed}`).toBeLessThanOrEqual(MAX_DETACHED);
  expect(rejections, `seed ${seed}`).toEqual([]);
  expect(logged, `seed ${seed}`).toEqual([]);
});

afterAll(async () => {
  process.off("unhandledRejection", onRejection);
  await server.close();
});

const name = (method: string) => `hawser.test.v1.EchoService/${method}`;
/** `EchoRequest { name: "a" }`, which all the requests decode as something. */
const payload = hexBytes("12 01 61");

/** What a good client would send: all four kinds, a long message in pieces, control frames. */
const valid: readonly Uint8Array[] = [
  packet(0, frames.hello()),
  packet(1, frames.open({ payload, headers: [["a", "b"]], timeoutMs: 60_000 })),
  packet(2, frames.open({ call: 3, method: 2, name: name("Repeat"), payload: hexBytes("0a 01 61 10 05") })),
  packet(
    3,
    frames.open({ call: 5, method: 3, name: name("Collect"), end: false, payload }),
    frames.data({ call: 5, payload }),
    frames.open({ call: 7, method: 4, name: name("Converse"), end: false, payload: undefined }),
  ),
  packet(0, frames.ping({ id: 9 }), frames.pong()),
  packet(4, frames.data({ call: 7, payload, size: 6 }), frames.data({ call: 7, payload: new Uint8Array(3) })),
  packet(5, frames.credit({ call: 7, bytes: 500 }), frames.data({ call: 5, end: true, payload })),
  packet(6, frames.cancel({ call: 7 }), frames.open({ call: 9, name: "", payload })),
  packet(0, frames.goAway()),
];

/** Changes a list of messages in one of many ways. */
function mutate(random: SeededRandom, messages: readonly Uint8Array[]): Uint8Array[] {
  const list: Uint8Array[] = messages.map((message) => new Uint8Array(message));
  for (let changes = 1 + random.below(3); changes > 0; changes--) {
    // Most connections should get past the handshake.
    const at =
      list.length < 2 || random.chance(0.15) ? random.below(list.length) : 1 + random.below(list.length - 1);
    const message = list[at];
    if (message === undefined) break;
    const byte = random.below(message.length);
    const change = random.below(9);
    if (change === 0) message[byte] = random.below(256);
    else if (change === 1) message[byte] = (message[byte] ?? 0) ^ (1 << random.below(8));
    else if (change === 2) list[at] = message.subarray(0, byte);
    else if (change === 3) list.splice(at, 1);
    else if (change === 4) list.splice(random.below(list.length + 1), 0, message);
    else if (change === 5) list[at] = joined(message, random.pick(list));
    else if (change === 6)
      list[at] = joined(message.subarray(0, byte), message.subarray(random.below(message.length)));
    else if (change === 7) list[at] = Uint8Array.from({ length: random.below(64) }, () => random.below(256));
    else {
      // A number that is as large as its varint can say, in the middle of whatever this is.
      const huge = Uint8Array.from({ length: 1 + random.below(10) }, () => 0xff);
      list[at] = joined(message.subarray(0, byte), huge, hexBytes("01"), message.subarray(byte));
    }
  }
  return list;
}

test("messages to a server", async ({ annotate }) => {
  await annotate(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const codes = new Map<number, number>();
  const one = async () => {
    const client = await rawConnect(url);
    const list = mutate(random, valid);
    for (const [index, message] of list.entries()) {
      client.send(message);
      // What the first message leads to: Welcome, or a close.
      if (index === 0) await client.hear("welcome").catch(() => undefined);
      if (random.chance(0.3)) await new Promise((resolve) => setImmediate(resolve));
    }
    const leave = random.below(3);
    if (leave === 0) client.ws.terminate();
    else client.ws.close(leave === 1 ? 1000 : 3000);
    const { code } = await client.closed;
    codes.set(code, (codes.get(code) ?? 0) + 1);
    // Only what the table of close codes has, what was asked for here, and "gone".
    expect([1000, 1002, 1005, 1006, 1007, 1009, 3000, 4400], `seed ${seed}`).toContain(code);
  };
  for (let wave = 0; wave < 60; wave++) await Promise.all(Array.from({ length: 25 }, one));
  await annotate([...codes].map(([code, times]) => `${code}: ${times}`).join(", "));
  // The fuzz reaches the decoder, the session and the calls.
  expect(codes.get(1002)).toBeGreaterThan(0);
  expect(codes.get(1007)).toBeGreaterThan(0);
});

test.for(["up", "down"] as const)("bytes of TCP on the way %s", async (direction, { annotate }) => {
  await annotate(`seed ${seed}`);
  const random = new SeededRandom(seed + 1);
  const outcomes = new Map<string, number>();
  const one = async (run: number) => {
    // One byte of the first connection, somewhere behind the HTTP upgrade, arrives as another one.
    const target = 130 + random.below(500);
    let connections = 0;
    const link = await createFaultProxy({
      target: { port },
      plan: () => {
        connections++;
        return undefined;
      },
      mangle: (way, chunk, offset) => {
        const at = target - offset;
        if (way !== direction || connections > 1 || at < 0 || at >= chunk.length) return chunk;
        const changed = Buffer.from(chunk);
        changed[at] = (changed[at] ?? 0) ^ (1 << random.below(8));
        return changed;
      },
    });
    // A wrong length makes one side wait for bytes that never come: liveness has to find out.
    const connection = connect(link.url, {
      pingIntervalMs: 40,
      pingTimeoutMs: 40,
      ackDelayMs: 5,
      ackTimeoutMs: 120,
      handshakeTimeoutMs: 200,
      reconnect: { initialDelayMs: 1, maxDelayMs: 8 },
    });
    const client = createClient(EchoService, connection);
    let outcome = "done";
    try {
      await Promise.race([
        exchange(client, `fuzz${run}`),
        // What a corrupted byte has made of a stream nobody can mend; a deadline ends it.
        client.collect(never(), { timeoutMs: 1_000 }),
      ]);
    } catch (error) {
      expect(error, `seed ${seed}`).toBeInstanceOf(RpcError);
      outcome = error instanceof RpcError ? error.message.replace(/:.*/s, "") : String(error);
    }
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    await connection.close();
    expect(connection.callsInFlight, `seed ${seed}`).toBe(0);
    await link.close();
  };
  for (let wave = 0; wave < 12; wave++) {
    await Promise.all(Array.from({ length: 25 }, (_, index) => one(wave * 25 + index)));
  }
  await annotate([...outcomes].map(([outcome, times]) => `${outcome}: ${times}`).join(", "));
});

/** A stream that sends nothing. */
async function* never(): AsyncGenerator<{ number: number }> {
  await new Promise(() => undefined);
  yield { number: 0 };
}
