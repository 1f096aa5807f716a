import { describe, expect, it } from "vitest";
import { Code } from "../../src/base/code.js";
import { createMemoryBuses, type MemoryBus } from "../../src/broker/memory-bus.js";
import { createVirtualClock } from "../../src/testing/clock.js";
import { busContract } from "./bus-contract.js";

const after = (ms: number, task: () => void) => {
  const timer = setTimeout(task, Math.min(ms, 2 ** 31 - 1));
  return () => clearTimeout(timer);
};

busContract("in memory", async () => {
  const buses = createMemoryBuses({ defer: setImmediate, after, goneAfterMs: 20 });
  const joined: MemoryBus[] = [];
  return {
    join: async () => {
      const bus = buses.join(`node${joined.length}`);
      joined.push(bus);
      return { bus, leave: async () => bus.close(), die: async () => bus.crash() };
    },
    [Symbol.asyncDispose]: async () => {
      for (const bus of joined) bus.close();
    },
  };
});

describe("buses in memory", () => {
  const virtual = () => {
    const clock = createVirtualClock();
    const buses = createMemoryBuses({
      defer: (task) => clock.schedule(task, 0),
      after: (ms, task) => clock.schedule(task, ms),
    });
    return { clock, buses };
  };
  const nothing = new Uint8Array(0);

  it("run on the time that is handed in, and leave no timer", async () => {
    const { clock, buses } = virtual();
    const [a, b] = [buses.join("a"), buses.join("b")];
    b.listen(["t"], () => {});
    const asked = expect(a.ask(["t"], nothing, 1_000)).rejects.toMatchObject({ code: Code.DeadlineExceeded });
    await clock.advance(1_000);
    await asked;
    b.listen(["t"], (message) => message.reply(nothing));
    const again = a.ask(["t"], nothing, 1_000);
    await clock.advance(1);
    await again;
    expect(clock.pending).toBe(0);
  });

  it("notice a crash after a time, and a farewell at once", async () => {
    const { clock, buses } = virtual();
    const [a, b, c] = [buses.join("a"), buses.join("b"), buses.join("c")];
    await clock.advance(1);
    b.crash();
    c.close();
    await clock.advance(11_000);
    expect([...a.nodes]).toEqual(["b"]);
    await clock.advance(1_000);
    expect([...a.nodes]).toEqual([]);
    expect(() => buses.join("a")).toThrow("has joined before");
    expect(clock.pending).toBe(0);
  });

  it("can be cut off, and come back", async () => {
    const { clock, buses } = virtual();
    const [a, b] = [buses.join("a"), buses.join("b")];
    await clock.advance(1);
    const told: string[] = [];
    for (const bus of [a, b]) {
      bus.watch({
        onNode: (node) => told.push(`${bus.node}: +${node}`),
        onNodeGone: (node) => told.push(`${bus.node}: -${node}`),
        onUp: (up) => told.push(`${bus.node}: ${up}`),
      });
    }
    told.length = 0;
    a.listen(["t"], () => {});
    const lost = expect(a.ask(["t"], nothing, 1_000)).rejects.toMatchObject({
      code: Code.Unavailable,
      executed: "unknown",
    });
    a.partition();
    await lost;
    expect(() => a.send(["t"], nothing)).toThrow(expect.objectContaining({ executed: "no" }));
    await expect(a.ask(["t"], nothing, 1_000)).rejects.toMatchObject({ executed: "no" });
    await expect(a.locate("session", "s")).rejects.toMatchObject({ code: Code.Unavailable });
    await expect(b.ask(["t"], nothing, 1_000)).rejects.toMatchObject({ executed: "no" });
    await clock.advance(12_000);
    // Who is cut off cannot know of the others.
    expect(told).toEqual(["a: false", "b: -a"]);
    a.heal();
    await clock.advance(1);
    expect(told).toEqual(["a: false", "b: -a", "a: true", "b: +a"]);
    a.partition();
    b.close();
    a.heal();
    await clock.advance(11_000);
    expect([...a.nodes]).toEqual(["b"]);
    await clock.advance(1_000);
    expect([...a.nodes]).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it("go on after a listener that throws", async () => {
    const tasks: (() => void)[] = [];
    const buses = createMemoryBuses({ defer: (task) => tasks.push(task), after: () => () => {} });
    const a = buses.join("a");
    const heard: number[] = [];
    a.listen(["t"], ({ payload }) => {
      heard.push(payload[0] ?? 0);
      if (payload[0] === 1) throw new Error("broken");
    });
    for (const byte of [1, 2, 3]) a.send(["t"], Uint8Array.of(byte));
    expect(() => tasks.shift()?.()).toThrow("broken");
    while (tasks.length > 0) tasks.shift()?.();
    expect(heard).toEqual([1, 2, 3]);
  });
});
