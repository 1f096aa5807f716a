// The simulation as `npm run sim` runs it: many seeds that hold, one that is the same each time, and what a failure shows.
import { describe, expect, it } from "vitest";
import { MUTANTS, type Mutant, run, runMutant, runWith } from "./mutants.js";

const SEEDS = 2_500;

const sim = (...args: string[]) => run(["--import", "tsx", "test/simulation/main.ts", ...args]);

describe("npm run sim", () => {
  it(`holds over ${SEEDS} seeds, and ends with one line of figures`, async () => {
    const { output, code } = await sim("--seeds", String(SEEDS), "--seed", "1");
    expect({ output, code }).toMatchObject({ code: 0 });
    expect(output.trim().split("\n")).toHaveLength(1);
    const figures = /^(\d+) seeds, 0 failed: (\d+) calls \((\d+) ok, (\d+) no, (\d+) unknown/.exec(output);
    const [seeds, calls, ok, no, unknown] = (figures ?? []).slice(1).map(Number) as [
      number,
      number,
      number,
      number,
      number,
    ];
    expect(seeds).toBe(SEEDS);
    // It must reach what it is there for.
    expect(calls).toBeGreaterThan(5 * SEEDS);
    expect(ok).toBeGreaterThan(calls / 2);
    expect(Math.min(no, unknown)).toBeGreaterThan(100);
    for (const what of ["breaks", "crashes", "resumes", "sessions lost"]) {
      expect(Number(new RegExp(`(\\d+) ${what}`).exec(output)?.[1])).toBeGreaterThan(200);
    }
  }, 240_000);

  it("replays a seed the same way each time, with its trace", async () => {
    const [first, second] = await Promise.all([sim("--seed", "17"), sim("--seed", "17")]);
    expect(first.code).toBe(0);
    expect(first.output).toBe(second?.output);
    expect(first.output).toMatch(/client 0 +has a link to server 0/);
    expect(first.output).toMatch(/session 1 +client sends open 1/);
    expect(first.output).toMatch(/seed 17: everything held/);
  }, 120_000);

  it.each([
    [["--seeds", "none"], /--seeds must be a number above 0, not "none"/],
    [["--seed", "-1"], /--seed/],
    [["--sedes", "1"], /--sedes/],
  ])(
    "says what is wrong with %j, and exits 2",
    async (args, message) => {
      const { output, code } = await sim(...args);
      expect(code).toBe(2);
      expect(output).toMatch(message);
      expect(output).toMatch(/Usage: npm run sim/);
    },
    60_000,
  );

  it("shows a failing seed as a smaller scenario with its trace, and how to replay it", async () => {
    const mutant = MUTANTS.find(
      ({ name }) => name === "calls that may have run are attempted again",
    ) as Mutant;
    const { output, code } = await runWith(mutant, ["--seeds", "300"]);
    expect(code).toBe(1);
    const seed = /^seed (\d+): invariant 1 is broken: the handler of \S+ ran 2 times$/m.exec(output)?.[1];
    expect(seed).toBeDefined();
    expect(output).toContain(`Replay it with: npm run sim -- --seed ${seed}`);
    // One call and what breaks it: nothing that does not matter.
    const actions = output.match(/^ {2}at +\d+: /gm) ?? [];
    expect(actions.length).toBeGreaterThan(0);
    expect(actions.length).toBeLessThanOrEqual(3);
    expect(output).toMatch(/virtual ms {2}who/);
  }, 120_000);
});

describe("a deliberate bug", () => {
  it.each(MUTANTS)(
    "is found: $name (invariant $invariant)",
    async (mutant) => {
      const { seed, message } = await runMutant(mutant);
      expect(seed, message).toBeDefined();
      expect(message).toMatch(/^invariant [1-5] is broken/);
    },
    240_000,
  );

  it("is there for each invariant", () => {
    expect(new Set(MUTANTS.map(({ invariant }) => invariant))).toEqual(new Set([1, 2, 3, 5]));
  });
});
