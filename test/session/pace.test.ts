import { describe, expect, it } from "vitest";
import { BATCH_FRAMES, Pace } from "../../src/session/pace.js";

/** So many calls are in flight, their packets are written, and answers take so many milliseconds. */
function paceOf(calls: number, ms = 0.1): Pace {
  const pace = new Pace();
  for (let i = 0; i < calls; i++) pace.opened();
  pace.written();
  pace.acknowledged(ms);
  return pace;
}

describe("how many calls a packet takes", () => {
  it("is as many as ever before anything is known", () => {
    const pace = new Pace();
    expect(pace.frames).toBe(BATCH_FRAMES);
    pace.opened();
    expect(pace.frames).toBe(BATCH_FRAMES);
  });

  it("is a part of the few that are in flight, and a full packet of many", () => {
    const frames = [1, 2, 4, 8, 16, 32, 48, 64, 256].map((calls) => paceOf(calls).frames);
    expect(frames).toEqual([1, 1, 1, 1, 3, 5, 8, BATCH_FRAMES, BATCH_FRAMES]);
  });

  it("stays while the calls of a turn have ended and those that follow are not yet opened", () => {
    const pace = paceOf(16);
    pace.closed(16);
    expect(pace.frames).toBe(3);
    pace.opened();
    pace.written();
    expect(pace.frames).toBe(3);
  });

  it("forgets a burst, a packet at a time", () => {
    const pace = paceOf(16);
    pace.closed(15);
    for (let i = 0; i < 16; i++) pace.written();
    expect(pace.frames).toBe(1);
  });

  it("is as many as ever across a network", () => {
    expect(paceOf(8, 20).frames).toBe(BATCH_FRAMES);
    const pace = paceOf(8, 0.1);
    // One slow handler makes no network.
    pace.acknowledged(20);
    expect(pace.frames).toBe(1);
    for (let i = 0; i < 1_000; i++) pace.acknowledged(20);
    expect(pace.frames).toBe(BATCH_FRAMES);
  });
});
