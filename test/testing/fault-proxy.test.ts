import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import {
  createFaultProxy,
  type Direction,
  type FaultProxyOptions,
  seededRandom,
} from "../../src/testing/index.js";
import { resourcesLeft } from "../support/resources.js";

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

  it("passes what is on its way before a planned cut, and nothing behind it", async () => {
    const { proxy, dial } = await setUp({
      latencyMs: 10,
      jitterMs: 5,
      random: seededRandom(2),
      plan: () => ({ direction, after: 333, how: "end" }),
    });
    const pair = await dial();
    const [from, to] = ends(direction, pair);
    from.socket.write(BYTES);
    await until(() => from.end !== "open" && to.end !== "open");
    expect(to.bytes).toEqual(BYTES.subarray(0, 333));
    expect([from.end, to.end]).toEqual(["end", "end"]);
    expect(proxy.passed[0]?.[direction]).toBe(333);
    expect(proxy.live).toBe(0);
  });

  it("is half-open by plan from an exact byte on, and goes on when it is told to: nothing was lost", async () => {
    const { proxy, dial } = await setUp({ plan: () => ({ direction, after: 123, how: "half-open" }) });
    const pair = await dial();
    const [from, to] = ends(direction, pair);
    from.socket.write(BYTES);
    await until(() => to.bytes.length === 123);
    to.socket.write("the other way");
    await until(() => from.text === "the other way");
    expect([to.bytes.length, proxy.breaks, proxy.live]).toEqual([123, 0, 1]);
    proxy.resume();
    await until(() => to.bytes.length === BYTES.length);
    expect(to.bytes).toEqual(BYTES);
  });

  it("carries the bytes inverted that the plan names, and is cut behind them", async () => {
    const { dial } = await setUp({
      plan: () => [
        { direction, after: 700, how: "end" },
        { direction, after: 0, how: "corrupt" },
        { direction, after: 699, how: "corrupt" },
        { direction, after: 700, how: "corrupt" },
      ],
    });
    const pair = await dial();
    const [from, to] = ends(direction, pair);
    from.socket.write(BYTES);
    await until(() => to.end !== "open");
    expect(to.bytes).toHaveLength(700);
    const wrong = [...to.bytes.keys()].filter((i) => to.bytes[i] !== BYTES[i]);
    expect(wrong).toEqual([0, 699]);
  });

  it("passes the end of one side on while the other still speaks", async () => {
    const { proxy, targets } = await setUp();
    const socket = connect({ port: proxy.port, host: "127.0.0.1", allowHalfOpen: true });
    const client = new End(socket);
    cleanups.push(() => socket.destroy());
    await until(() => targets.length === 1);
    const [from, to] = ends(direction, [client, targets[0] as End]);
    // The sockets of the target end by themselves when they hear an end; the client's do not.
    to.socket.allowHalfOpen = true;
    let heard = false;
    to.socket.on("end", () => {
      heard = true;
    });
    from.socket.allowHalfOpen = true;
    from.socket.end("question");
    await until(() => heard);
    expect(to.text).toBe("question");
    to.socket.end(BYTES);
    await until(() => from.end !== "open" && proxy.live === 0);
    expect(from.bytes).toEqual(BYTES);
    expect([from.end, to.end, proxy.breaks]).toEqual(["end", "end", 0]);
  });

  it("passes a reset on", async () => {
    const { proxy, dial } = await setUp();
    const pair = await dial();
    const [from, to] = ends(direction, pair);
    from.socket.resetAndDestroy();
    await until(() => to.end !== "open");
    expect(to.end).toBe("reset");
    await until(() => proxy.live === 0);
  });

  it("is slow alone, in small pieces, and fast again at once", async () => {
    const other = direction === "up" ? "down" : "up";
    const { proxy, dial } = await setUp({ [direction]: { bytesPerSecond: 100 } });
    const pair = await dial();
    const [from, to] = ends(direction, pair);
    from.socket.write(BYTES);
    to.socket.write(BYTES);
    await until(() => from.bytes.length === BYTES.length);
    await until(() => to.bytes.length > 0);
    expect(to.bytes.length).toBeLessThan(BYTES.length);
    expect(proxy.passed[0]?.[other]).toBe(BYTES.length);
    proxy.set({ bytesPerSecond: Number.POSITIVE_INFINITY });
    await until(() => to.bytes.length === BYTES.length);
    expect(to.bytes).toEqual(BYTES);
  });

  it("is late alone", async () => {
    const { proxy, dial } = await setUp({ [direction]: { latencyMs: 3_600_000 } });
    const pair = await dial();
    const [from, to] = ends(direction, pair);
    from.socket.write(BYTES);
    to.socket.write(BYTES);
    await until(() => from.bytes.length === BYTES.length);
    expect(to.bytes).toHaveLength(0);
    expect(proxy.passed[0]?.[direction]).toBe(0);
  });

  it("stops its sender while nobody reads, and passes everything on when somebody does", async () => {
    const { dial } = await setUp();
    const pair = await dial();
    const [from, to] = ends(direction, pair);
    to.socket.pause();
    const much = Buffer.alloc(32 * 1024 * 1024, BYTES);
    from.socket.end(much);
    // Until nothing moves any more.
    for (let last = -1; from.socket.writableLength !== last; ) {
      last = from.socket.writableLength;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(from.socket.writableLength).toBeGreaterThan(0);
    to.socket.resume();
    await until(() => to.end === "end");
    expect(to.bytes.equals(much)).toBe(true);
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

  it("breaks what was stalled, and tells of every break", async () => {
    const told: unknown[] = [];
    const { proxy, dial } = await setUp({ onBreak: (broken) => told.push(broken) });
    const pair = await dial();
    proxy.cut("stall");
    proxy.cut("stall");
    expect(proxy.live).toBe(1);
    proxy.cut("reset");
    proxy.cut("end");
    await until(() => pair.every(({ end }) => end === "reset"));
    expect([proxy.live, proxy.breaks]).toEqual([0, 2]);
    expect(told).toEqual([
      { number: 1, connection: 1, how: "stall" },
      { number: 2, connection: 1, how: "reset" },
    ]);
  });

  it("ends both sides without a reset although bytes are unread", async () => {
    const { proxy, dial } = await setUp({ bytesPerSecond: 1 });
    const pair = await dial();
    const much = Buffer.alloc(8 * 1024 * 1024);
    for (const { socket } of pair) socket.write(much);
    await new Promise((resolve) => setTimeout(resolve, 30));
    proxy.cut("end");
    await until(() => pair.every(({ end }) => end !== "open"));
    expect(pair.map(({ end }) => end)).toEqual(["end", "end"]);
  });

  it("refuses and doubles connections by plan, by their numbers", async () => {
    const { proxy, targets } = await setUp({
      plan: (connection) =>
        connection === 1 ? { how: "refuse" } : connection === 2 ? { how: "duplicate" } : undefined,
    });
    const dialled = () => {
      const client = new End(connect(proxy.port, "127.0.0.1"));
      cleanups.push(() => client.socket.destroy());
      return client;
    };
    const first = dialled();
    await until(() => first.end !== "open");
    expect(targets).toHaveLength(0);
    dialled().socket.write("two");
    await until(() => targets.length === 2 && targets.every(({ text }) => text === "two"));
    dialled().socket.write("three");
    await until(() => targets[2]?.text === "three");
    expect([targets.length, proxy.connections, proxy.live]).toEqual([3, 3, 2]);
  });

  it("lets its user change bytes, and says which ones they are", async () => {
    const seen: unknown[] = [];
    const { dial } = await setUp({
      mangle: (direction, chunk, offset, connection) => {
        seen.push([connection, direction, offset, chunk.length]);
        return direction === "up" ? Buffer.from(chunk.toString("latin1").toUpperCase(), "latin1") : chunk;
      },
    });
    const [client, target] = await dial();
    client.socket.write("abc");
    await until(() => target.text === "ABC");
    client.socket.write("de");
    await until(() => target.text === "ABCDE");
    target.socket.write("xyz");
    await until(() => client.text === "xyz");
    expect(seen).toEqual([
      [1, "up", 0, 3],
      [1, "up", 3, 2],
      [1, "down", 0, 3],
    ]);
  });

  it("resets a client whose target is not there", async () => {
    const { proxy } = await setUp();
    const gone = createServer();
    await once(gone.listen(0, "127.0.0.1"), "listening");
    const { port } = gone.address() as AddressInfo;
    await new Promise((resolve) => gone.close(resolve));
    proxy.retarget({ port });
    const client = new End(connect(proxy.port, "127.0.0.1"));
    await until(() => client.end !== "open");
    await until(() => proxy.live === 0);
    expect(proxy.breaks).toBe(0);
  });

  it("names what is wrong with its options", async () => {
    const target = { port: 1 };
    const wrong = (options: object) => createFaultProxy({ target, ...options } as FaultProxyOptions);
    await expect(wrong({ latency: 5 })).rejects.toThrow('no option "latency"');
    await expect(wrong({ up: { latency: 5 } })).rejects.toThrow('up has no option "latency"');
    await expect(wrong({ jitterMs: -1 })).rejects.toThrow("jitterMs must be");
    await expect(wrong({ down: { bytesPerSecond: 0 } })).rejects.toThrow("down.bytesPerSecond must be more");
    await expect(wrong({ target: { port: 0 } })).rejects.toThrow("target.port must be");
    await expect(wrong({ plan: 5 })).rejects.toThrow("plan must be a function");
    const { proxy } = await setUp();
    expect(() => proxy.cutAfter("up", -1)).toThrow("bytes must be");
    expect(() => proxy.set({ latencyMs: Number.NaN })).toThrow("latencyMs must be");
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

  it("leaves nothing behind when it is closed: no socket, no timer, whatever had become of it", async () => {
    const own = await resourcesLeft();
    let underway = 0;
    const { proxy, dial, targets } = await setUp({
      latencyMs: 60_000,
      bytesPerSecond: 10,
      mangle: (_, chunk) => {
        underway += chunk.length;
        return chunk;
      },
    });
    proxy.duplicate(1);
    const pairs = [await dial(), await dial(), await dial()];
    pairs[0]?.[0].socket.end("for a minute");
    pairs[1]?.[1].socket.write("for a minute");
    await until(() => underway === 24);
    // The proxy knows of this end, and its target does not yet.
    pairs[2]?.[0].socket.resetAndDestroy();
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(proxy.live).toBe(3);
    proxy.stall("up");
    pairs.push(await dial());
    pairs[3]?.[1].socket.write("for a minute");
    await until(() => underway === 36);
    proxy.cutAfter("down", 5, "end");
    await proxy.refuse("closed");
    await proxy.close();
    await until(
      () => pairs.flat().every(({ end }) => end !== "open") && targets.every(({ end }) => end !== "open"),
    );
    expect(proxy.live).toBe(0);
    await proxy.close();
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
    // What the test runner itself has going may have ended meanwhile.
    expect((await resourcesLeft()).length).toBeLessThanOrEqual(own.length);
  });
});
