// The registry without a server: what it writes when, on time that does not pass by itself.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Asks, Question } from "../../src/nats/asks.js";
import type { NatsLink } from "../../src/nats/connection.js";
import { unavailable } from "../../src/nats/errors.js";
import type { KvBucket } from "../../src/nats/kv-bucket.js";
import { REGISTRY_TTL_MS, Registry } from "../../src/nats/registry.js";

/** What was written: the key, and the ids, or `undefined` when it was taken away. */
interface Write {
  readonly at: number;
  readonly key: string;
  readonly ids: readonly string[] | undefined;
}

class World {
  readonly writes: Write[] = [];
  readonly warnings: unknown[] = [];
  readonly link = { up: true };
  /** Whether the bucket is another one at the next look. */
  isOther = false;
  fails = false;
  /** Writes on their way, and the most that there ever were. */
  open = 0;
  most = 0;
  maxValue = 1_000_000;
  readonly registry = new Registry({
    link: this.link as NatsLink,
    asks: { one: (question: Question) => this.#write(question) } as unknown as Asks,
    bucket: {
      subject: "$KV.test",
      check: async () => {
        const { isOther } = this;
        this.isOther = false;
        return isOther;
      },
    } as unknown as KvBucket,
    node: "me",
    nodes: new Set(),
    maxValue: () => this.maxValue,
    warn: (...details) => void this.warnings.push(details),
  });

  get keys(): string[] {
    return this.writes.map(({ key, ids }) => `${key.slice("$KV.test.".length)} ${ids?.join() ?? "-"}`);
  }

  async #write({ subject, payload, headers }: Question): Promise<unknown> {
    this.most = Math.max(this.most, ++this.open);
    await new Promise((resolve) => setTimeout(resolve, 1));
    this.open--;
    if (this.fails) throw unavailable("no");
    const ids = headers === undefined ? JSON.parse(new TextDecoder().decode(payload)) : undefined;
    this.writes.push({ at: performance.now(), key: subject, ids });
    return { json: () => ({ seq: 1 }) };
  }
}

describe("the registry", () => {
  let world: World;

  beforeEach(async () => {
    vi.useFakeTimers();
    world = new World();
    await world.registry.resume();
  });

  afterEach(() => {
    world.registry.close();
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });

  it("writes so many at once and no more, and each once", async () => {
    for (let i = 0; i < 2_000; i++) world.registry.register("session", `s${i}`, "1");
    await vi.advanceTimersByTimeAsync(100);
    expect(world.most).toBe(256);
    expect(new Set(world.keys).size).toBe(2_000);
    expect(world.writes).toHaveLength(2_000);
    expect(world.registry.unwritten).toBe(0);
  });

  it("writes what changes while it is being written once more", async () => {
    const { registry } = world;
    registry.register("session", "s", "1");
    await vi.advanceTimersByTimeAsync(0);
    expect(world.open).toBe(1);
    registry.register("session", "s", "2");
    registry.register("session", "s", "3");
    registry.unregister("session", "s", "1");
    await vi.advanceTimersByTimeAsync(100);
    registry.unregister("session", "s", "2");
    registry.unregister("session", "s", "3");
    registry.unregister("session", "s", "3");
    await vi.advanceTimersByTimeAsync(100);
    expect(world.keys).toEqual(["session.s.me 1", "session.s.me 2,3", "session.s.me -"]);
  });

  it("does not write what is as before", async () => {
    const { registry } = world;
    registry.register("session", "s", "1");
    registry.unregister("session", "s", "1");
    await vi.advanceTimersByTimeAsync(100);
    expect(world.keys).toEqual([]);
    registry.register("session", "s", "1");
    await vi.advanceTimersByTimeAsync(100);
    registry.unregister("session", "s", "1");
    registry.register("session", "s", "1");
    await vi.advanceTimersByTimeAsync(100);
    expect(world.keys).toEqual(["session.s.me 1"]);
  });

  it("writes all again within half their life, not all together", async () => {
    const count = 1_000;
    for (let i = 0; i < count; i++) world.registry.register("session", `s${i}`, "1");
    await vi.advanceTimersByTimeAsync(1_000);
    world.writes.length = 0;
    await vi.advanceTimersByTimeAsync(REGISTRY_TTL_MS / 2 + 20_000);
    expect(new Set(world.keys).size).toBe(count);
    const perMinute = new Map<number, number>();
    for (const { at } of world.writes) {
      const minute = Math.floor(at / 60_000);
      perMinute.set(minute, (perMinute.get(minute) ?? 0) + 1);
    }
    expect(Math.max(...perMinute.values())).toBeLessThan(count / 5);
  });

  it("writes all again into another bucket, but not what is gone", async () => {
    const { registry } = world;
    registry.register("session", "a", "1");
    registry.register("session", "b", "1");
    registry.register("session", "c", "1");
    await vi.advanceTimersByTimeAsync(100);
    world.writes.length = 0;
    registry.unregister("session", "c", "1");
    await vi.advanceTimersByTimeAsync(100);
    world.isOther = true;
    await vi.advanceTimersByTimeAsync(12_000);
    expect(world.keys).toEqual(["session.c.me -", "session.a.me 1", "session.b.me 1"]);
  });

  it("tries again what failed, and keeps back the rest meanwhile", async () => {
    world.fails = true;
    for (let i = 0; i < 1_000; i++) world.registry.register("session", `s${i}`, "1");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(world.keys).toEqual([]);
    expect(world.warnings).toHaveLength(1);
    world.fails = false;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(new Set(world.keys).size).toBe(1_000);
  });

  it("writes nothing while the connection is gone, and afterwards what is owed", async () => {
    const { registry, link } = world;
    registry.register("session", "a", "1");
    await vi.advanceTimersByTimeAsync(0);
    world.fails = true;
    link.up = false;
    registry.hold();
    registry.register("session", "b", "1");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(world.keys).toEqual([]);
    world.fails = false;
    link.up = true;
    await registry.resume();
    await vi.advanceTimersByTimeAsync(100);
    expect(world.keys.sort()).toEqual(["session.a.me 1", "session.b.me 1"]);
  });

  it("leaves out what a message does not hold, and says so", async () => {
    world.maxValue = 1_000;
    for (let i = 0; i < 1_000; i++) world.registry.register("identity", "eve", `session ${i}`);
    await vi.advanceTimersByTimeAsync(100);
    const ids = world.writes[0]?.ids ?? [];
    expect(JSON.stringify(ids).length).toBeLessThanOrEqual(1_000);
    expect(ids.length).toBeGreaterThan(60);
    expect(world.warnings).toHaveLength(1);
  });
});
