import { randomBytes } from "node:crypto";
import { jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { connect, errors, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Code } from "../../src/base/code.js";
import { NatsBus } from "../../src/nats/bus.js";
import { encodeToken } from "../../src/nats/subject.js";
import { type BusNode, busContract } from "../broker/bus-contract.js";
import { type NatsNode, type NatsServer, startNats, startNatsCluster } from "../support/nats.js";
import { until } from "../support/until.js";

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (payload: Uint8Array): string => new TextDecoder().decode(payload);

interface NatsNodeOfBus extends BusNode {
  readonly bus: NatsBus;
  readonly connection: NatsConnection;
  readonly warnings: unknown[][];
}

let prefixes = 0;
const newPrefix = () => `test${prefixes++}`;

async function join(
  url: string,
  prefix: string,
  replicas = 1,
  change: (connection: NatsConnection) => NatsConnection = (connection) => connection,
): Promise<NatsNodeOfBus> {
  const connection = change(await connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 50 }));
  const warnings: unknown[][] = [];
  const host = {
    node: randomBytes(16).toString("hex"),
    onReady: () => {},
    warn: (...args: unknown[]) => void warnings.push(args),
  };
  const bus = new NatsBus(connection, host, { prefix, replicas });
  closers.push(async () => {
    await bus.close();
    await connection.close();
  });
  await bus.start();
  return {
    bus,
    connection,
    warnings,
    leave: () => bus.close(),
    // Its key stays, as with a process that was killed.
    die: () => connection.close(),
  };
}

/** Asks again until an answer is as wanted, whatever fails meanwhile. */
async function eventually<T>(ask: () => Promise<T>, isWanted: (answer: T) => boolean): Promise<void> {
  for (;;) {
    const isDone = await ask().then(isWanted, () => false);
    if (isDone) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const locates =
  ({ bus }: NatsNodeOfBus, name: string) =>
  async () =>
    (await bus.locate("session", name)).length;

describe("with one server", () => {
  let server: NatsServer;

  beforeAll(async () => {
    server = await startNats();
  });

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  busContract("NATS", async () => {
    const prefix = newPrefix();
    const nodes: NatsNodeOfBus[] = [];
    return {
      join: async () => {
        const node = await join(server.url, prefix);
        nodes.push(node);
        return node;
      },
      [Symbol.asyncDispose]: async () => {
        for (const node of nodes) {
          await node.bus.close();
          expect(node.warnings).toEqual([]);
        }
      },
    };
  });

  it("lays out its buckets as other clients know them", async () => {
    const prefix = newPrefix();
    const { bus, connection } = await join(server.url, prefix);
    bus.register("session", "a.b", "1");
    bus.register("session", "a.b", "2");
    await until(() => bus.unwritten === 0);
    const kvm = new Kvm(connection);
    const registry = await kvm.open(`${prefix}-registry`);
    const entry = await registry.get(`session.${encodeToken("a.b")}.${bus.node}`);
    expect(entry?.json()).toEqual(["1", "2"]);
    expect(await (await kvm.open(`${prefix}-nodes`)).get(bus.node)).toMatchObject({ operation: "PUT" });
    bus.unregister("session", "a.b", "1");
    bus.unregister("session", "a.b", "2");
    await until(() => bus.unwritten === 0);
    expect((await registry.get(`session.${encodeToken("a.b")}.${bus.node}`))?.operation).toBe("PURGE");
    await bus.close();
    expect((await (await kvm.open(`${prefix}-nodes`)).get(bus.node))?.operation).toBe("DEL");
  });

  it("does not write what was registered for a moment, and writes what changes often once", async () => {
    const prefix = newPrefix();
    const { bus, connection } = await join(server.url, prefix);
    for (let i = 0; i < 1_000; i++) {
      bus.register("session", `s${i}`, "1");
      bus.unregister("session", `s${i}`, "1");
      bus.register("identity", "one", String(i));
    }
    await until(() => bus.unwritten === 0);
    const manager = await jetstreamManager(connection);
    const { state } = await manager.streams.info(`KV_${prefix}-registry`);
    expect(state.last_seq).toBe(1);
    expect(await bus.locate("identity", "one")).toHaveLength(1_000);
  });

  it("takes a burst of 20,000 names", async () => {
    const prefix = newPrefix();
    const [a, b] = [await join(server.url, prefix), await join(server.url, prefix)];
    await until(() => a.bus.nodes.size === 1);
    const count = 20_000;
    for (let i = 0; i < count; i++) a.bus.register("session", `s${i}`, "1");
    // It does not hold up what others do.
    await b.bus.listen(["t"], (message) => message.reply(message.payload)).ready;
    expect(text(await a.bus.ask(["t"], bytes("hello"), 10_000))).toBe("hello");
    await until(() => a.bus.unwritten === 0);
    const manager = await jetstreamManager(a.connection);
    expect((await manager.streams.info(`KV_${prefix}-registry`)).state.messages).toBe(count);
    for (const i of [0, 1, 9_999, count - 1]) {
      expect(await b.bus.locate("session", `s${i}`)).toEqual([{ node: a.bus.node, id: "1" }]);
    }
    for (let i = 0; i < count; i++) a.bus.unregister("session", `s${i}`, "1");
    await until(() => a.bus.unwritten === 0);
    expect(await b.bus.locate("session", "s9999")).toEqual([]);
    expect([...a.warnings, ...b.warnings]).toEqual([]);
  });

  it("makes its buckets again when they are deleted", async () => {
    const prefix = newPrefix();
    const [a, b] = [await join(server.url, prefix), await join(server.url, prefix)];
    await until(() => a.bus.nodes.size === 1);
    a.bus.register("session", "a", "1");
    b.bus.register("session", "b", "1");
    await until(() => a.bus.unwritten + b.bus.unwritten === 0);
    const manager = await jetstreamManager(a.connection);
    const gone: string[] = [];
    a.bus.watch({ onNodeGone: (node) => gone.push(node) });
    await manager.streams.delete(`KV_${prefix}-registry`);
    await manager.streams.delete(`KV_${prefix}-nodes`);
    // This write finds that the bucket is gone; the other node finds another bucket.
    a.bus.register("session", "new", "1");
    await eventually(locates(b, "new"), (count) => count === 1);
    await eventually(locates(b, "a"), (count) => count === 1);
    await eventually(locates(a, "b"), (count) => count === 1);
    const nodes = await eventuallyOpen(a.connection, `${prefix}-nodes`);
    await eventually(() => nodes.get(a.bus.node), Boolean);
    await eventually(() => nodes.get(b.bus.node), Boolean);
    expect(gone).toEqual([]);
  });

  it("goes on after a message that was not handled, and tells of it", async () => {
    const { bus, warnings } = await join(server.url, newPrefix());
    const heard: string[] = [];
    await bus.listen(["t"], ({ payload }) => {
      heard.push(text(payload));
      if (heard.length === 1) throw new Error("broken");
    }).ready;
    bus.watch({
      onUp: () => {
        throw new Error("broken too");
      },
    });
    bus.send(["t"], bytes("1"));
    bus.send(["t"], bytes("2"));
    await until(() => heard.length === 2);
    expect(warnings).toHaveLength(1);
    expect(() => bus.send(new Array(100).fill("x".repeat(100)), bytes(""))).toThrow(RangeError);
  });
});

async function eventuallyOpen(connection: NatsConnection, name: string) {
  const kvm = new Kvm(connection);
  await eventually(async () => (await kvm.open(name)).status(), Boolean);
  return kvm.open(name);
}

describe("with a connection that is being drained", () => {
  it("lets others have their turn while it tries in vain", async () => {
    await using server = await startNats();
    const prefix = newPrefix();
    let drained = false;
    let failures = 0;
    const { bus } = await join(
      server.url,
      prefix,
      1,
      (connection) =>
        new Proxy(connection, {
          get(target, property) {
            const value: unknown = Reflect.get(target, property);
            if (property !== "publish") return typeof value === "function" ? value.bind(target) : value;
            return (...args: Parameters<NatsConnection["publish"]>) => {
              // More than that would not end by itself.
              if (drained && args[0] === `${prefix}.p` && ++failures < 10_000)
                throw new errors.DrainingConnectionError();
              target.publish(...args);
            };
          },
        }),
    );
    drained = true;
    const listener = bus.listen(["t"], () => {});
    await until(() => failures > 1);
    drained = false;
    await listener.ready;
    expect(failures).toBeLessThan(10_000);
  });
});

describe("with a server that goes", () => {
  it("is back when the server is, with the registry and all nodes", async () => {
    await using server = await startNats();
    const prefix = newPrefix();
    const [a, b] = [await join(server.url, prefix), await join(server.url, prefix)];
    await until(() => a.bus.nodes.size === 1);
    const told: string[] = [];
    a.bus.watch({
      onNodeGone: (node) => told.push(`-${node}`),
      onUp: (up) => told.push(up ? "up" : "down"),
    });
    const heard: string[] = [];
    await b.bus.listen(["t"], (message) => {
      heard.push(text(message.payload));
      message.reply(bytes("yes"));
    }).ready;
    await b.bus.listen(["mute"], () => {}).ready;
    b.bus.register("session", "before", "1");
    await until(() => b.bus.unwritten === 0);

    const unanswered = expect(a.bus.ask(["mute"], bytes(""), 60_000)).rejects.toMatchObject({
      code: Code.Unavailable,
      executed: "unknown",
    });
    await server.kill();
    await unanswered;
    await until(() => !b.bus.up);
    expect(a.bus.up).toBe(false);
    const no = { code: Code.Unavailable, executed: "no" };
    expect(() => a.bus.send(["t"], bytes("lost"))).toThrow(expect.objectContaining(no));
    await expect(a.bus.ask(["t"], bytes(""), 1_000)).rejects.toMatchObject(no);
    await expect(a.bus.askAll(["t"], bytes(""), 1_000)).rejects.toMatchObject(no);
    await expect(a.bus.locate("session", "before")).rejects.toMatchObject(no);
    b.bus.register("session", "during", "1");
    const during = b.bus.listen(["during"], (message) => message.reply(bytes("yes")));
    // Longer than a node may be silent.
    await new Promise((resolve) => setTimeout(resolve, 13_000));
    expect(told).toEqual(["down"]);

    await server.restart();
    await Promise.all([until(() => a.bus.up), until(() => b.bus.up), during.ready]);
    expect(text(await a.bus.ask(["t"], bytes("again"), 5_000))).toBe("yes");
    expect(text(await a.bus.ask(["during"], bytes("again"), 5_000))).toBe("yes");
    expect(heard).toEqual(["again"]);
    await eventually(locates(a, "before"), (count) => count === 1);
    await eventually(locates(a, "during"), (count) => count === 1);
    const nodes = await eventuallyOpen(a.connection, `${prefix}-nodes`);
    await eventually(() => nodes.get(a.bus.node), Boolean);
    await eventually(() => nodes.get(b.bus.node), Boolean);
    expect(told).toEqual(["down", "up"]);
    const c = await join(server.url, prefix);
    expect(c.bus.nodes.size).toBe(2);
  });

  it("blames nobody while the server stands still", async () => {
    await using server = await startNats();
    const prefix = newPrefix();
    const [a, b] = [await join(server.url, prefix), await join(server.url, prefix)];
    await until(() => a.bus.nodes.size === 1);
    const told: string[] = [];
    a.bus.watch({
      onNodeGone: (node) => told.push(`-${node}`),
      onUp: (up) => told.push(up ? "up" : "down"),
    });
    server.pause();
    await until(() => !a.bus.up && !b.bus.up);
    const listener = a.bus.listen(["t"], (message) => message.reply(bytes("yes")));
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    server.resume();
    await until(() => a.bus.up && b.bus.up);
    await listener.ready;
    expect(text(await b.bus.ask(["t"], bytes(""), 5_000))).toBe("yes");
    expect(told).toEqual(["down", "up"]);
  });

  it("says when there is no JetStream, and when messages may not be large enough", async () => {
    await using without = await startNats({ jetstream: false });
    await expect(join(without.url, "x")).rejects.toThrow("has no JetStream");
    await using narrow = await startNats({ config: "max_payload: 32KB" });
    await expect(join(narrow.url, "x")).rejects.toThrow("max_payload of the NATS server is 32768");
    await using alone = await startNats();
    await expect(join(alone.url, "x", 3)).rejects.toThrow("replicas > 1 not supported");
  });
});

describe("with a cluster", () => {
  let servers: NatsNode[];

  beforeAll(async () => {
    servers = await startNatsCluster(3);
  });

  afterAll(async () => {
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
  });

  it("connects nodes of different servers", async () => {
    const prefix = newPrefix();
    const nodes = await Promise.all(servers.map(({ url }) => join(url, prefix, 3)));
    await until(() => nodes.every(({ bus }) => bus.nodes.size === 2));
    const [a, b, c] = nodes as [NatsNodeOfBus, NatsNodeOfBus, NatsNodeOfBus];
    for (const { bus } of nodes) await bus.listen(["who"], (m) => m.reply(bytes(bus.node))).ready;
    expect(await a.bus.askAll(["who"], bytes(""), 20_000)).toHaveLength(3);
    b.bus.register("session", "s", "1");
    await until(() => b.bus.unwritten === 0);
    for (const { bus } of nodes)
      expect(await bus.locate("session", "s")).toEqual([{ node: b.bus.node, id: "1" }]);
    await c.leave();
    await until(() => a.bus.nodes.size === 1 && b.bus.nodes.size === 1);
  });

  it("reads its own writes and those of others, 500 times", async () => {
    const prefix = newPrefix();
    const [a, b] = [await join(servers[0]!.url, prefix, 3), await join(servers[1]!.url, prefix, 3)];
    await until(() => a.bus.nodes.size === 1 && b.bus.nodes.size === 1);
    for (let i = 0; i < 500; i++) {
      a.bus.register("session", "s", String(i));
      await until(() => a.bus.unwritten === 0);
      expect(await b.bus.locate("session", "s")).toEqual([{ node: a.bus.node, id: String(i) }]);
      a.bus.unregister("session", "s", String(i));
    }
  });

  it("misses nothing once a listener is ready, 200 times", async () => {
    const prefix = newPrefix();
    const [a, b] = [await join(servers[0]!.url, prefix, 3), await join(servers[2]!.url, prefix, 3)];
    await until(() => a.bus.nodes.size === 1 && b.bus.nodes.size === 1);
    for (let round = 0; round < 200; round++) {
      const heard: string[] = [];
      const listener = a.bus.listen(["round", String(round)], ({ payload }) => heard.push(text(payload)));
      await listener.ready;
      b.bus.send(["round", String(round)], bytes("hello"));
      await until(() => heard.length > 0);
      listener.close();
    }
  });

  it("outlives a server", async () => {
    const prefix = newPrefix();
    const urls = servers.map(({ url }) => url);
    const [a, b] = [await join(urls[0]!, prefix, 3), await join(urls[1]!, prefix, 3)];
    await until(() => a.bus.nodes.size === 1 && b.bus.nodes.size === 1);
    a.bus.register("session", "a", "1");
    await until(() => a.bus.unwritten === 0);
    const told: string[] = [];
    b.bus.watch({ onUp: (up) => told.push(String(up)), onNodeGone: (node) => told.push(node) });
    const listener = a.bus.listen(["t"], (message) => message.reply(bytes("yes")));
    await listener.ready;
    await servers[0]!.kill();
    await until(() => !a.bus.up);
    // It finds another server by itself.
    await until(() => a.bus.up);
    expect(text(await b.bus.ask(["t"], bytes(""), 5_000))).toBe("yes");
    await eventually(locates(b, "a"), (count) => count === 1);
    a.bus.register("session", "after", "1");
    await eventually(locates(b, "after"), (count) => count === 1);
    expect(told).toEqual([]);
    await servers[0]!.restart();
  });
});
