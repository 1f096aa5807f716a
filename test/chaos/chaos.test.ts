// Every kind of chaos once, on the real thing. `npm run chaos -- --minutes 20` goes on for longer.
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../src/testing/index.js";
import { Chaos, INJECTIONS } from "./chaos.js";

describe("three nodes on three NATS servers, under 200 subscribers whose links break", () => {
  it("lose and double nothing that was acknowledged, whatever is killed", { timeout: 175_000 }, async () => {
    const random = seededRandom(5);
    const chaos = await Chaos.start(random, 200);
    try {
      const cutting = setInterval(() => chaos.cut(random() * 0.2), 1_000);
      for (const what of INJECTIONS) {
        await chaos.inject(what);
        await new Promise((resolve) => setTimeout(resolve, 2_000));
      }
      clearInterval(cutting);
      await chaos.settle(60_000);
    } finally {
      await chaos.close();
    }
    const { faults, acknowledged, delivered, resumed } = chaos.outcome;
    expect(faults).toEqual([]);
    expect(acknowledged).toBeGreaterThan(100);
    expect(delivered).toBeGreaterThan(acknowledged);
    expect(resumed).toBeGreaterThan(0);
  });
});
