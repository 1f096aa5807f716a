import { connect, errors, headers, type Msg, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Code } from "../../src/base/code.js";
import { RpcError } from "../../src/base/error.js";
import type { Broker, BrokerHost, TopicSpec } from "../../src/broker/broker.js";
import { natsBroker } from "../../src/nats/broker.js";
import type { NatsBrokerOptions } from "../../src/nats/options.js";
import { brokerContract, Heard, numbered, publishAll, textOf, topic } from "../broker/broker-contract.js";
import { type NatsServer, startNats, startNatsCluster } from "../support/nats.js";
import { until } from "../support/until.js";

let server: NatsServer;

beforeAll(async () => {
  server = await startNats();
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const pass = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A broker that has started, and what it has told. */
interface Started extends AsyncDisposable {
  readonly broker: Broker;
  readonly ready: boolean[];
  readonly warnings: string[];
}

let nodes = 0;

function hostFor(ready: boolean[], warnings: string[]): BrokerHost {
  return {
    node: (++nodes).toString(16).padStart(32, "0"),
    onReady: (isReady) => ready.push(isReady),
    warn: (message) => warnings.push(message),
  };
}

async function start(options: NatsBrokerOptions = {}): Promise<Started> {
  const [ready, warnings]: [boolean[], string[]] = [[], []];
  const broker = natsBroker({
    ...(options.connection === undefined && options.servers === undefined ? { servers: server.url } : {}),
    ...options,
  });
  await broker.start(hostFor(ready, warnings));
  return { broker, ready, warnings, [Symbol.asyncDispose]: () => broker.close() };
}

/** A connection that loses what it is told to lose, of what it hears, without a word. */
function leaky(connection: NatsConnection, isLost: (message: Msg) => boolean): NatsConnection {
  return new Proxy(connection, {
    get(target, property) {
      if (property === "subscribe") {
        const subscribe: NatsConnection["subscribe"] = (subject, options) =>
          target.subscribe(subject, {
            ...options,
            callback: (error, message) => {
              if (error !== null || !isLost(message)) return options?.callback?.(error, message);
            },
          });
        return subscribe;
      }
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** A broker that hears nothing of what is live while `deaf` says so. */
async function startLeaky(
  options: NatsBrokerOptions = {},
): Promise<Started & { lose: (message: Msg) => boolean }> {
  const connection = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  const leak = { lose: (_message: Msg): boolean => false };
  const isLost = (message: Msg) => /\.[lp]\./.test(message.subject) && leak.lose(message);
  const started = await start({ connection: leaky(connection, isLost), ...options });
  return Object.assign(leak, started, {
    [Symbol.asyncDispose]: async () => {
      await started.broker.close();
      await connection.close();
    },
  });
}

async function rejection(promise: unknown): Promise<RpcError> {
  const error = await Promise.resolve(promise).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RpcError);
  return error as RpcError;
}

/** Asks JetStream itself. */
async function jetStream(verb: string, body?: object): Promise<Record<string, unknown>> {
  const connection = await connect({ servers: server.url });
  try {
    return (await connection.request(`$JS.API.${verb}`, body && JSON.stringify(body))).json();
  } finally {
    await connection.close();
  }
}

brokerContract("a broker on NATS", async () => {
  const [one, other] = [await start(), await start()];
  return {
    publisher: one.broker,
    follower: other.broker,
    pass,
    [Symbol.asyncDispose]: async () => {
      await one.broker.close();
      await other.broker.close();
    },
  };
});

describe("options", () => {
  test("wrong ones are named", () => {
    const wrong = (options: unknown) => () => natsBroker(options as NatsBrokerOptions);
    expect(wrong({ server: "x" })).toThrow('no option "server"');
    expect(wrong({ prefix: "a.b" })).toThrow("prefix");
    expect(wrong({ replicas: 0 })).toThrow("replicas");
    expect(wrong({ replicas: 6 })).toThrow("replicas");
    expect(wrong({ publishWindow: 0 })).toThrow("publishWindow");
    expect(wrong({ maxPublishBytes: 0 })).toThrow("maxPublishBytes");
    expect(wrong({ whenDown: "never" })).toThrow("whenDown");
    expect(wrong({ publishTimeoutMs: -1 })).toThrow("publishTimeoutMs");
    expect(wrong({ lingerMs: Number.NaN })).toThrow("lingerMs");
    expect(wrong({ maxRingBytes: 0.5 })).toThrow("maxRingBytes");
    expect(wrong({ checkMs: 1 })).toThrow("checkMs");
    expect(wrong({ servers: "a", connect: { servers: "b" } })).toThrow("servers");
    expect(wrong({ servers: "a", connection: {} })).toThrow("connection");
  });

  test("a server that refuses the credentials ends the start", async () => {
    await using secured = await startNats({ config: "authorization { user: a, password: b }" });
    const broker = natsBroker({ servers: secured.url, connect: { user: "a", pass: "wrong" } });
    await expect(broker.start(hostFor([], []))).rejects.toThrow(/authorization/i);
    await using fine = await start({ servers: secured.url, connect: { user: "a", pass: "b" } });
    expect(fine.ready).toEqual([true]);
  });

  test("a start waits for a server that is not there yet", async () => {
    await using late = await startNats();
    await late.stop();
    const [ready, warnings]: [boolean[], string[]] = [[], []];
    const broker = natsBroker({ servers: late.url });
    const starting = broker.start(hostFor(ready, warnings));
    await pass(400);
    expect(ready).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining("cannot be reached")]);
    await late.restart();
    await starting;
    expect(ready).toEqual([true]);
    await broker.close();
  });

  test("a start goes on when the connection breaks at its very end", async () => {
    const connection = await connect({ servers: server.url });
    let fails = 2;
    const breaking = new Proxy(connection, {
      get(target, property) {
        const value: unknown = Reflect.get(target, property);
        if (property !== "publish") return typeof value === "function" ? value.bind(target) : value;
        return (...args: Parameters<NatsConnection["publish"]>) => {
          // The question whether all nodes hear this one.
          if (args[0] === "hawser.f" && fails-- > 0) throw new errors.ConnectionError("it broke");
          target.publish(...args);
        };
      },
    });
    const started = await start({ connection: breaking });
    expect(fails).toBeLessThan(1);
    expect(started.ready).toEqual([true]);
    await started.broker.close();
    await connection.close();
  });

  test("a connection that is given stays open", async () => {
    const connection = await connect({ servers: server.url });
    const { broker } = await start({ connection });
    await broker.follow(topic(), new Heard());
    await broker.follow(topic({ history: undefined }), new Heard());
    await broker.close();
    expect(connection.isClosed()).toBe(false);
    await connection.close();
  });

  test("a stream of the same name with other settings is not touched", async () => {
    await using one = await start({ prefix: "taken" });
    await jetStream("STREAM.CREATE.TAKEN_7_60000", { name: "TAKEN_7_60000", subjects: ["other.*"] });
    const spec = topic({ history: { size: 7, ttlMs: 60_000 } });
    const published = await rejection(one.broker.publish(spec, Buffer.from("a"), ""));
    expect(published.code).toBe(Code.FailedPrecondition);
    expect(published.message).toContain("TAKEN_7_60000");
    const followed = await rejection(one.broker.follow(spec, new Heard()));
    expect(followed.message).toMatch(/subjects.*republish/);
  });
});

describe("publishing", () => {
  test("all nodes hear what two publish in the same order", async () => {
    await using one = await start();
    await using other = await start();
    const spec = topic({ history: { size: 20_000, ttlMs: 60_000 } });
    const [here, there] = [new Heard(), new Heard()];
    await one.broker.follow(spec, here);
    await other.broker.follow(spec, there);
    const [first, second] = await Promise.all([
      publishAll(one.broker, spec, numbered(5_000, "one")),
      publishAll(other.broker, spec, numbered(5_000, "other")),
    ]);
    await Promise.all([here.atLeast(10_000), there.atLeast(10_000)]);
    expect(here.texts).toEqual(there.texts);
    expect(here.offsets).toEqual(there.offsets);
    expect(here.texts.filter((text) => text.startsWith("one"))).toEqual(numbered(5_000, "one"));
    expect(here.texts.filter((text) => text.startsWith("other"))).toEqual(numbered(5_000, "other"));
    expect([...first, ...second].sort((a, b) => a - b)).toEqual(here.offsets);
  });

  test("what is too large is refused", async () => {
    await using one = await start({ maxPublishBytes: 10_000 });
    for (const history of [undefined, { size: 10, ttlMs: 60_000 }]) {
      const spec = topic({ history });
      const large = await rejection(one.broker.publish(spec, new Uint8Array(2_000_000), ""));
      expect([large.code, large.executed]).toEqual([Code.ResourceExhausted, "no"]);
      const all = await Promise.allSettled(
        numbered(100).map(() => one.broker.publish(spec, new Uint8Array(1_000), "")),
      );
      const failed = all.filter(({ status }) => status === "rejected");
      expect(failed.length).toBeGreaterThan(50);
      expect(failed.length).toBeLessThan(100);
      const { reason } = failed[0] as PromiseRejectedResult;
      expect([reason.code, reason.executed]).toEqual([Code.ResourceExhausted, "no"]);
      // The place is given back.
      await one.broker.publish(spec, new Uint8Array(1_000), "");
    }
  });

  test("a window of one keeps the order", async () => {
    await using one = await start({ publishWindow: 1 });
    const spec = topic();
    const heard = new Heard();
    await one.broker.follow(spec, heard);
    await publishAll(one.broker, spec, numbered(300));
    expect((await heard.atLeast(300)).texts).toEqual(numbered(300));
  });
});

describe("losses", () => {
  test("live publications that are lost are read from the stream", async () => {
    await using one = await start();
    await using other = await startLeaky();
    const spec = topic();
    const heard = new Heard();
    await other.broker.follow(spec, heard);
    let seen = 0;
    other.lose = () => seen++ % 7 === 3;
    await publishAll(one.broker, spec, numbered(700));
    await until(() => seen === 700);
    other.lose = () => false;
    await publishAll(one.broker, spec, ["last"]);
    await heard.atLeast(701);
    expect(heard.texts).toEqual([...numbered(700), "last"]);
    expect(heard.gaps).toEqual([]);
  });

  test("the last publication that was lost is found by a check", async () => {
    await using one = await start();
    await using other = await startLeaky({ checkMs: 300 });
    const spec = topic();
    const heard = new Heard();
    const feed = await other.broker.follow(spec, heard);
    other.lose = () => true;
    const [, offset] = await publishAll(one.broker, spec, ["a", "b"]);
    expect((await heard.atLeast(2)).texts).toEqual(["a", "b"]);
    expect(feed.position.offset).toBe(offset);
    expect(heard.gaps).toEqual([]);
  });

  test("what is not kept any more when it is missed is a gap", async () => {
    await using one = await start();
    await using other = await startLeaky();
    const spec = topic({ history: { size: 5, ttlMs: 60_000 } });
    const heard = new Heard();
    const feed = await other.broker.follow(spec, heard);
    await publishAll(one.broker, spec, ["first"]);
    await heard.atLeast(1);
    other.lose = () => true;
    const offsets = await publishAll(one.broker, spec, numbered(50));
    await pass(200);
    other.lose = () => false;
    await publishAll(one.broker, spec, ["last"]);
    await heard.atLeast(6);
    expect(heard.texts).toEqual(["first", ...numbered(50).slice(46), "last"]);
    expect(heard.gaps).toEqual([
      {
        position: { epoch: feed.position.epoch, offset: (offsets[46] as number) - 1 },
        reason: "historyTooShort",
      },
    ]);
    expect(heard.publications[1]?.previous).toBe((offsets[46] as number) - 1);
  });

  test("without history, a hole in what is published is a gap", async () => {
    await using one = await start();
    await using other = await startLeaky();
    const spec = topic({ history: undefined });
    const heard = new Heard();
    const feed = await other.broker.follow(spec, heard);
    await publishAll(one.broker, spec, ["a"]);
    await heard.atLeast(1);
    other.lose = () => true;
    await publishAll(one.broker, spec, ["b", "c"]);
    await pass(100);
    other.lose = () => false;
    await publishAll(one.broker, spec, ["d"]);
    await heard.atLeast(2);
    expect(heard.texts).toEqual(["a", "d"]);
    const { epoch } = feed.position;
    expect(heard.gaps).toEqual([{ position: { epoch, offset: 2 }, reason: "brokerLoss" }]);
    expect(heard.publications[1]).toMatchObject({ previous: 2, offset: 3 });
  });

  test("a topic that is silent for longer than its history lasts has no gap", async () => {
    await using one = await start();
    await using other = await start();
    const spec = topic({ history: { size: 100, ttlMs: 1_000 } });
    const heard = new Heard();
    await other.broker.follow(spec, heard);
    for (const text of ["a", "b", "c"]) {
      await publishAll(one.broker, spec, [text]);
      await pass(3_500);
    }
    expect(heard.texts).toEqual(["a", "b", "c"]);
    expect(heard.gaps).toEqual([]);
    const offsets = [0, ...heard.offsets];
    expect(heard.publications.slice(1).map(({ previous }) => previous)).toEqual(offsets.slice(1, 3));
  });

  test("a stream that is deleted is made again, with another epoch", async () => {
    await using one = await start({ prefix: "gone", checkMs: 200 });
    await using other = await start({ prefix: "gone" });
    const spec = topic();
    const [here, there] = [new Heard(), new Heard()];
    const feed = await one.broker.follow(spec, here);
    await other.broker.follow(spec, there);
    const before = await one.broker.publish(spec, Buffer.from("a"), "");
    await Promise.all([here.atLeast(1), there.atLeast(1)]);
    await jetStream("STREAM.DELETE.GONE_1000_60000");
    const after = await Promise.all(
      numbered(20, "b").map((text) => other.broker.publish(spec, Buffer.from(text), "")),
    );
    await Promise.all([here.atLeast(21), there.atLeast(21)]);
    const { epoch } = after[0] as { epoch: string };
    expect(epoch).not.toBe(before.epoch);
    expect(feed.position.epoch).toBe(epoch);
    for (const heard of [here, there]) {
      expect(heard.texts).toEqual(["a", ...numbered(20, "b")]);
      expect(heard.gaps.map(({ reason, position }) => [reason, position.epoch])).toEqual([
        ["newEpoch", epoch],
      ]);
    }
    // Nobody publishes: a check finds it.
    await jetStream("STREAM.DELETE.GONE_1000_60000");
    await until(() => here.gaps.length === 2);
  });
});

describe("reading", () => {
  test("a slice is whole only if it is, while the oldest are removed", async () => {
    await using one = await start();
    await using other = await start({ maxRingBytes: 300, lingerMs: 0 });
    const spec = topic({ history: { size: 40, ttlMs: 60_000 } });
    const log: { offset: number; text: string }[] = [];
    const heard = new Heard();
    await one.broker.follow(spec, heard);
    let isOver = false;
    const publishing = (async () => {
      for (let round = 0; !isOver; round++) {
        await publishAll(one.broker, spec, numbered(10, `${round}.`));
        await pass(1);
      }
    })();
    await heard.atLeast(100);
    let [whole, cut] = [0, 0];
    for (let round = 0; round < 200; round++) {
      const feed = await other.broker.follow(spec, new Heard());
      const { offset } = feed.position;
      const after = Math.max(0, offset - 5 - Math.floor(Math.random() * 60));
      const slice = await feed.read(after, 1_000, 1_000_000);
      await until(() => (heard.offsets.at(-1) ?? 0) >= offset);
      const expected = heard.publications.filter((each) => each.offset > after && each.offset <= offset);
      if (slice.whole) {
        whole++;
        expect(slice.publications.map(textOf)).toEqual(expected.map(textOf));
      } else {
        cut++;
        const first = slice.publications[0]?.previous ?? offset;
        expect(first).toBeGreaterThan(after);
        expect(slice.publications.map(textOf)).toEqual(
          expected.filter((each) => each.offset > first).map(textOf),
        );
      }
      feed.close();
    }
    isOver = true;
    await publishing;
    expect(log).toEqual([]);
    expect(whole).toBeGreaterThan(10);
    expect(cut).toBeGreaterThan(10);
  });

  test("many who come back at the same time cost one reading", async () => {
    await using one = await start();
    await using other = await startLeaky();
    const spec = topic();
    const offsets = await publishAll(one.broker, spec, numbered(400));
    const feed = await other.broker.follow(spec, new Heard());
    const slices = numbered(100).map((_, index) => feed.read(offsets[index] as number, 1_000, 1_000_000));
    for (const [index, slice] of (await Promise.all(slices)).entries()) {
      expect(slice.whole).toBe(true);
      expect(slice.publications.map(textOf)).toEqual(numbered(400).slice(index + 1));
    }
    const again = feed.read(offsets[0] as number, 1_000, 1_000_000);
    expect(again).not.toBeInstanceOf(Promise);
  });

  test("one who saw a topic empty misses nothing when it is not", async () => {
    await using one = await start({ lingerMs: 0 });
    await using other = await start();
    const spec = topic();
    // Others have used the stream before.
    await publishAll(one.broker, topic(), numbered(10));
    const early = await one.broker.follow(spec, new Heard());
    const { offset } = early.position;
    early.close();
    await publishAll(other.broker, spec, ["a", "b"]);
    const feed = await other.broker.follow(spec, new Heard());
    const slice = await feed.read(offset, 10, 1_000);
    expect(slice.whole).toBe(true);
    expect(slice.publications.map(textOf)).toEqual(["a", "b"]);
  });

  test("a feed that is closed for a moment goes on from memory", async () => {
    await using one = await start({ lingerMs: 400 });
    const spec = topic();
    const first = await one.broker.follow(spec, new Heard());
    const { offset } = first.position;
    first.close();
    await publishAll(one.broker, spec, numbered(5));
    const heard = new Heard();
    const second = await one.broker.follow(spec, heard);
    await until(() => second.position.offset > offset + 4);
    const slice = second.read(offset, 10, 1_000);
    expect(slice).not.toBeInstanceOf(Promise);
    expect((await slice).publications.map(textOf)).toEqual(numbered(5));
    second.close();
    await pass(700);
    const third = await one.broker.follow(spec, heard);
    const read = third.read(offset, 10, 1_000);
    expect(read).toBeInstanceOf(Promise);
    expect((await read).publications.map(textOf)).toEqual(numbered(5));
  });

  test("someone who has seen more than this node is not told that it is gone", async () => {
    await using one = await start();
    await using other = await startLeaky();
    const spec = topic();
    const feed = await other.broker.follow(spec, new Heard());
    other.lose = () => true;
    const [ahead] = await publishAll(one.broker, spec, ["a"]);
    expect(await feed.read(ahead as number, 10, 1_000)).toEqual({ publications: [], whole: true });
    expect((await feed.read((ahead as number) + 1_000, 10, 1_000)).whole).toBe(false);
  });
});

describe("NATS goes away", () => {
  const texts = (prefix: string, count: number) => numbered(count, prefix);

  test("what is acknowledged while a server restarts comes once, in order", async () => {
    await using own = await startNats();
    // A machine with much else to do takes its time.
    await using one = await start({ servers: own.url, whenDown: "wait", publishTimeoutMs: 55_000 });
    await using other = await start({ servers: own.url });
    const spec = topic({ history: { size: 50_000, ttlMs: 600_000 } });
    const [here, there] = [new Heard(), new Heard()];
    await one.broker.follow(spec, here);
    await other.broker.follow(spec, there);
    const acknowledged: Promise<number[]>[] = [];
    const publish = async () => {
      for (let batch = 0; batch < 40; batch++) {
        acknowledged.push(publishAll(one.broker, spec, texts(`${batch}.`, 100)));
        await pass(10);
      }
    };
    const publishing = publish();
    for (let round = 0; round < 3; round++) {
      await pass(80);
      await own.kill();
      await own.restart();
    }
    await publishing;
    const offsets = (await Promise.all(acknowledged)).flat();
    const expected = numbered(40).flatMap((batch) => texts(`${batch}.`, 100));
    await Promise.all([here.atLeast(4_000), there.atLeast(4_000)]);
    for (const heard of [here, there]) {
      expect(heard.texts).toEqual(expected);
      expect(heard.offsets).toEqual(offsets);
      expect(heard.gaps).toEqual([]);
      await until(() => heard.live.at(-1) === true);
    }
  });

  test("publishing fails without a connection, or waits for it", async () => {
    await using own = await startNats();
    await using failing = await start({ servers: own.url });
    await using waiting = await start({ servers: own.url, whenDown: "wait" });
    await using impatient = await start({ servers: own.url, whenDown: "wait", publishTimeoutMs: 300 });
    const [spec, plain] = [topic(), topic({ history: undefined })];
    const [heard, plainHeard] = [new Heard(), new Heard()];
    await failing.broker.follow(spec, heard);
    await failing.broker.follow(plain, plainHeard);
    await publishAll(waiting.broker, spec, ["before"]);
    await publishAll(waiting.broker, plain, ["before"]);
    await own.stop();
    await until(() => heard.live.length > 0 && plainHeard.live.length > 0);
    for (const each of [spec, plain]) {
      const failed = await rejection(failing.broker.publish(each, Buffer.from("x"), ""));
      expect([failed.code, failed.executed]).toEqual([Code.Unavailable, "no"]);
      const late = await rejection(impatient.broker.publish(each, Buffer.from("x"), ""));
      expect([late.code, late.executed]).toEqual([Code.Unavailable, "no"]);
      expect((await rejection(failing.broker.follow(topic(), new Heard()))).code).toBe(Code.Unavailable);
    }
    const published = publishAll(waiting.broker, spec, ["a", "b"]);
    const publishedPlain = publishAll(waiting.broker, plain, ["a", "b"]);
    await pass(100);
    await own.restart();
    await Promise.all([published, publishedPlain]);
    await heard.atLeast(3);
    await until(() => heard.live.length === 2 && plainHeard.live.length === 2);
    await pass(200);
    expect(heard.texts).toEqual(["before", "a", "b"]);
    expect(heard.live).toEqual([false, true]);
    expect(heard.gaps).toEqual([]);
    expect(plainHeard.live).toEqual([false, true]);
    expect(plainHeard.gaps.map(({ reason }) => reason)).toEqual(["brokerLoss"]);
  });

  test("readiness goes after 5 s without a connection, and comes back with it", async () => {
    await using own = await startNats();
    await using one = await start({ servers: own.url });
    const heard = new Heard();
    await one.broker.follow(topic(), heard);
    await own.stop();
    await pass(3_000);
    expect(one.ready).toEqual([true]);
    await until(() => one.ready.length === 2);
    expect(one.ready).toEqual([true, false]);
    await own.restart();
    await until(() => one.ready.length === 3);
    expect(heard.live).toEqual([false, true]);
  });

  test("a server that stands still for a while holds up, and nothing is lost or doubled", async () => {
    await using own = await startNats();
    await using one = await start({ servers: own.url });
    const spec = topic();
    const heard = new Heard();
    await one.broker.follow(spec, heard);
    await publishAll(one.broker, spec, ["before"]);
    own.pause();
    const published = publishAll(one.broker, spec, numbered(2_000));
    await pass(3_500);
    own.resume();
    await published;
    expect((await heard.atLeast(2_001)).texts).toEqual(["before", ...numbered(2_000)]);
  });
});

test("a cluster whose leader is killed loses nothing that was acknowledged", {
  timeout: 120_000,
}, async () => {
  const cluster = await startNatsCluster(3, { config: "" });
  const brokers: Started[] = [];
  try {
    const servers = cluster.map(({ url }) => url);
    for (const { url } of cluster) {
      const others = servers.filter((each) => each !== url);
      brokers.push(
        await start({
          servers: [url, ...others],
          connect: { noRandomize: true },
          replicas: 3,
          whenDown: "wait",
          publishTimeoutMs: 60_000,
        }),
      );
    }
    const spec: TopicSpec = topic({ history: { size: 30_000, ttlMs: 600_000 } });
    const heard = brokers.map(() => new Heard());
    for (const [index, { broker }] of brokers.entries()) await broker.follow(spec, heard[index] as Heard);
    const leader = await leaderOf(servers[0] as string, "HAWSER_30000_600000");
    const total = 10_000;
    const publish = async ({ broker }: Started, name: string) => {
      const acknowledged: Promise<number[]>[] = [];
      for (let batch = 0; batch < total / 100; batch++) {
        acknowledged.push(publishAll(broker, spec, numbered(100, `${name}${batch}.`)));
        await pass(5);
      }
      return (await Promise.all(acknowledged)).flat();
    };
    const [one, other] = brokers as [Started, Started, Started];
    const publishing = Promise.all([publish(one, "one"), publish(other, "other")]);
    await pass(200);
    await cluster[leader]?.kill();
    const [first, second] = await publishing;
    await Promise.all(heard.map((each) => each.atLeast(2 * total)));
    const acknowledged = [...first, ...second].sort((a, b) => a - b);
    for (const each of heard) {
      expect(each.offsets).toEqual(acknowledged);
      expect(new Set(each.texts).size).toBe(2 * total);
      expect(each.texts).toEqual(heard[0]?.texts);
      expect(each.gaps).toEqual([]);
      for (const name of ["one", "other"]) {
        const expected = numbered(total / 100).flatMap((batch) => numbered(100, `${name}${batch}.`));
        expect(each.texts.filter((text) => text.startsWith(name))).toEqual(expected);
      }
    }
  } finally {
    await Promise.all(brokers.map(({ broker }) => broker.close()));
    await Promise.all(cluster.map((node) => node[Symbol.asyncDispose]()));
  }
});

test("a topic waits no longer for a node that has said farewell", async () => {
  const prefix = "farewell";
  await using a = await start({ prefix });
  const ghost = await connect({ servers: server.url });
  try {
    // It is alive by its key, and answers nothing.
    const key = `$KV.${prefix}-nodes.${"f".repeat(32)}`;
    ghost.publish(key);
    await until(() => a.broker.bus?.nodes.size === 1);
    // Patience never ends.
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const following = a.broker.follow(topic({ history: undefined }), new Heard());
    const farewell = headers();
    farewell.set("KV-Operation", "DEL");
    // By then the others have answered.
    for (let round = 0; round < 20; round++) await ghost.flush();
    ghost.publish(key, "", { headers: farewell });
    (await following).close();
    expect(a.broker.bus?.nodes.size).toBe(0);
  } finally {
    vi.useRealTimers();
    await ghost.close();
  }
}, 20_000);

/** Which node of the cluster leads a stream. */
async function leaderOf(url: string, stream: string): Promise<number> {
  const connection = await connect({ servers: url });
  try {
    const info: { cluster: { leader: string } } = (
      await connection.request(`$JS.API.STREAM.INFO.${stream}`)
    ).json();
    return Number(info.cluster.leader.replace("node", "")) - 1;
  } finally {
    await connection.close();
  }
}
