import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { planCuts } from "../../src/demo/cut-plan.js";
import {
  type Cut,
  createFlakyLink,
  type FlakyLink,
  type FlakyLinkOptions,
} from "../../src/demo/flaky-link.js";
import { seededRandom } from "../../src/demo/random.js";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A server that keeps what arrives, and the link in front of it. */
async function setUp(options: Omit<FlakyLinkOptions, "targetPort"> = {}) {
  const arrived: Buffer[] = [];
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket);
    socket.on("data", (chunk) => arrived.push(chunk));
    socket.on("error", () => undefined);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const link = await createFlakyLink({ ...options, targetPort: (server.address() as AddressInfo).port });
  cleanups.push(async () => {
    await link.close();
    await new Promise((resolve) => server.close(resolve));
  });
  const dial = async () => {
    const socket = connect(link.port, "127.0.0.1");
    socket.on("error", () => undefined);
    cleanups.push(() => socket.destroy());
    await once(socket, "connect");
    return socket;
  };
  return { link, dial, sockets, bytes: () => Buffer.concat(arrived) };
}

/** Resolves when a socket is closed; what broke it does not matter. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await delay(5);
}

test("passes bytes both ways, and counts them", async () => {
  const { link, dial, sockets, bytes } = await setUp();
  const client = await dial();
  client.write("hello");
  await until(() => bytes().toString() === "hello");
  sockets[0]!.write("good day");
  const [answer] = (await once(client, "data")) as [Buffer];
  expect(answer.toString()).toBe("good day");
  expect([link.up, link.down, link.connections, link.cuts]).toEqual([5, 8, 1, 0]);
});

test("an orderly end reaches the other side with all bytes before it", async () => {
  const { dial, sockets, bytes } = await setUp();
  const client = await dial();
  client.end(Buffer.alloc(300_000, 1));
  await until(() => sockets[0]?.closed === true);
  expect(bytes().length).toBe(300_000);
});

test.each(["close", "reset"] as const)("%s breaks both sides; the next connection works", async (kind) => {
  const { link, dial, sockets, bytes } = await setUp();
  const client = await dial();
  client.write("a");
  await until(() => bytes().length === 1);
  client.resume();
  const gone = closed(client);
  expect(link.cut(kind)).toBe(true);
  await gone;
  await until(() => sockets[0]?.destroyed === true);
  expect(link.cut(kind)).toBe(false);
  const next = await dial();
  next.write("b");
  await until(() => bytes().toString() === "ab");
  expect([link.connections, link.cuts]).toEqual([2, 1]);
});

test("a stall keeps both sockets and lets nothing through", async () => {
  const { link, dial, sockets, bytes } = await setUp();
  const client = await dial();
  client.write("a");
  await until(() => bytes().length === 1);
  expect(link.cut("stall")).toBe(true);
  client.write("b");
  sockets[0]!.write("c");
  let heard = false;
  client.on("data", () => {
    heard = true;
  });
  await delay(100);
  expect(heard).toBe(false);
  expect(bytes().toString()).toBe("a");
  expect([client.readyState, sockets[0]!.readyState]).toEqual(["open", "open"]);
  // The one that gave up is not told on; a new connection is another matter.
  client.destroy();
  const next = await dial();
  next.write("d");
  await until(() => bytes().toString() === "ad");
  expect(sockets[0]!.readyState).toBe("open");
});

test("planned cuts fall on their byte, however the bytes come", async () => {
  const cuts: Cut[] = [];
  const { link, dial, sockets, bytes } = await setUp({
    plan: [
      { kind: "close", atByte: 250_001 },
      { kind: "close", atByte: 100_003 },
    ],
    onCut: (cut) => cuts.push(cut),
  });
  for (let connection = 0; connection < 2; connection++) {
    const client = await dial();
    const gone = closed(client);
    client.resume();
    client.write(Buffer.alloc(200_000));
    await gone;
    await until(() => sockets[connection]?.destroyed === true);
  }
  expect(cuts.map((cut) => [cut.number, cut.up])).toEqual([
    [1, 100_003],
    [2, 250_001],
  ]);
  expect(link.up).toBe(250_001);
  expect(bytes().length).toBeLessThanOrEqual(250_001);
});

test("a slow link passes everything on", async () => {
  const { dial, bytes } = await setUp({ bytesPerSecond: 1_000_000 });
  const client = await dial();
  client.write(Buffer.alloc(400_000));
  await until(() => bytes().length > 0);
  // It is on its way still, and arrives whole.
  expect(bytes().length).toBeLessThan(400_000);
  await until(() => bytes().length === 400_000);
});

test("closing breaks what is open", async () => {
  const { link, dial }: { link: FlakyLink; dial: () => Promise<Socket> } = await setUp();
  const client = await dial();
  client.resume();
  const gone = closed(client);
  await link.close();
  await gone;
});

test("a plan is the same for the same seed, in order, and stalls once", () => {
  for (let seed = 0; seed < 200; seed++) {
    const plan = planCuts(5, 1_000_000, seededRandom(seed));
    expect(planCuts(5, 1_000_000, seededRandom(seed))).toEqual(plan);
    expect(plan.filter((cut) => cut.kind === "stall").length).toBe(1);
    const positions = plan.map((cut) => cut.atByte);
    expect(positions).toEqual(positions.toSorted((a, b) => a - b));
    expect(positions[0]).toBeGreaterThan(0);
    expect(positions.at(-1)).toBeLessThan(1_000_000);
  }
  expect(planCuts(0, 1_000_000, seededRandom(1))).toEqual([]);
  expect(planCuts(5, 1_000_000, seededRandom(1))).not.toEqual(planCuts(5, 1_000_000, seededRandom(2)));
});
