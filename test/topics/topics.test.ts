// Topics between real clients and a real server, with connections that break.
import { afterEach, describe, expect, it } from "vitest";
import { type Note, TopicService } from "../../gen/hawser/test/v1/topics_pb.js";
import {
  type CallOptions,
  Code,
  type Connection,
  type ConnectOptions,
  connect,
  createClient,
  gapBefore,
  RpcError,
  type TopicGap,
} from "../../src/client/index.js";
import { createServer, type Server, type ServerOptions } from "../../src/server/index.js";
import { createFaultProxy, type FaultProxy } from "../../src/testing/index.js";
import { LatestNotes, Notes, PlainNotes, ShortNotes, topicRoutes } from "../support/topics.js";
import { until } from "../support/until.js";

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Subject {
  readonly server: Server;
  readonly proxy: FaultProxy;
  readonly connection: Connection;
}

const FAST = { initialDelayMs: 1, maxDelayMs: 20 };

async function setUp(
  options: Partial<ServerOptions> = {},
  client: ConnectOptions = {},
): Promise<Subject & { client(more?: ConnectOptions): Connection }> {
  const server = createServer({ routes: topicRoutes, ...options });
  closers.push(() => server.close());
  const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
  const proxy = await createFaultProxy({ target: { port } });
  closers.push(() => proxy.close());
  const another = (more: ConnectOptions = {}) => {
    const connection = connect(proxy.url, { reconnect: FAST, ...client, ...more });
    closers.push(() => connection.close());
    return connection;
  };
  return { server, proxy, connection: another(), client: another };
}

/** Collects what a subscription gives. */
class Watcher {
  readonly notes: Note[] = [];
  readonly gaps: TopicGap[] = [];
  readonly positions: string[] = [];
  readonly done: Promise<void>;
  error: unknown;
  /** While it is set, nothing is read. */
  pause: Promise<void> | undefined;
  readonly #abort = new AbortController();

  constructor(
    connection: Connection,
    kind: "watch" | "watchPlain" | "watchLatest",
    name: string,
    options: CallOptions["topic"] = {},
  ) {
    const stream = createClient(TopicService, connection)[kind](
      { name },
      {
        signal: this.#abort.signal,
        topic: {
          ...options,
          onGap: (gap) => this.gaps.push(gap),
          onPosition: (position) => this.positions.push(position),
        },
      },
    );
    this.done = this.#read(stream).catch((error: unknown) => {
      this.error = error;
    });
  }

  get numbers(): number[] {
    return this.notes.map(({ number }) => number);
  }

  leave(): Promise<void> {
    this.#abort.abort();
    return this.done;
  }

  async #read(stream: AsyncIterable<Note>): Promise<void> {
    for await (const note of stream) {
      this.notes.push(note);
      await this.pause;
    }
  }
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const subscribed = (server: Server, count: number) => until(() => server.topics.subscribers === count);

async function post(
  server: Server,
  topic: ReturnType<typeof Notes>,
  from: number,
  to: number,
): Promise<void> {
  for (const number of range(from, to)) await server.publish(topic, { number });
}

describe("a subscriber", () => {
  it("gets what is published from then on, in order, and leaves", async () => {
    const { server, connection } = await setUp();
    await post(server, Notes("a"), 1, 3);
    const watcher = new Watcher(connection, "watch", "a");
    await subscribed(server, 1);
    await post(server, Notes("a"), 4, 60);
    await until(() => watcher.notes.length === 57);
    expect(watcher.numbers).toEqual(range(4, 60));
    await watcher.leave();
    expect(watcher.error).toMatchObject({ code: Code.Canceled });
    await subscribed(server, 0);
    expect(server.topics).toMatchObject({ published: 60, delivered: 57, gaps: 0 });
  });

  it("gets what handlers publish", async () => {
    const { server, connection } = await setUp();
    const watcher = new Watcher(connection, "watch", "a");
    await subscribed(server, 1);
    const client = createClient(TopicService, connection);
    const { position } = await client.post({ name: "a", note: { number: 7, key: "k" } });
    await until(() => watcher.notes.length === 1);
    expect(watcher.notes[0]).toMatchObject({ number: 7, key: "k" });
    expect(watcher.positions).toEqual([position]);
  });

  it("may ask for the newest, and for what comes behind a position", async () => {
    const { server, connection } = await setUp();
    await post(server, Notes("a"), 1, 20);
    const last = new Watcher(connection, "watch", "a", { last: 5 });
    await until(() => last.notes.length === 5);
    expect(last.numbers).toEqual(range(16, 20));
    const all = new Watcher(connection, "watch", "a", { last: 1_000_000 });
    await until(() => all.notes.length === 20);
    const after = new Watcher(connection, "watch", "a", { after: all.positions[9] });
    await until(() => after.notes.length === 10);
    expect(after.numbers).toEqual(range(11, 20));
    await post(server, Notes("a"), 21, 21);
    await until(() => [last, all, after].every(({ notes }) => notes.at(-1)?.number === 21));
    expect([last, all, after].flatMap(({ gaps }) => gaps)).toEqual([]);
  });

  it("gets exactly what it missed after a break, and again and again", async () => {
    const { server, proxy, connection } = await setUp();
    const watcher = new Watcher(connection, "watch", "a");
    await subscribed(server, 1);
    let number = 0;
    for (let round = 0; round < 30; round++) {
      for (let i = 0; i < 20; i++) await server.publish(Notes("a"), { number: ++number });
      if (round % 3 === 0) proxy.cut("reset");
      else if (round % 3 === 1) proxy.cutAfter("down", 37 * round);
      if (round % 2 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await until(() => watcher.notes.length >= number);
    expect(watcher.numbers).toEqual(range(1, number));
    expect(watcher.gaps).toEqual([]);
  });

  it("goes on in a new session when the old one is lost", async () => {
    const { server, connection } = await setUp();
    const watcher = new Watcher(connection, "watch", "a");
    await subscribed(server, 1);
    await post(server, Notes("a"), 1, 10);
    await until(() => watcher.notes.length === 10);
    for (const session of server.sessions) session.close(4000, "gone");
    await post(server, Notes("a"), 11, 20);
    await until(() => watcher.notes.length >= 20);
    expect(watcher.numbers).toEqual(range(1, 20));
    expect(watcher.gaps).toEqual([]);
  });

  it("goes on in a new session though it had nothing yet", async () => {
    const { server, connection } = await setUp();
    const watcher = new Watcher(connection, "watch", "a");
    await subscribed(server, 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    for (const session of server.sessions) session.close(4000, "gone");
    await post(server, Notes("a"), 1, 5);
    await until(() => watcher.notes.length >= 5);
    expect(watcher.numbers).toEqual(range(1, 5));
  });

  it("gets large messages whole, and beside small calls", async () => {
    const { server, connection } = await setUp();
    const watcher = new Watcher(connection, "watch", "a");
    await subscribed(server, 1);
    const body = new Uint8Array(1_500_000).map((_, i) => i * 7);
    for (let number = 1; number <= 6; number++) await server.publish(Notes("a"), { number, body });
    await until(() => watcher.notes.length === 6);
    expect(watcher.numbers).toEqual(range(1, 6));
    for (const note of watcher.notes) expect(Buffer.compare(note.body, body)).toBe(0);
  });

  it("is served though another call of its session stopped reading the same topic", async () => {
    const { server, connection } = await setUp();
    const stopped = new Watcher(connection, "watch", "a");
    let go: () => void = () => undefined;
    stopped.pause = new Promise((resolve) => {
      go = resolve;
    });
    const reading = new Watcher(connection, "watch", "a");
    await subscribed(server, 2);
    const body = new Uint8Array(10_000);
    for (let number = 1; number <= 200; number++) await server.publish(Notes("a"), { number, body });
    await until(() => reading.notes.length === 200);
    expect(stopped.notes.length).toBe(1);
    stopped.pause = undefined;
    go();
    await until(() => stopped.notes.length === 200);
    expect(stopped.numbers).toEqual(range(1, 200));
  });
});

describe("a gap", () => {
  it("is told when history is too short, before the message behind it", async () => {
    const { server, proxy, connection } = await setUp();
    const watcher = new Watcher(connection, "watch", "short");
    await subscribed(server, 1);
    await post(server, ShortNotes("short"), 1, 3);
    await until(() => watcher.notes.length === 3);
    await proxy.refuse("reset");
    proxy.cut("reset");
    await post(server, ShortNotes("short"), 4, 20);
    await proxy.refuse(false);
    await until(() => watcher.notes.at(-1)?.number === 20);
    expect(watcher.numbers).toEqual([1, 2, 3, 16, 17, 18, 19, 20]);
    expect(watcher.gaps).toEqual([
      { reason: "historyTooShort", from: watcher.positions[2], to: expect.any(String) },
    ]);
    expect(watcher.notes.map((note) => gapBefore(note) !== undefined)).toEqual([
      false,
      false,
      false,
      true,
      false,
      false,
      false,
      false,
    ]);
  });

  it("is told of topics without history, unless nothing was missed", async () => {
    const { server, proxy, connection } = await setUp();
    const watcher = new Watcher(connection, "watchPlain", "a");
    await subscribed(server, 1);
    await post(server, PlainNotes("a"), 1, 3);
    await until(() => watcher.notes.length === 3);
    for (const session of server.sessions) session.close(4000, "gone");
    await until(() => server.topics.subscribers === 1 && connection.state === "open");
    await post(server, PlainNotes("a"), 4, 4);
    await until(() => watcher.notes.length === 4);
    expect(watcher.gaps).toEqual([]);
    await proxy.refuse("reset");
    proxy.cut("reset");
    const body = new Uint8Array(100_000);
    for (let number = 5; number <= 40; number++) await server.publish(PlainNotes("a"), { number, body });
    await proxy.refuse(false);
    await until(() => watcher.notes.at(-1)?.number === 40);
    expect(watcher.gaps.map(({ reason }) => reason)).toEqual(["noHistory"]);
    expect(new Set(watcher.numbers).size).toBe(watcher.numbers.length);
  });

  it("is told when the server has lost its state", async () => {
    const { server, proxy, connection } = await setUp();
    const watcher = new Watcher(connection, "watch", "a");
    await subscribed(server, 1);
    await post(server, Notes("a"), 1, 3);
    await until(() => watcher.notes.length === 3);
    const port = Number(new URL(proxy.url).port);
    await server.close();
    await proxy.close();
    const second = createServer({ routes: topicRoutes });
    closers.push(() => second.close());
    await second.listen({ port, host: "127.0.0.1" });
    await post(second, Notes("a"), 10, 11);
    await until(() => watcher.notes.at(-1)?.number === 11);
    expect(watcher.numbers).toEqual([1, 2, 3, 10, 11]);
    expect(watcher.gaps.map(({ reason }) => reason)).toEqual(["newEpoch"]);
  });
});

describe("a slow subscriber", () => {
  it("of a topic that conflates gets the newest of each key", async () => {
    const { server, proxy, connection } = await setUp();
    const watcher = new Watcher(connection, "watchLatest", "a");
    await subscribed(server, 1);
    await server.publish(LatestNotes("a"), { number: 0, key: "x" });
    await until(() => watcher.notes.length === 1);
    await proxy.refuse("reset");
    proxy.cut("reset");
    for (const number of range(1, 1_000)) {
      await server.publish(LatestNotes("a"), { number, key: `k${number % 10}` });
    }
    await proxy.refuse(false);
    await until(() => watcher.notes.at(-1)?.number === 1_000);
    expect(watcher.numbers).toEqual([0, ...range(991, 1_000)]);
    expect(watcher.gaps).toEqual([]);
  });
});

describe("limits and faults", () => {
  it("bound the topics of a session and the subscribers of a topic", async () => {
    const { server, connection } = await setUp({ maxTopicsPerSession: 2 });
    const first = new Watcher(connection, "watch", "a");
    const second = new Watcher(connection, "watch", "b");
    await subscribed(server, 2);
    const third = new Watcher(connection, "watch", "c");
    await third.done;
    expect(third.error).toMatchObject({ code: Code.ResourceExhausted, executed: "no" });
    await Promise.all([first.leave(), second.leave()]);
  });

  it("refuse a position that is none, and a message that is too large", async () => {
    const { server, connection } = await setUp({ limits: { messageBytes: 1_000 } });
    const client = createClient(TopicService, connection);
    const read = async (options: CallOptions) => {
      for await (const _note of client.watch({ name: "a" }, options));
    };
    await expect(read({ topic: { after: "nonsense" } })).rejects.toMatchObject({
      code: Code.InvalidArgument,
    });
    const tooLarge = server.publish(Notes("a"), { body: new Uint8Array(2_000) });
    await expect(tooLarge).rejects.toBeInstanceOf(RpcError);
    await expect(tooLarge).rejects.toMatchObject({ code: Code.ResourceExhausted, executed: "no" });
  });
});
