import { describe, expect, it } from "vitest";
import { GONE_MS, Nodes, SWEEP_MS } from "../../src/nats/nodes.js";

/** Goes on second by second; this node hears itself, and those who `beat`. */
function run(
  nodes: Nodes,
  from: number,
  ms: number,
  beat: readonly string[],
): { now: number; gone: string[] } {
  const gone: string[] = [];
  let now = from;
  while (now < from + ms) {
    now += SWEEP_MS;
    for (const node of beat) nodes.heard(node, now);
    gone.push(...nodes.sweep(now));
  }
  return { now, gone };
}

describe("nodes", () => {
  it("are gone when they were not heard of for a time, or have said so", () => {
    const nodes = new Nodes("me", 0);
    expect(nodes.heard("me", 0)).toBe(false);
    expect(nodes.heard("a", 0)).toBe(true);
    expect(nodes.heard("a", 0)).toBe(false);
    expect(nodes.heard("b", 0)).toBe(true);
    expect(nodes.left("b")).toBe(true);
    expect(nodes.left("b")).toBe(false);
    const { now, gone } = run(nodes, 0, GONE_MS, ["me"]);
    expect(gone).toEqual([]);
    expect(run(nodes, now, SWEEP_MS, ["me"]).gone).toEqual(["a"]);
    expect([...nodes.alive]).toEqual([]);
  });

  it("are announced again when they come back", () => {
    const nodes = new Nodes("me", 0);
    nodes.heard("a", 0);
    const { now, gone } = run(nodes, 0, 20_000, ["me"]);
    expect(gone).toEqual(["a"]);
    expect(nodes.heard("a", now)).toBe(true);
  });

  it("have their full time again after this process stood still", () => {
    const nodes = new Nodes("me", 0);
    nodes.heard("a", 0);
    // What they have said meanwhile has not been read yet.
    expect(nodes.sweep(60_000)).toEqual([]);
    expect(nodes.isDeaf(60_000)).toBe(false);
    expect(run(nodes, 60_000, GONE_MS, ["me"]).gone).toEqual([]);
    expect(run(nodes, 60_000 + GONE_MS, SWEEP_MS, ["me"]).gone).toEqual(["a"]);
  });

  it("are not blamed while this node does not hear itself", () => {
    const nodes = new Nodes("me", 0);
    nodes.heard("a", 0);
    const { now, gone } = run(nodes, 0, 60_000, []);
    expect(gone).toEqual([]);
    expect(nodes.isDeaf(now)).toBe(true);
    nodes.heard("me", now);
    expect(nodes.isDeaf(now)).toBe(false);
    expect(run(nodes, now, GONE_MS - SWEEP_MS, ["me"]).gone).toEqual([]);
  });

  it("have their full time again when they could not be heard", () => {
    const nodes = new Nodes("me", 0);
    nodes.heard("a", 0);
    const { now } = run(nodes, 0, 11_000, ["me"]);
    nodes.excuse(now);
    expect(run(nodes, now, GONE_MS, ["me"]).gone).toEqual([]);
  });
});
