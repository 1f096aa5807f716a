import { expect, it } from "vitest";
import { Timers } from "../../src/driver/timers.js";

it("an item that throws does not take with it those that are due at the same time", () => {
  let now = 0;
  const armed: (() => void)[] = [];
  const timers = new Timers(
    () => now,
    (task) => {
      armed.push(task);
      return () => undefined;
    },
  );
  let called = 0;
  timers.after(10, () => {
    throw new Error("no");
  });
  timers.after(10, () => called++);
  now = 10;
  expect(() => armed.shift()?.()).toThrow("no");
  expect(armed).toHaveLength(1);
  armed.shift()?.();
  expect(called).toBe(1);
  expect(timers.size).toBe(0);
});
