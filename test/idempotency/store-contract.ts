import { describe, expect, it } from "vitest";
import { type Begun, type Claim, type IdempotencyStore, LostClaimError } from "../../src/index.js";

/** What a suite needs to know of the store that it is run over. */
export interface Subject {
  readonly store: IdempotencyStore;
  /** How long an outcome is kept, in milliseconds. */
  readonly ttlMs: number;
  close?(): void | Promise<void>;
}

const SHAPE = { method: "a.B/C", fingerprint: 2 ** 53 - 1 };
const OTHER = { method: "a.B/D", fingerprint: 2 };
const id = (key: string, identity = "") => ({ identity, key });
const bytes = (text: string) => new TextEncoder().encode(text);

/** The rules of {@link IdempotencyStore}, for any that there is. Time is handed in, and may jump. */
export function storeContract(name: string, create: () => Subject | Promise<Subject>): void {
  describe(name, () => {
    let now = 1_700_000_000_000;
    const using = async (use: (subject: Subject) => Promise<void>) => {
      const subject = await create();
      try {
        await use(subject);
      } finally {
        await subject.close?.();
      }
    };
    const claimed = (begun: Begun): Claim => {
      if (begun.state !== "new") return expect.fail(`the key is ${begun.state}`);
      return begun.claim;
    };
    const test = (what: string, use: (subject: Subject) => Promise<void>) => it(what, () => using(use));

    test("gives the claim of a new key to the first, and tells others who has it", async ({ store }) => {
      const claim = claimed(await store.begin(id("k"), SHAPE, now));
      expect(claim).toMatchObject({ identity: "", key: "k", attempt: 1 });
      const second = await store.begin(id("k"), OTHER, now + 1);
      expect(second).toMatchObject({ state: "running", shape: SHAPE });
      expect((second as { leaseLeftMs: number }).leaseLeftMs).toBeGreaterThan(0);
      expect((second as { leaseLeftMs: number }).leaseLeftMs).toBeLessThanOrEqual(store.leaseMs);
    });

    test("gives a claim to one of many who ask at the same time", async ({ store }) => {
      const all = await Promise.all(Array.from({ length: 50 }, async () => store.begin(id("k"), SHAPE, now)));
      expect(all.filter(({ state }) => state === "new")).toHaveLength(1);
      expect(all.filter(({ state }) => state === "running")).toHaveLength(49);
    });

    test("keeps the outcome, with the shape of the request that it belongs to", async ({ store }) => {
      const claim = claimed(await store.begin(id("k"), SHAPE, now));
      await store.complete(claim, bytes("outcome"), now);
      expect(await store.begin(id("k"), OTHER, now + 1)).toMatchObject({ state: "done", shape: SHAPE });
      const done = await store.begin(id("k"), SHAPE, now + 1);
      expect(done.state === "done" && new Uint8Array(done.outcome)).toEqual(bytes("outcome"));
    });

    for (const length of [0, 1, 1_048_576]) {
      test(`keeps an outcome of ${length} bytes`, async ({ store }) => {
        const outcome = new Uint8Array(length).map((_, i) => i * 7);
        await store.complete(claimed(await store.begin(id("k"), SHAPE, now)), outcome, now);
        const done = await store.begin(id("k"), SHAPE, now);
        expect(done.state === "done" && Buffer.compare(done.outcome, outcome)).toBe(0);
      });
    }

    for (const key of ["'; DROP TABLE x; --", 'a"b', "ключ-🔑", "nul\0nul", " ", "x".repeat(255)]) {
      test(`tells the key ${JSON.stringify(key.slice(0, 20))} from others`, async ({ store }) => {
        claimed(await store.begin(id(key), SHAPE, now));
        claimed(await store.begin(id(`${key}+`), SHAPE, now));
        expect(await store.begin(id(key), SHAPE, now)).toMatchObject({ state: "running" });
      });
    }

    test("keeps identities apart", async ({ store }) => {
      claimed(await store.begin(id("k", "ada"), SHAPE, now));
      claimed(await store.begin(id("k", "bob"), SHAPE, now));
      claimed(await store.begin(id("k"), SHAPE, now));
      // However the two are put together.
      claimed(await store.begin(id("k\0", "ada"), SHAPE, now));
      claimed(await store.begin(id("\0k", "ada"), SHAPE, now));
      claimed(await store.begin(id("dak", "a"), SHAPE, now));
    });

    test("gives a claim that was given back to the next, for whatever it asks", async ({ store }) => {
      const claim = claimed(await store.begin(id("k"), SHAPE, now));
      await store.release(claim, now);
      const next = claimed(await store.begin(id("k"), OTHER, now + 1));
      expect(next.attempt).toBe(2);
      expect(await store.begin(id("k"), OTHER, now + 1)).toMatchObject({ state: "running", shape: OTHER });
    });

    test("does not let an attempt act that has given its claim back, or has completed it", async ({
      store,
    }) => {
      const first = claimed(await store.begin(id("k"), SHAPE, now));
      await store.release(first, now);
      const second = claimed(await store.begin(id("k"), SHAPE, now));
      await expect((async () => store.complete(first, bytes("late"), now))()).rejects.toThrow(LostClaimError);
      await store.release(first, now);
      await store.renew([first], now);
      expect(await store.begin(id("k"), SHAPE, now)).toMatchObject({ state: "running" });
      await store.complete(second, bytes("right"), now);
      await store.release(second, now);
      await expect((async () => store.complete(second, bytes("again"), now))()).rejects.toThrow(
        LostClaimError,
      );
      const done = await store.begin(id("k"), SHAPE, now);
      expect(done.state === "done" && new Uint8Array(done.outcome)).toEqual(bytes("right"));
    });

    test("gives a claim that has run out to the next, and shuts the old one out", async ({ store }) => {
      if (store.leaseMs === Number.POSITIVE_INFINITY) {
        // Its claims do not run out: the process that holds them is the store's own.
        claimed(await store.begin(id("k"), SHAPE, now));
        expect(await store.begin(id("k"), SHAPE, now + 1e12)).toMatchObject({ state: "running" });
        return;
      }
      const first = claimed(await store.begin(id("k"), SHAPE, now));
      expect(await store.begin(id("k"), SHAPE, now + store.leaseMs - 1)).toMatchObject({ state: "running" });
      await store.renew([first], now + store.leaseMs - 1);
      expect(await store.begin(id("k"), SHAPE, now + store.leaseMs + 1)).toMatchObject({ state: "running" });
      const later = now + 2 * store.leaseMs;
      const second = claimed(await store.begin(id("k"), SHAPE, later));
      expect(second.attempt).toBe(2);
      await store.renew([first], later);
      await expect((async () => store.complete(first, bytes("late"), later))()).rejects.toThrow(
        LostClaimError,
      );
      await store.complete(second, bytes("right"), later);
    });

    test("forgets an outcome when its time is over, and not before", async ({ store, ttlMs }) => {
      await store.complete(claimed(await store.begin(id("k"), SHAPE, now)), bytes("x"), now);
      expect(await store.begin(id("k"), SHAPE, now + ttlMs - 1)).toMatchObject({ state: "done" });
      claimed(await store.begin(id("k"), OTHER, now + ttlMs + 1));
    });

    test("holds its promises when the clock jumps back", async ({ store }) => {
      const claim = claimed(await store.begin(id("k"), SHAPE, now));
      expect(await store.begin(id("k"), SHAPE, now - 3_600_000)).toMatchObject({ state: "running" });
      await store.complete(claim, bytes("x"), now - 3_600_000);
      expect(await store.begin(id("k"), SHAPE, now - 3_600_000)).toMatchObject({ state: "done" });
    });

    test("keeps thousands of keys apart, and forgets them all in time", async ({ store, ttlMs }) => {
      for (let i = 0; i < 2_000; i++) {
        await store.complete(claimed(await store.begin(id(`k${i}`), SHAPE, now)), bytes(String(i)), now);
      }
      for (let i = 0; i < 2_000; i += 97) {
        const done = await store.begin(id(`k${i}`), SHAPE, now + 1);
        expect(done.state === "done" && new TextDecoder().decode(done.outcome)).toBe(String(i));
      }
      now += ttlMs + 1;
      for (let i = 0; i < 2_000; i += 97) claimed(await store.begin(id(`k${i}`), SHAPE, now));
    });
  });
}
