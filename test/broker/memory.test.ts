import { describe, expect, it } from "vitest";
import type { Broker } from "../../src/broker/broker.js";
import { createMemoryBroker } from "../../src/broker/memory.js";
import { brokerContract, Heard, topic } from "./broker-contract.js";

function virtual(maxHistoryBytes = 1e9) {
  let now = 0;
  let epochs = 0;
  const broker = createMemoryBroker({ clock: () => now, newEpoch: () => `e${++epochs}`, maxHistoryBytes });
  return {
    broker,
    pass(ms: number) {
      now += ms;
    },
  };
}

brokerContract("in memory", async () => {
  const { broker, pass } = virtual();
  await broker.start({ node: "n", onReady: () => undefined, warn: () => undefined });
  return {
    publisher: broker,
    follower: broker,
    pass: async (ms) => pass(ms),
    [Symbol.asyncDispose]: () => broker.close(),
  };
});

describe("the memory of a broker", () => {
  const publish = (broker: Broker, spec: ReturnType<typeof topic>, bytes: number) =>
    broker.publish(spec, new Uint8Array(bytes), "");

  it("is bounded over all topics: what was published to the longest ago goes first, and is missed", async () => {
    const { broker } = virtual(10_000);
    const [first, second] = [topic(), topic()];
    const heard = new Heard();
    const feed = await broker.follow(first, heard);
    await publish(broker, first, 4_000);
    await publish(broker, first, 4_000);
    expect((await feed.read(0, 10, 1e6)).whole).toBe(true);
    for (let i = 0; i < 3; i++) await publish(broker, second, 4_000);
    const slice = await feed.read(0, 10, 1e6);
    expect(slice.whole).toBe(false);
    await publish(broker, first, 10);
    expect(heard.offsets).toEqual([1, 2, 3]);
  });

  it("forgets a topic that nobody follows and that is too old, and begins a new numbering", async () => {
    const { broker, pass } = virtual();
    const spec = topic({ history: { size: 10, ttlMs: 1_000 } });
    await publish(broker, spec, 10);
    pass(500);
    const feed = await broker.follow(spec, new Heard());
    expect(feed.position).toEqual({ epoch: "e1", offset: 1 });
    feed.close();
    pass(2_000);
    for (let i = 0; i < 5; i++) await publish(broker, topic(), 1);
    const later = await broker.follow(spec, new Heard());
    expect(later.position.offset).toBe(0);
    expect(later.position.epoch).not.toBe("e1");
  });
});
