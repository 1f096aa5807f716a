import type { Action, Scenario } from "./scenario.js";

/** Runs that a search for a smaller scenario may take. */
const MAX_RUNS = 400;

/**
 * A smaller scenario that still fails: without the actions that do not matter, with smaller numbers, on a simpler network.
 *
 * @param fails whether a scenario fails in the same way
 */
export async function shrink(
  scenario: Scenario,
  fails: (smaller: Scenario) => Promise<boolean>,
): Promise<Scenario> {
  let best = scenario;
  let runs = 0;
  const attempt = async (smaller: Scenario): Promise<boolean> => {
    if (runs >= MAX_RUNS) return false;
    runs++;
    if (!(await fails(smaller))) return false;
    best = smaller;
    return true;
  };
  // Whole parts first, then single actions, until nothing can go.
  for (let part = best.actions.length >> 1; part >= 1; part >>= 1) {
    for (let from = 0; from < best.actions.length; ) {
      const { actions } = best;
      const rest = [...actions.slice(0, from), ...actions.slice(from + part)];
      if (!(await attempt({ ...best, actions: rest }))) from += part;
    }
  }
  for (const simpler of [
    { jitterMs: 0 },
    { bytesPerSecond: Number.POSITIVE_INFINITY },
    { nodes: 1 },
    { latencyMs: 5 },
  ]) {
    await attempt({ ...best, ...simpler });
  }
  for (let index = 0; index < best.actions.length; index++) {
    for (const name of [
      "timeoutMs",
      "cancelMs",
      "slowMs",
      "workMs",
      "size",
      "bytes",
      "count",
      "ms",
      "downMs",
    ]) {
      await smallerNumber(index, name);
    }
  }
  return best;

  async function smallerNumber(index: number, name: string): Promise<void> {
    for (;;) {
      const action = best.actions[index] as Action & Record<string, number>;
      const value = action[name];
      if (value === undefined || value <= 1) return;
      const floor = name === "count" ? 1 : 0;
      const shorter = (to: number) => {
        const actions = best.actions.map((other, i) =>
          i === index ? ({ ...other, [name]: to } as Action) : other,
        );
        return { ...best, actions };
      };
      if (await attempt(shorter(floor))) return;
      if (!(await attempt(shorter(value >> 1)))) return;
    }
  }
}
