import { describe, expect, it } from "vitest";
import { connect } from "../../src/client/index.js";
import { Chooser } from "../../src/compression/chooser.js";
import { PROFILES, resolveCompression } from "../../src/compression/settings.js";
import { createServer } from "../../src/server/index.js";
import { echoRoutes } from "../support/echo.js";

describe("the chooser", () => {
  it("leaves out what is short", () => {
    const chooser = new Chooser(100);
    expect([chooser.shouldTry(99), chooser.shouldTry(100)]).toEqual([false, true]);
  });

  it("gives up on what does not get smaller, looks again ever more seldom, and comes back at once when it does", () => {
    const chooser = new Chooser(0);
    const tries: number[] = [];
    for (let packet = 0; packet < 5_000; packet++) {
      if (!chooser.shouldTry(1_000)) continue;
      tries.push(packet);
      expect(chooser.tried(1_000, 950)).toBe(false);
    }
    expect(tries.slice(0, 4)).toEqual([0, 1, 2, 3]);
    const pauses = tries.slice(4).map((packet, index) => packet - (tries[index + 3] as number) - 1);
    expect(pauses).toEqual([16, 32, 64, 128, 256, 512, 1024, 1024, 1024]);
    let tried = 0;
    for (let packet = 0; packet < 2_000; packet++) {
      if (!chooser.shouldTry(1_000)) continue;
      tried++;
      expect(chooser.tried(1_000, 900)).toBe(true);
    }
    expect(tried).toBeGreaterThan(900);
    // What was learnt before is forgotten: it is patient again.
    for (let packet = 0; packet < 4; packet++) {
      expect(chooser.shouldTry(1_000)).toBe(true);
      chooser.tried(1_000, 950);
    }
    expect(chooser.shouldTry(1_000)).toBe(false);
  });
});

describe("the option", () => {
  it("is a profile, or settings on top of one", () => {
    expect(resolveCompression()).toBeUndefined();
    expect(resolveCompression("off")).toBeUndefined();
    expect(resolveCompression("ratio")).toEqual(PROFILES.ratio);
    expect(resolveCompression({})).toEqual(PROFILES.balanced);
    expect(resolveCompression({ profile: "memory", level: 9 })).toEqual({ ...PROFILES.memory, level: 9 });
  });

  it.each([
    ["best", 'compression must be "off", "memory", "balanced", "ratio", or an object, not "best"'],
    ["toString", "compression must be"],
    [{ profile: "off" }, "compression must be"],
    [{ level: 10 }, "compression.level must be a whole number from 1 to 9"],
    [{ windowBits: 8 }, "compression.windowBits must be a whole number from 9 to 15"],
    [{ treshold: 5 }, 'no option "treshold"'],
    [{ contextTakeover: "yes" }, "compression.contextTakeover must be a boolean"],
    [5, "compression must be a profile or an object, not 5"],
    [null, "compression must be a profile or an object, not null"],
  ])("%j is refused, on both sides", (compression, message) => {
    const wrong = { compression } as object;
    expect(() => createServer({ routes: echoRoutes(), ...wrong })).toThrow(message);
    expect(() => connect("ws://localhost/rpc", wrong)).toThrow(message);
  });
});
