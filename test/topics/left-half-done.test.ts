// What is left of a subscription that is interrupted in the middle.
import { describe, expect, it } from "vitest";
import { TopicService } from "../../gen/hawser/test/v1/topics_pb.js";
import type { Broker, FeedEvents, TopicSpec } from "../../src/broker/broker.js";
import { createMemoryBroker } from "../../src/broker/memory.js";
import { Code, createClient, RpcError } from "../../src/index.js";
import { createPair } from "../../src/testing/index.js";
import { Notes, topicRoutes } from "../support/topics.js";

describe("a broker that takes its time to say where a topic begins", () => {
  it("the link is another one by then", async () => {
    const memory = createMemoryBroker({ clock: () => 0, newEpoch: () => "epoch", maxHistoryBytes: 1e6 });
    let answer: () => void = () => undefined;
    const broker: Broker = {
      bus: undefined,
      start: (host) => memory.start(host),
      publish: (...given) => memory.publish(...given),
      close: () => memory.close(),
      follow: async (spec: TopicSpec, events: FeedEvents) => {
        const feed = await memory.follow(spec, events);
        return {
          get position() {
            return feed.position;
          },
          read: (...given) => feed.read(...given),
          offsetBefore: (count) =>
            new Promise<number>((resolve) => {
              answer = () => resolve(feed.offsetBefore(count) as number);
            }),
          close: () => feed.close(),
        };
      },
    };
    const pair = createPair({
      server: { routes: topicRoutes, broker },
      client: { reconnect: { initialDelayMs: 10, maxDelayMs: 10 } },
    });
    const numbers: number[] = [];
    const abort = new AbortController();
    const read = async () => {
      const options = { topic: { after: "another:5" }, signal: abort.signal };
      for await (const { number } of createClient(TopicService, pair.connection).watch(
        { name: "a" },
        options,
      ))
        numbers.push(number);
    };
    read().catch(() => undefined);
    await pair.clock.advance(100);
    pair.network.cut();
    await pair.clock.advance(1_000);
    expect(pair.connection.state).toBe("open");
    answer();
    await pair.clock.advance(100);
    // The link was not up when it was asked: it asks once more.
    answer();
    await pair.clock.advance(100);
    await pair.publish(Notes("a"), { number: 1 });
    await pair.clock.advance(1_000);
    expect(numbers).toEqual([1]);
    abort.abort();
    await pair.close();
    pair.assertFinished();
  });
});

it("a topic that cannot be followed leaves no timer", async () => {
  const memory = createMemoryBroker({ clock: () => 0, newEpoch: () => "epoch", maxHistoryBytes: 1e6 });
  const broker: Broker = {
    bus: undefined,
    start: (host) => memory.start(host),
    publish: (...given) => memory.publish(...given),
    close: () => memory.close(),
    follow: async () => {
      throw new RpcError("no broker", Code.Unavailable);
    },
  };
  const pair = createPair({ server: { routes: topicRoutes, broker }, client: { retry: false } });
  const messages = createClient(TopicService, pair.connection).watch({ name: "a" })[Symbol.asyncIterator]();
  let error = "";
  messages.next().catch((thrown: unknown) => {
    error = String(thrown);
  });
  await pair.clock.advance(100);
  expect(error).toMatch(/no broker/);
  await pair.close();
  pair.assertFinished();
});
