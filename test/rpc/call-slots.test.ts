import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CallSlots } from "../../src/rpc/call-slots.js";

describe("the table of open calls", () => {
  it("is a map from numbers that go up to calls", () => {
    // Ends a call of those that are open, or begins so many new ones.
    const step = fc.oneof(
      fc.record({ end: fc.nat() }),
      fc.record({ begin: fc.integer({ min: 1, max: 40 }) }),
    );
    fc.assert(
      fc.property(fc.constantFrom(1, 2), fc.array(step, { maxLength: 200 }), (first, steps) => {
        const slots = new CallSlots<string>();
        const map = new Map<number, string>();
        let next = first;
        for (const what of steps) {
          if ("begin" in what) {
            for (let i = 0; i < what.begin; i++, next += 2) {
              slots.add(next, `call ${next}`);
              map.set(next, `call ${next}`);
            }
          } else if (map.size > 0) {
            const id = [...map.keys()][what.end % map.size] as number;
            expect(slots.delete(id)).toBe(map.delete(id));
            expect(slots.delete(id)).toBe(false);
          }
          expect(slots.size).toBe(map.size);
        }
        for (let id = first - 2; id <= next + 2; id++) expect(slots.get(id)).toBe(map.get(id));
        expect(slots.all()).toEqual([...map.values()]);
        slots.clear();
        expect(slots.size).toBe(0);
        expect(slots.all()).toEqual([]);
      }),
    );
  });

  it("is the same map with more calls than its ring may have slots, and with calls whose slots are the same", () => {
    const slots = new CallSlots<number>();
    const map = new Map<number, number>();
    let next = 1;
    let state = 20_261_121;
    const random = () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state / 2 ** 32;
    };
    for (let round = 0; round < 40_000; round++) {
      // First more and more, later as many as go.
      if (map.size < 6_000 && random() < 0.7) {
        // Numbers far apart come back to the slots of those that are open.
        if (random() < 0.001) next += 2 * 4_096 - 2;
        slots.add(next, next);
        map.set(next, next);
        next += 2;
      } else {
        const ids = [...map.keys()];
        const id = ids[Math.floor(random() * ids.length)];
        if (id === undefined) continue;
        expect(slots.delete(id)).toBe(map.delete(id));
      }
    }
    expect(slots.size).toBe(map.size);
    expect(slots.all()).toEqual([...map.values()]);
    for (const id of map.keys()) expect(slots.get(id)).toBe(id);
  });

  it("keeps what lives for long while many come and go, without growing for it", () => {
    const slots = new CallSlots<number>();
    for (let id = 1; id < 200; id += 2) slots.add(id, id);
    for (let id = 201; id < 1_000_001; id += 2) {
      slots.add(id, id);
      expect(slots.delete(id)).toBe(true);
    }
    expect(slots.size).toBe(100);
    for (let id = 1; id < 200; id += 2) expect(slots.get(id)).toBe(id);
    expect(slots.get(999_999)).toBeUndefined();
  });

  it("gives the room of a burst back once all calls have ended, and works on", () => {
    const slots = new CallSlots<number>();
    for (let id = 1; id < 2_001; id += 2) slots.add(id, id);
    expect(slots.slots).toBeGreaterThanOrEqual(1_000);
    for (let id = 1; id < 2_001; id += 2) expect(slots.delete(id)).toBe(true);
    expect(slots.slots).toBe(0);
    slots.add(2_001, 1);
    expect(slots.get(2_001)).toBe(1);
    expect(slots.delete(2_001)).toBe(true);
    // What a usual connection needs is not made anew all the time.
    expect(slots.slots).toBeGreaterThan(0);
  });

  it("holds numbers beyond 32 bits", () => {
    const slots = new CallSlots<number>();
    const first = 2 ** 52 + 1;
    for (let i = 0; i < 40; i++) slots.add(first + 2 * i, i);
    for (let i = 0; i < 40; i++) expect(slots.get(first + 2 * i)).toBe(i);
    expect(slots.get(first - 2 ** 32)).toBeUndefined();
  });
});
