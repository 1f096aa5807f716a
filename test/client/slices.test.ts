// Messages of a link in slices, with slices that are made up.
import { expect, it } from "vitest";
import type { Slices } from "../../src/base/slices.js";
import { slicedEvents } from "../../src/client/slices.js";
import type { LinkEvents } from "../../src/driver/link.js";

function world(refuse?: number) {
  const seen: (number | string)[] = [];
  const tasks: (() => void)[] = [];
  const turns = { spent: true };
  const slices: Slices = {
    isSpent: () => turns.spent,
    next: (task) => {
      tasks.push(task);
    },
  };
  const events: LinkEvents = {
    onMessage: ([byte = -1]) => {
      seen.push(byte);
      if (byte === refuse) throw new Error(`message ${byte}`);
    },
    onText: () => seen.push("text"),
    onDrain: () => seen.push("drain"),
    onClose: (code) => seen.push(`closed ${code}`),
  };
  const link = slicedEvents(events, slices);
  const send = (...bytes: number[]) => {
    for (const byte of bytes) link.onMessage(Uint8Array.of(byte));
  };
  return { seen, tasks, turns, link, send };
}

it("hands messages out at once while there is time, and later in their order", () => {
  const { seen, tasks, turns, send } = world();
  turns.spent = false;
  send(1, 2);
  expect(seen).toEqual([1, 2]);
  turns.spent = true;
  send(3, 4);
  turns.spent = false;
  // What waits comes first, though there is time again.
  send(5);
  expect(seen).toEqual([1, 2]);
  while (tasks.length > 0) tasks.shift()?.();
  expect(seen).toEqual([1, 2, 3, 4, 5]);
});

it("hands out what waits before it says that the link is closed, and nothing after", () => {
  const { seen, tasks, link, send } = world();
  send(1, 2);
  link.onClose(1006, "");
  for (const task of tasks) task();
  expect(seen).toEqual([1, 2, "closed 1006"]);
});

it("says that the link is closed even if a message that waited is refused by a throw", () => {
  const { seen, link, send } = world(1);
  send(1, 2);
  expect(() => link.onClose(1006, "")).toThrow("message 1");
  expect(seen).toEqual([1, "closed 1006"]);
});

it("goes on with what waits after a message that was refused by a throw", () => {
  const { seen, tasks, send } = world(1);
  send(1, 2);
  expect(() => tasks.shift()?.()).toThrow("message 1");
  while (tasks.length > 0) tasks.shift()?.();
  expect(seen).toEqual([1, 2]);
});
