import { type Direction, seededRandom } from "../../src/testing/index.js";

/** What becomes of the keys' store when a server crashes. */
export type StoreKind =
  /** One store for all servers, with leases; it survives them. */
  | "shared"
  /** Each server process has its own, in memory; keys are forgotten with it. */
  | "memory";

export const METHODS = [
  "increment",
  "add",
  "read",
  "watch",
  "repeat",
  "sum",
  "collect",
  "converse",
  "call",
] as const;

/** What a client, or with `call` a server, calls. */
export type Method = (typeof METHODS)[number];

/** One thing that happens at a time. */
export type Action =
  | {
      readonly kind: "call";
      readonly at: number;
      readonly client: number;
      readonly method: Method;
      /** Messages of streams. */
      readonly count: number;
      /** Bytes of each message. */
      readonly size: number;
      /** 0: none. */
      readonly timeoutMs: number;
      /** Cancelled so much later; 0: never. */
      readonly cancelMs: number;
      /** How long the reader takes for each message, at most. */
      readonly slowMs: number;
      /** How long the handler takes for each step, at most. */
      readonly workMs: number;
    }
  | { readonly kind: "cut"; readonly at: number; readonly client: number }
  | {
      readonly kind: "cutAfter";
      readonly at: number;
      readonly client: number;
      readonly direction: Direction;
      readonly bytes: number;
    }
  | {
      readonly kind: "stall";
      readonly at: number;
      readonly client: number;
      readonly direction: Direction | "both";
    }
  | { readonly kind: "dieLate"; readonly at: number; readonly client: number; readonly ms: number }
  | { readonly kind: "away"; readonly at: number; readonly client: number; readonly ms: number }
  | { readonly kind: "slow"; readonly at: number; readonly client: number; readonly bytesPerSecond: number }
  | { readonly kind: "crash"; readonly at: number; readonly node: number; readonly downMs: number }
  | { readonly kind: "jump"; readonly at: number; readonly node: number; readonly ms: number }
  | { readonly kind: "sleep"; readonly at: number; readonly client: number; readonly ms: number };

/** All that happens in a run. */
export interface Scenario {
  readonly seed: number;
  readonly clients: number;
  readonly nodes: number;
  readonly store: StoreKind;
  readonly latencyMs: number;
  readonly jitterMs: number;
  /** Infinity: no limit. */
  readonly bytesPerSecond: number;
  readonly graceMs: number;
  readonly actions: readonly Action[];
}

/** The scenario of a seed: the same for the same seed, always. */
export function generate(seed: number): Scenario {
  const random = seededRandom(seed * 2_654_435_761);
  const int = (below: number) => Math.floor(random() * below);
  const chance = (probability: number) => random() < probability;
  const clients = 1 + int(4);
  const nodes = chance(0.4) ? 2 : 1;
  const actions: Action[] = [];
  const span = 2_000 + int(6_000);
  const calls = 4 + int(12);
  // Some runs move much, so that outboxes and windows fill.
  const large = chance(0.25);
  for (let i = 0; i < calls; i++) {
    const method = METHODS[int(METHODS.length)] as Method;
    actions.push({
      kind: "call",
      at: int(span),
      client: int(clients),
      method,
      count: 1 + int(large ? 30 : 12),
      size: chance(0.6) ? int(100) : large ? int(90_000) : int(5_000),
      timeoutMs: chance(0.15) ? 50 + int(4_000) : 0,
      cancelMs: chance(0.1) ? 1 + int(1_500) : 0,
      slowMs: chance(0.2) ? int(200) : 0,
      workMs: chance(0.5) ? int(60) : 0,
    });
  }
  const faults = int(9);
  for (let i = 0; i < faults; i++) {
    const at = int(span);
    const client = int(clients);
    const direction: Direction = chance(0.5) ? "up" : "down";
    const die = random();
    if (die < 0.2) actions.push({ kind: "cut", at, client });
    else if (die < 0.45) {
      actions.push({ kind: "cutAfter", at, client, direction, bytes: int(chance(0.5) ? 200 : 20_000) });
    } else if (die < 0.58) {
      actions.push({ kind: "stall", at, client, direction: chance(0.4) ? "both" : direction });
    } else if (die < 0.7) actions.push({ kind: "dieLate", at, client, ms: int(3_000) });
    else if (die < 0.76) actions.push({ kind: "away", at, client, ms: int(4_000) });
    // Not slower: a link that takes longer for one piece than a ping may take is never taken for alive.
    else if (die < 0.8) actions.push({ kind: "slow", at, client, bytesPerSecond: 60_000 + int(400_000) });
    else if (die < 0.92) actions.push({ kind: "crash", at, node: int(nodes), downMs: int(2_000) });
    else if (die < 0.96) actions.push({ kind: "jump", at, node: int(nodes), ms: int(120_000) - 30_000 });
    else actions.push({ kind: "sleep", at, client, ms: int(20_000) });
  }
  actions.sort((a, b) => a.at - b.at);
  return {
    seed,
    clients,
    nodes,
    store: chance(0.6) || nodes > 1 ? "shared" : "memory",
    latencyMs: 1 + int(60),
    jitterMs: chance(0.5) ? int(80) : 0,
    bytesPerSecond: chance(0.6) ? Number.POSITIVE_INFINITY : 50_000 + int(2_000_000),
    graceMs: chance(0.2) ? 500 + int(2_000) : 60_000,
    actions,
  };
}

/** A scenario for people. */
export function describeScenario(scenario: Scenario): string {
  const { actions, ...setting } = scenario;
  const words = (value: object) =>
    Object.entries(value)
      .filter(([, part]) => part !== 0)
      .map(([name, part]) => `${name} ${part}`)
      .join(", ");
  return [
    words(setting),
    ...actions.map(({ kind, at, ...rest }) => `  at ${String(at).padStart(5)}: ${kind} ${words(rest)}`),
  ].join("\n");
}
