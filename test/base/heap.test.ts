import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DeadlineHeap, type HeapItem } from "../../src/base/heap.js";
import { backoffDelay } from "../../src/client/backoff.js";

describe("the heap of deadlines", () => {
  it("gives what a sorted list gives, whatever is set, moved and deleted", () => {
    const step = fc.tuple(fc.constantFrom("set", "delete", "take"), fc.nat(15), fc.nat(100));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const heap = new DeadlineHeap<HeapItem>();
        const items = Array.from({ length: 16 }, (): HeapItem => ({ dueAt: 0, heapIndex: -1 }));
        const model = new Map<HeapItem, number>();
        for (const [what, index, time] of steps) {
          const item = items[index]!;
          if (what === "set") {
            heap.set(item, time);
            model.set(item, time);
          } else if (what === "delete") {
            heap.delete(item);
            model.delete(item);
          } else {
            const taken = heap.takeDue(time);
            const earliest = Math.min(...model.values());
            if (taken === undefined) expect(earliest).toBeGreaterThan(time);
            else {
              expect(model.get(taken)).toBe(earliest);
              model.delete(taken);
            }
          }
          expect(heap.size).toBe(model.size);
          expect(heap.next).toBe(Math.min(...model.values()));
        }
      }),
    );
  });
});

describe("backoff", () => {
  it("is random below a bound that doubles up to the longest delay", () => {
    const settings = { initialDelayMs: 1_000, maxDelayMs: 30_000 };
    const bounds = [1, 2, 3, 4, 5, 6, 7, 5_000].map((attempt) => backoffDelay(attempt, settings, () => 1));
    expect(bounds).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    expect(backoffDelay(3, settings, () => 0)).toBe(0);
    expect(backoffDelay(3, settings, () => 0.5)).toBe(2_000);
  });
});
