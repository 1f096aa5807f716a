// The load generator on a virtual clock: what it measures of servers whose every latency is known.
import { describe, expect, test } from "vitest";
import { Code } from "../../src/base/code.js";
import { RpcError } from "../../src/base/error.js";
import { Latencies } from "../../src/cli/bench/latency.js";
import { type LoadPlan, runLoad } from "../../src/cli/bench/load.js";
import { Tally } from "../../src/cli/bench/tally.js";
import { createVirtualClock, seededRandom } from "../../src/testing/index.js";

interface Simulated {
  readonly plan: Partial<LoadPlan>;
  /** When a call that is made at this time has its answer; one that throws fails then and there. */
  readonly answerAt: (now: number) => number;
  /** When Ctrl-C is pressed. */
  readonly stopAt?: number;
  /** Messages of each answer, all at its end. */
  readonly messages?: number;
}

async function simulate({ plan, answerAt, stopAt, messages = 0 }: Simulated) {
  const clock = createVirtualClock();
  const stop = new AbortController();
  const until = (time: number) =>
    new Promise<void>((resolve) => {
      clock.schedule(resolve, Math.max(0, time - clock.now()));
    });
  if (stopAt !== undefined) clock.schedule(() => stop.abort(), stopAt);
  const tally = new Tally();
  const usedPlaces = new Map<number, number>();
  let inFlight = 0;
  let mostInFlight = 0;
  let ended = false;
  const done = runLoad(
    { places: 10, rate: undefined, warmUpMs: 0, durationMs: 3_000, drainMs: 10_000, ...plan },
    {
      clock: () => clock.now(),
      until,
      stop: stop.signal,
      call: async (place, onMessage) => {
        usedPlaces.set(place, (usedPlaces.get(place) ?? 0) + 1);
        mostInFlight = Math.max(mostInFlight, ++inFlight);
        try {
          await until(answerAt(clock.now()));
          for (let message = 0; message < messages; message++) onMessage();
        } finally {
          inFlight--;
        }
      },
    },
    tally,
  ).then(() => {
    ended = true;
  });
  await clock.runUntil(() => ended);
  await done;
  return { tally, usedPlaces, mostInFlight, endedAt: clock.now() };
}

/** 1 ms for each call, but nobody gets an answer between 1,000 and 1,300 ms: a tenth of a run of 3 s. */
const stalling = (now: number) => (now >= 1_000 && now < 1_300 ? 1_300 + 1 : now + 1);

const ms = (micros: number) => micros / 1_000;

describe("a server that stalls for 300 ms", () => {
  test("with a rate, every call that was due in the stall shows it, sent or not", async () => {
    const { tally, mostInFlight } = await simulate({ plan: { rate: 1_000 }, answerAt: stalling });
    expect(tally.calls).toBe(3_000);
    expect(mostInFlight).toBe(10);
    // Calls due in the stall take what is left of it, and up to 30 ms more: so long it takes to catch up, ten at a time.
    expect(ms(tally.fromDue.at(50))).toBeLessThan(1.1);
    expect(ms(tally.fromDue.at(88))).toBeLessThan(4);
    for (const [percentile, expected] of [
      [92, 84],
      [95, 165],
      [99, 273],
    ] as const) {
      expect(ms(tally.fromDue.at(percentile))).toBeGreaterThan(expected * 0.95);
      expect(ms(tally.fromDue.at(percentile))).toBeLessThan(expected * 1.05);
    }
    expect(ms(tally.fromDue.at(100))).toBeGreaterThan(299);
    // Seen from the sending, only those show it that were in flight.
    expect(ms(tally.fromSent.at(99.5))).toBeLessThan(1.1);
    expect(ms(tally.fromSent.at(99.9))).toBeGreaterThan(290);
    expect(ms(tally.late.at(100))).toBeGreaterThan(285);
  });

  test("without a rate it hides from the measured percentiles, and shows in the corrected ones", async () => {
    const { tally } = await simulate({ plan: {}, answerAt: stalling });
    const places = 10;
    expect(tally.calls).toBeGreaterThan(26_000);
    expect(ms(tally.fromSent.at(99.9))).toBeLessThan(1.1);
    expect(ms(tally.fromSent.at(100))).toBeGreaterThan(299);
    const corrected = tally.fromSent.corrected((3_000 * places) / tally.answered);
    for (const [percentile, expected] of [
      [95, 150],
      [99, 270],
    ] as const) {
      expect(ms(corrected.at(percentile))).toBeGreaterThan(expected * 0.8);
      expect(ms(corrected.at(percentile))).toBeLessThan(expected * 1.1);
    }
    // It adds nothing where nothing is missing.
    expect(ms(corrected.at(50))).toBeLessThan(1.1);
    const even = await simulate({ plan: { durationMs: 300 }, answerAt: (now) => now + 1 });
    const same = even.tally.fromSent.corrected((300 * places) / even.tally.answered);
    expect(same.count).toBe(even.tally.fromSent.count);
  });
});

describe("an open loop", () => {
  test("makes calls evenly over time and over places, however slow the answers are", async () => {
    const { tally, usedPlaces } = await simulate({
      plan: { rate: 100, places: 20 },
      answerAt: (now) => now + 100,
    });
    expect(tally.calls).toBe(300);
    expect(tally.answered).toBe(290);
    expect(tally.unsent).toBe(0);
    expect([...usedPlaces.values()].every((count) => count === 15)).toBe(true);
    expect(ms(tally.late.at(100))).toBeLessThan(0.1);
  });

  test("counts the calls for which there was no room until the end, and the time they have waited", async () => {
    const { tally, endedAt } = await simulate({
      plan: { rate: 200, places: 1, durationMs: 1_000, drainMs: 500 },
      answerAt: (now) => now + 10,
    });
    expect(endedAt).toBe(1_500);
    expect(tally.unsent).toBeGreaterThanOrEqual(49);
    expect(tally.unsent + tally.calls).toBeGreaterThanOrEqual(199);
    expect(tally.unsent + tally.calls).toBeLessThanOrEqual(200);
    // The one that was due first of them waited for more than half a second, and those before for nearly as long.
    expect(ms(tally.fromDue.at(100))).toBeGreaterThan(700);
    expect(tally.answered).toBe(99);
  });
});

describe("the window", () => {
  test("leaves the warm-up out, and waits for calls that began within it", async () => {
    const { tally, endedAt } = await simulate({
      plan: { places: 1, warmUpMs: 1_000, durationMs: 950 },
      answerAt: (now) => now + (now < 1_000 ? 500 : 100),
    });
    expect(tally.calls).toBe(10);
    // The last one has its answer later; but for one that began before, the answer comes when the window opens.
    expect(tally.answered).toBe(9 + 1);
    expect(ms(tally.fromSent.at(100))).toBeLessThan(101);
    expect(endedAt).toBe(2_000);
  });

  test("waits no longer than it is told", async () => {
    const { tally, endedAt } = await simulate({
      plan: { places: 3, durationMs: 100, drainMs: 50 },
      answerAt: () => 1_000_000,
    });
    expect(endedAt).toBe(150);
    expect(tally.calls).toBe(0);
  });

  test("ends early when it is stopped, with what was measured so far", async () => {
    const { tally, endedAt } = await simulate({ plan: {}, answerAt: (now) => now + 10, stopAt: 1_005 });
    expect(endedAt).toBe(1_005);
    expect(tally.calls).toBe(1_000);
    const open = await simulate({ plan: { rate: 100 }, answerAt: (now) => now + 1, stopAt: 1_005 });
    expect(open.tally.calls).toBe(101);
    expect(open.tally.unsent).toBe(0);
  });

  test("counts messages that come within it, and the time to the first of a call", async () => {
    const { tally } = await simulate({
      plan: { places: 2, durationMs: 100 },
      answerAt: (now) => now + 10,
      messages: 5,
    });
    // Those that come at its very end are no longer within it.
    expect(tally.messages).toBe(2 * 9 * 5);
    expect(tally.firstMessage.count).toBe(2 * 10);
  });
});

describe("failures", () => {
  test("are counted by code; only those that took too long count as latencies", async () => {
    let call = 0;
    const { tally } = await simulate({
      plan: { places: 1, durationMs: 100 },
      answerAt: (now) => {
        const turn = call++ % 3;
        if (turn === 1) throw new RpcError("full", Code.ResourceExhausted);
        if (turn === 2) throw new RpcError("late", Code.DeadlineExceeded);
        return now + 1;
      },
    });
    expect(tally.errors.get("RESOURCE_EXHAUSTED")?.count).toBeGreaterThan(30);
    expect(tally.errors.get("DEADLINE_EXCEEDED")?.count).toBeGreaterThan(30);
    expect(tally.errors.get("RESOURCE_EXHAUSTED")?.message).toBe("full");
    expect(tally.calls).toBe(tally.succeeded + tally.failed);
    expect(tally.fromSent.count).toBe(tally.succeeded + (tally.errors.get("DEADLINE_EXCEEDED")?.count ?? 0));
  });

  test("at once do not keep a place calling without end", async () => {
    const { tally } = await simulate({
      plan: { places: 1, durationMs: 100 },
      answerAt: () => {
        throw new Error("refused");
      },
    });
    expect(tally.errors.get("UNKNOWN")).toEqual({ count: 100, message: "refused" });
  });
});

describe("latencies", () => {
  test("are told to three digits, whatever their distribution", () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = seededRandom(seed);
    const latencies = new Latencies();
    const exact: number[] = [];
    for (let index = 0; index < 20_000; index++) {
      // From a microsecond to some minutes.
      const value = 0.001 * 10 ** (random() * 8);
      exact.push(value);
      latencies.add(value);
    }
    exact.sort((a, b) => a - b);
    for (const percentile of [1, 10, 50, 75, 90, 95, 99, 99.9, 99.99, 100]) {
      const value = exact[Math.ceil((percentile / 100) * exact.length) - 1] ?? 0;
      const told = ms(latencies.at(percentile));
      expect(Math.abs(told - value) / value, `seed ${seed}, p${percentile}`).toBeLessThan(
        value < 0.1 ? 0.5 : 0.006,
      );
    }
    expect(latencies.figures()?.count).toBe(20_000);
  });

  test("are bounded, and there may be none", () => {
    const latencies = new Latencies();
    expect(latencies.figures()).toBeUndefined();
    latencies.add(-1);
    latencies.add(1e12);
    expect(latencies.count).toBe(2);
    expect(latencies.figures()?.max).toBeGreaterThan(3_590_000_000);
  });
});
