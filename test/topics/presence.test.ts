// Who is subscribed, on one node.
import { afterEach, describe, expect, it } from "vitest";
import { NoteSchema, TopicService } from "../../gen/hawser/test/v1/topics_pb.js";
import { type Connection, connect, createClient } from "../../src/client/index.js";
import { defineTopic } from "../../src/index.js";
import { createServer, type Server, type ServerOptions } from "../../src/server/index.js";
import { createFaultProxy } from "../../src/testing/index.js";
import { Notes, Room, topicRoutes } from "../support/topics.js";
import { until } from "../support/until.js";

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function setUp(options: Partial<ServerOptions> = {}) {
  const server: Server = createServer({
    routes: topicRoutes,
    authenticate: ({ credentials }) => ({ id: credentials }),
    ...options,
  });
  closers.push(() => server.close());
  const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
  const client = async (credentials: string) => {
    const proxy = await createFaultProxy({ target: { port } });
    const connection = connect(proxy.url, { credentials, reconnect: { initialDelayMs: 1, maxDelayMs: 20 } });
    closers.push(
      () => proxy.close(),
      () => connection.close(),
    );
    return { proxy, connection };
  };
  return { server, client };
}

/** Subscribes; returns how to leave. */
function enter(connection: Connection, room: string): () => void {
  const abort = new AbortController();
  const read = async () => {
    const stream = createClient(TopicService, connection).watchRoom({ name: room }, { signal: abort.signal });
    for await (const _note of stream);
  };
  read().catch(() => undefined);
  return () => abort.abort();
}

/** What a client knows of who is there, and how it came to know it. */
function watchMembers(connection: Connection, room: string) {
  const known = new Map<string, string>();
  const log: string[] = [];
  const read = async () => {
    for await (const event of createClient(TopicService, connection).watchMembers({ name: room })) {
      if (event.snapshot) {
        known.clear();
        log.push(
          `all: ${event.joined
            .map(({ identity }) => identity)
            .sort()
            .join(" ")}`,
        );
      } else {
        for (const { identity } of event.joined) log.push(`+${identity}`);
        for (const { identity } of event.left) log.push(`-${identity}`);
      }
      for (const { session, info } of event.joined) known.set(session, info["name"] ?? "");
      for (const { session } of event.left) known.delete(session);
    }
  };
  read().catch(() => undefined);
  return { known, log };
}

describe("presence", () => {
  it("begins with everybody, and tells who comes and goes, once for each session", async () => {
    const { server, client } = await setUp();
    const ada = await client("ada");
    enter(ada.connection, "a");
    await until(() => server.topics.subscribers === 1);
    const bob = await client("bob");
    const seen = watchMembers(bob.connection, "a");
    await until(() => seen.log.length === 1);
    const leave = enter(bob.connection, "a");
    const leaveAgain = enter(bob.connection, "a");
    enter(bob.connection, "b");
    await until(() => server.topics.subscribers === 5);
    leave();
    await until(() => server.topics.subscribers === 4);
    expect([...seen.known.values()]).toEqual(["ADA", "BOB"]);
    leaveAgain();
    await until(() => seen.log.length === 3);
    expect(seen.log).toEqual(["all: ada", "+bob", "-bob"]);
    expect((await server.presence(Room("a"))).map(({ identity }) => identity)).toEqual(["ada"]);
    await ada.connection.close();
    await until(() => seen.log.length === 4);
    expect(seen.log.at(-1)).toBe("-ada");
    expect(() => server.presence(Notes("a"))).toThrow(TypeError);
  });

  it("asks what is known of a session once, and who it fails for is not there", async () => {
    const asked: string[] = [];
    let answer: (id: string) => unknown = () => ({});
    const Hall = defineTopic({
      name: (name: string) => `hall.${name}`,
      schema: NoteSchema,
      presence: {
        info: ({ identity }) => {
          asked.push(identity?.id ?? "");
          return answer(identity?.id ?? "") as Record<string, string>;
        },
      },
    });
    const { server, client } = await setUp({
      routes: (router) => router.service(TopicService, { watchRoom: ({ name }) => Hall(name) }),
      maxTopicsPerSession: 2,
    });
    const members = async () => (await server.presence(Hall("a"))).map(({ identity }) => identity);
    const ada = await client("ada");
    const leave = enter(ada.connection, "a");
    await until(() => server.topics.subscribers === 1);
    answer = () => {
      throw new Error("the hook fails");
    };
    // It is there already: its second call is no news, whatever the hook would say.
    const leaveAgain = enter(ada.connection, "a");
    await until(() => server.topics.subscribers === 2);
    leaveAgain();
    await until(() => server.topics.subscribers === 1);
    expect(await members()).toEqual(["ada"]);
    expect(asked).toEqual(["ada"]);
    leave();
    await until(() => server.topics.subscribers === 0);
    expect(await members()).toEqual([]);

    const bob = await client("bob");
    const call = async () => {
      const stream = createClient(TopicService, bob.connection).watchRoom({ name: "a" });
      for await (const _note of stream);
    };
    // More often than maxTopicsPerSession: what has failed takes no place.
    for (let i = 0; i < 3; i++) await expect(call()).rejects.toThrow("the hook fails");
    answer = () => ({ number: 1 });
    for (let i = 0; i < 3; i++) await expect(call()).rejects.toThrow("number must be a string, not number");
    expect(await members()).toEqual([]);
    answer = () => ({ name: "Bob" });
    enter(bob.connection, "a");
    await until(() => server.topics.subscribers === 1);
    expect(await members()).toEqual(["bob"]);
  });

  it("does not tell of a connection that breaks and comes back in time", async () => {
    const { server, client } = await setUp();
    const ada = await client("ada");
    const bob = await client("bob");
    enter(ada.connection, "a");
    const seen = watchMembers(bob.connection, "a");
    await until(() => seen.known.size === 1 && server.topics.subscribers === 2);
    for (let i = 0; i < 5; i++) {
      ada.proxy.cut("reset");
      await until(() => ada.connection.state !== "open");
      await until(() => ada.connection.state === "open");
    }
    enter(bob.connection, "a");
    await until(() => seen.known.size === 2);
    expect(seen.log).toEqual([seen.log[0], ...(seen.log[0] === "all: ada" ? [] : ["+ada"]), "+bob"]);
  });

  it("tells when a session was given up, and that the watcher's own break changes nothing", async () => {
    const { client } = await setUp({ graceMs: 30 });
    const ada = await client("ada");
    const bob = await client("bob");
    enter(ada.connection, "a");
    const seen = watchMembers(bob.connection, "a");
    await until(() => seen.known.size === 1);
    bob.proxy.cut("reset");
    await until(() => bob.connection.state !== "open");
    await until(() => bob.connection.state === "open");
    await ada.proxy.refuse("reset");
    ada.proxy.cut("reset");
    await until(() => seen.known.size === 0);
    expect(seen.log.at(-1)).toBe("-ada");
    expect(seen.log.filter((line) => line === "-ada")).toHaveLength(1);
  });
});
