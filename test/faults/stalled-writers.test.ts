// Writers stop when nobody takes what they write: without a link, without acknowledgements, without a reader.
import { afterEach, beforeEach, expect, test } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { type Connection, connect, createClient } from "../../src/client/index.js";
import { createServer, type Server } from "../../src/server/index.js";
import { createFaultProxy, type FaultProxy } from "../../src/testing/index.js";
import { frames, packet } from "../support/frames.js";
import { rawConnect } from "../support/raw.js";
import { until } from "../support/until.js";

const MESSAGE_BYTES = 16 * 1024;
const OUTBOX_BYTES = 1024 * 1024;

let server: Server;
let port = 0;
let link: FaultProxy;
let connection: Connection;
/** Messages that the server's handlers have written and read. */
let written = 0;
let read = 0;

beforeEach(async () => {
  written = 0;
  read = 0;
  server = createServer({
    outboxBytes: OUTBOX_BYTES,
    ackTimeoutMs: 300,
    routes: (router) =>
      router.service(EchoService, {
        async *repeat() {
          const body = new Uint8Array(MESSAGE_BYTES);
          for (;;) {
            yield { number: ++written, body };
            // Whatever happens, others get their turn.
            if (written % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
          }
        },
        async collect(requests) {
          for await (const _ of requests) read++;
          return {};
        },
      }),
  });
  ({ port } = await server.listen({ port: 0, host: "127.0.0.1" }));
  link = await createFaultProxy({ target: { port: port } });
  connection = connect(link.url, {
    outboxBytes: OUTBOX_BYTES,
    reconnect: { initialDelayMs: 1, maxDelayMs: 4 },
  });
});

afterEach(async () => {
  await connection.close();
  await link.close();
  await server.close();
});

/** Waits until a count no longer grows. */
async function settled(count: () => number): Promise<number> {
  let last = -1;
  for (let same = 0; same < 20; ) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    same = count() === last ? same + 1 : 0;
    last = count();
  }
  return last;
}

/** BreakKind many messages the outbox and a window hold, and a few on their way. */
const BOUND = (OUTBOX_BYTES + 256 * 1024) / MESSAGE_BYTES + 8;

test("without a link", async () => {
  const client = createClient(EchoService, connection);
  let sent = 0;
  async function* endless() {
    const body = new Uint8Array(MESSAGE_BYTES);
    for (;;) {
      yield { number: ++sent, body };
      if (sent % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }
  const upload = client.collect(endless()).catch(() => undefined);
  const messages = client.repeat({})[Symbol.asyncIterator]();
  // Both flow, as long as there is a link and a reader.
  for (let index = 0; index < 100; index++) await messages.next();
  await until(() => read > 100);
  await link.close();
  const [sentThen, writtenThen] = [sent, written];
  expect((await settled(() => sent)) - sentThen).toBeLessThan(BOUND);
  expect((await settled(() => written)) - writtenThen).toBeLessThan(BOUND);
  await connection.close();
  await upload;
});

test("to a reader who acknowledges nothing", async () => {
  const raw = await rawConnect(`ws://127.0.0.1:${port}/rpc`);
  const limits = { packetBytes: 0, messageBytes: 0, creditBytes: 2 ** 31, headerBytes: 0, calls: 0 };
  await raw.greet({ limits });
  raw.send(packet(1, frames.open({ name: "hawser.test.v1.EchoService/Repeat" })));
  // The link counts as broken then: whoever reads on a good one acknowledges.
  expect(await raw.closed).toMatchObject({ code: 4410 });
  expect(written).toBeGreaterThan(1);
  expect(await settled(() => written)).toBeLessThan(BOUND);
});

test("to a reader whose link stands still", async () => {
  const raw = await rawConnect(`ws://127.0.0.1:${port}/rpc`);
  const limits = { packetBytes: 0, messageBytes: 0, creditBytes: 2 ** 31, headerBytes: 0, calls: 0 };
  await raw.greet({ limits });
  raw.socket.pause();
  raw.send(packet(1, frames.open({ name: "hawser.test.v1.EchoService/Repeat" })));
  await until(() => written > 1);
  expect(await settled(() => written)).toBeLessThan(BOUND);
  await until(() => [...server.sessions].some(({ connected }) => !connected));
  raw.ws.terminate();
});
