import { describe, expect, it } from "vitest";
import { Code } from "../../src/index.js";
import { type MemoryStoreOptions, memoryIdempotencyStore } from "../../src/server/index.js";
import { storeContract } from "./store-contract.js";

storeContract("the store in memory", () => ({
  store: memoryIdempotencyStore({ ttlMs: 60_000 }),
  ttlMs: 60_000,
}));

const SHAPE = { method: "a.B/C", fingerprint: 2 ** 53 - 1 };
const OUTCOME = new Uint8Array(100);

/** Runs a key from its beginning to its end; `false` when there was no room for it. */
function complete(
  store: ReturnType<typeof memoryIdempotencyStore>,
  key: string,
  now = 0,
  identity = "",
): boolean {
  const begun = store.begin({ identity, key }, SHAPE, now);
  if (begun.state === "new") store.complete(begun.claim, OUTCOME, now);
  return begun.state === "new";
}

describe("the limits of the store in memory", () => {
  it.each([
    ["maxKeys", { maxKeys: 3 }],
    ["maxBytes", { maxBytes: 3 * 169 + 481 }],
  ] as [string, MemoryStoreOptions][])("refuses new keys beyond %s, and keeps its promises", (_, options) => {
    const store = memoryIdempotencyStore({ ...options, ttlMs: 1_000 });
    for (const key of ["a", "b", "c"]) complete(store, key);
    expect(() => complete(store, "d")).toThrow(
      expect.objectContaining({ code: Code.ResourceExhausted, executed: "no" }),
    );
    expect(store.begin({ identity: "", key: "a" }, SHAPE, 999).state).toBe("done");
    // Time makes room.
    expect(complete(store, "d", 1_001)).toBe(true);
    expect(store.keys).toBe(1);
  });

  it("forgets the oldest outcomes where it is told to, but nothing that runs", () => {
    const store = memoryIdempotencyStore({ maxKeys: 3, whenFull: "forget" });
    const running = store.begin({ identity: "", key: "running" }, SHAPE, 0);
    expect(running.state).toBe("new");
    for (const key of ["a", "b", "c", "d"]) complete(store, key);
    expect(store.keys).toBe(3);
    expect(store.begin({ identity: "", key: "running" }, SHAPE, 0).state).toBe("running");
    expect(store.begin({ identity: "", key: "d" }, SHAPE, 0).state).toBe("done");
    expect(store.begin({ identity: "", key: "a" }, SHAPE, 0).state).toBe("new");
    // "a" and "running" run now, and one outcome is left to forget.
    expect(store.begin({ identity: "", key: "e" }, SHAPE, 0).state).toBe("new");
    expect(() => store.begin({ identity: "", key: "f" }, SHAPE, 0)).toThrow(/maxKeys/);
  });

  it("keeps count of keys and bytes, down to nothing", () => {
    const store = memoryIdempotencyStore({ ttlMs: 10 });
    for (let i = 0; i < 5_000; i++) complete(store, `k${i}`, i, `user${i % 7}`);
    expect(store.keys).toBe(10);
    const begun = store.begin({ identity: "", key: "released" }, SHAPE, 6_000);
    if (begun.state === "new") store.release(begun.claim, 6_000);
    store.begin({ identity: "", key: "released" }, SHAPE, 6_000);
    expect(store.keys).toBe(1);
    const again = store.begin({ identity: "", key: "last" }, SHAPE, 10_000);
    if (again.state === "new") store.complete(again.claim, OUTCOME, 10_000);
    // The released key's second attempt still runs.
    expect(store.begin({ identity: "", key: "released" }, SHAPE, 20_000).state).toBe("running");
    expect(store.keys).toBe(1);
    expect(store.bytes).toBeLessThan(600);
  });

  it.each([
    [{ ttlMs: -1 }, /ttlMs/],
    [{ maxKeys: 0 }, /maxKeys/],
    [{ maxBytes: 1.5 }, /maxBytes/],
    [{ whenFull: "shrug" as never }, /whenFull/],
    [{ maxkeys: 1 } as MemoryStoreOptions, /no option "maxkeys"/],
  ])("checks its options: %j", (options, message) => {
    expect(() => memoryIdempotencyStore(options)).toThrow(message);
  });
});
