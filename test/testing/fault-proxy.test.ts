import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import {
  createFaultProxy,
  type Direction,
  type FaultProxyOptions,
  seededRandom,
} from "../../src/testing/index.js";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A socket that keeps what arrives. */
class End {
  readonly socket: Socket;
  readonly #chunks: Buffer[] = [];
  /** How it ended. */
  end: "open" | "end" | "reset" = "open";

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => this.#chunks.push(chunk));
    socket.on("error", () => {
      this.end = "reset";
    });
    socket.on("close", () => {
      if (this.end === "open") this.end = "end";
    });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.bytes.toString("latin1");
  }
}

/** A target that keeps its connections, and a proxy in front of it. */
async function setUp(options: Omit<FaultProxyOptions, "target"> = {}) {
  const targets: End[] = [];
  const server: Server = createServer({ noDelay: true }, (socket) => targets.push(new End(socket)));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const proxy = await createFaultProxy({
    ...options,
    target: { port: (server.address() as AddressInfo).port },
  });
  cleanups.push(async () => {
    await proxy.close();
    for (const { socket } of targets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const dial = async (): Promise<[client: End, target: End]> => {
    const socket = connect({ port: proxy.port, host: "127.0.0.1", noDelay: true });
    const client = new End(socket);
    cleanups.push(() => socket.destroy());
    const before = targets.length;
    await once(socket, "connect");
    await until(() => targets.length > before);
    return [client, targets[before] as End];
  };
  return { proxy, dial, targets };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
}

const BYTES = Buffer.from(Array.from({ length: 1_000 }, (_, i) => i & 0xff));
const DIRECTIONS: Direction[] = ["up", "down"];
/** The end that sends in a direction, and the one that hears it. */
const ends = (direction: Direction, [client, target]: [End, End]) =>
  direction === "up" ? ([client, target] as const) : ([target, client] as const);

describe.each(DIRECTIONS)("the way %s", (direction) => {
  it("passes bytes on, counts them, and passes the end on", async () => {
    const { proxy, dial } = await setUp();
    const pair = await dial();
    const [from, to] = ends(direction, pair);
    from.socket.end(BYTES);
    await until(() => to.end === "end");
    expect(to.bytes).toEqual(BYTES);
    expect(proxy.passed[0]?.[direction]).toBe(BYTES.length);
    await until(() => proxy.live === 0);
    expect([proxy.connections, proxy.breaks]).toEqual([1, 0]);
  });

  it.each(["end", "reset"] as const)("is cut by plan at an exact byte: %s", async (how) => {
    for (const after of [0, 1, 77, BYTES.length]) {
      const { proxy, dial } = await setUp({ plan: () => ({ direction, after, how }) });
      if (after === 0) {
        const client = new End(connect(proxy.port, "127.0.0.1"));
        await until(() => client.end !== "open");
        continue;
      }
      const pair = await dial();
      const [from, to] = ends(direction, pair);
      from.socket.write(BYTES.subarray(0, 50));
      await until(() => to.bytes.length >= Math.min(after, 50));
      from.socket.write(BYTES.subarray(50));
      await until(() => from.end !== "open" && to.end !== "open");
      // A reset may overtake what is in the buffers of the operating system; more than that never arrives.
      if (how === "end") expect(to.bytes).toEqual(BYTES.subarray(0, after));
      else expect(BYTES.subarray(0, after).subarray(0, to.bytes.length)).toEqual(to.bytes);
      expect(proxy.passed[0]?.[direction]).toBe(after);
      expect(proxy.breaks).toBe(1);
    }
  });

  it("is cut so many bytes after the command", async () => {
    const { proxy, dial } = await setUp();
    const pair = await dial();
    const [from, to] = ends(direction, pair);
    from.socket.write(BYTES.subarray(0, 100));
    await until(() => to.bytes.length === 100);
    proxy.cutAfter(direction, 10, "end");
    from.socket.write(BYTES.subarray(100));
    await until(() => to.end !== "open");
    expect(to.bytes).toEqual(BYTES.subarray(0, 110));
  });

  it("stands still while the other one goes on, and nobody is told", async () => {
    const { proxy, dial } = await setUp();
    const pair = await dial();
    const [from, to] = ends(direction, pair);
    from.socket.write("before");
    await until(() => to.text === "before");
    proxy.stall(direction);
    from.socket.write("never");
    to.socket.write("the other way");
    await until(() => from.text === "the other way");
    // Not even that the sender has gone.
    from.socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect([to.text, to.end]).toEqual(["before", "open"]);
    expect(proxy.live).toBe(1);
    // A new connection is a good one.
    const next = ends(direction, await dial());
    next[0].socket.write("hello");
    await until(() => next[1].text === "hello");
  });

  it("carries one byte inverted", async () => {
    const { proxy, dial } = await setUp();
    const pair = await dial();
    const [from, to] = ends(direction, pair);
    from.socket.write(BYTES.subarray(0, 10));
    await until(() => to.bytes.length === 10);
    proxy.corrupt(direction, 5);
    from.socket.write(BYTES.subarray(10));
    await until(() => to.bytes.length === BYTES.length);
    const wrong = [...to.bytes.keys()].filter((i) => to.bytes[i] !== BYTES[i]);
    expect(wrong).toEqual([15]);
    expect(to.bytes[15]).toBe((BYTES[15] as number) ^ 0xff);
  });

  it("keeps the order of what is delayed by chance", async () => {
    const { dial } = await setUp({ latencyMs: 3, jitterMs: 10, random: seededRandom(1) });
    const pair = await dial();
    const [from, to] = ends(direction, pair);
    for (let i = 0; i < 50; i++) {
      from.socket.write(BYTES.subarray(i * 20, (i + 1) * 20));
      if (i % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await until(() => to.bytes.length === BYTES.length);
    expect(to.bytes).toEqual(BYTES);
  });

  it("is throttled, and the sender feels it", async () => {
    const { proxy, dial } = await setUp({ bytesPerSecond: 1_000 });
    const pair = await dial();
    const [from, to] = ends(direction, pair);
    const much = Buffer.alloc(32 * 1024 * 1024, 1);
    from.socket.write(much);
    await new Promise((resolve) => setTimeout(resolve, 100));
    // What neither the proxy nor the operating system takes stays with the sender.
    expect(from.socket.writableLength).toBeGreaterThan(0);
    expect(to.bytes.length).toBeLessThan(much.length / 2);
    proxy.set({ bytesPerSecond: Number.POSITIVE_INFINITY });
  });
});

describe("a proxy", () => {
  it("breaks everything at once, and lets new connections through", async () => {
    const { proxy, dial } = await setUp();
    const pairs = [await dial(), await dial()];
    proxy.cut("reset");
    await until(() => pairs.flat().every(({ end }) => end !== "open"));
    expect(proxy.breaks).toBe(2);
    const [client, target] = await dial();
    client.socket.write("hello");
    await until(() => target.text === "hello");
    proxy.cut("stall");
    client.socket.write("never");
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(target.text).toBe("hello");
  });

  it("refuses connections, with a reset or by not being there, and comes back on its port", async () => {
    const { proxy, dial } = await setUp();
    const refused = async () => {
      const client = new End(connect(proxy.port, "127.0.0.1"));
      await until(() => client.end !== "open");
      return client.end;
    };
    await proxy.refuse("reset");
    await refused();
    await proxy.refuse("closed");
    expect(await refused()).toBe("reset");
    expect(proxy.connections).toBe(0);
    await proxy.refuse(false);
    const [client, target] = await dial();
    client.socket.write("hello");
    await until(() => target.text === "hello");
  });

  it("makes a connection twice, and swallows the copy's answers", async () => {
    const { proxy, dial, targets } = await setUp();
    proxy.duplicate(1);
    const [client] = await dial();
    client.socket.write("hello");
    await until(() => targets.length === 2 && targets.every(({ text }) => text === "hello"));
    targets[0]?.socket.write("a");
    targets[1]?.socket.write("b");
    await until(() => client.text.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(client.text).toHaveLength(1);
    const [again] = await dial();
    again.socket.write("x");
    await until(() => targets[2]?.text === "x");
    expect(targets).toHaveLength(3);
  });

  it("leads elsewhere when it is told to", async () => {
    const first = await setUp();
    const second = await setUp();
    second.proxy.retarget({ port: first.proxy.port });
    const client = new End(connect(second.proxy.port, "127.0.0.1"));
    cleanups.push(() => client.socket.destroy());
    client.socket.write("hello");
    await until(() => first.targets[0]?.text === "hello");
    expect(second.targets).toEqual([]);
  });

  it("leaves nothing behind when it is closed, stalled connections neither", async () => {
    const { proxy, dial } = await setUp({ latencyMs: 5 });
    const pairs = [await dial(), await dial()];
    proxy.stall("up");
    pairs[1]?.[0].socket.write("on its way");
    await proxy.close();
    await until(() => pairs.flat().every(({ end }) => end !== "open"));
    expect(proxy.live).toBe(0);
  });
});
