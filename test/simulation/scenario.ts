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
  /** The link breaks, and the next one dies late with the Hello on it. */
  | { readonly kind: "lateHello"; readonly at: number; readonly client: number; readonly ms: number }
  | { readonly kind: "away"; readonly at: number; readonly client: number; readonly ms: number }
  /** The server ends the client's session, and lives on. */
  | { readonly kind: "evict"; readonly at: number; readonly client: number }
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
  /** First delay of a retry. */
  readonly backoffMs: number;
  readonly actions: readonly Action[];
}

/** The scenario of a seed: the same for the same seed, always. */
export function generate(seed: number): Scenario {
  const dice = new Dice(seed * 2_654_435_761);
  const clients = 1 + dice.int(4);
  const nodes = dice.chance(0.4) ? 2 : 1;
  const span = 2_000 + dice.int(6_000);
  const actions = [...calls(dice, clients, span), ...faults(dice, clients, nodes, span)];
  if (dice.chance(0.1)) actions.push(...burst(dice, clients, span));
  actions.sort((a, b) => a.at - b.at);
  return {
    seed,
    clients,
    nodes,
    store: dice.chance(0.5) || nodes > 1 ? "shared" : "memory",
    latencyMs: 1 + dice.int(60),
    jitterMs: dice.chance(0.5) ? dice.int(80) : 0,
    bytesPerSecond: dice.chance(0.6) ? Number.POSITIVE_INFINITY : 60_000 + dice.int(2_000_000),
    graceMs: dice.chance(0.2) ? 500 + dice.int(2_000) : 60_000,
    backoffMs: dice.chance(0.5) ? 20 : 300,
    actions,
  };
}

class Dice {
  readonly random: () => number;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  int(below: number): number {
    return Math.floor(this.random() * below);
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  /** An int, with this probability; otherwise 0. */
  sometimes(probability: number, below: number): number {
    return this.chance(probability) ? 1 + this.int(below - 1) : 0;
  }
}

function calls(dice: Dice, clients: number, span: number): Action[] {
  // Some runs move much, so that windows fill.
  const large = dice.chance(0.25);
  return Array.from({ length: 4 + dice.int(12) }, () => ({
    kind: "call",
    at: dice.int(span),
    client: dice.int(clients),
    method: METHODS[dice.int(METHODS.length)] as Method,
    count: 1 + dice.int(large ? 30 : 12),
    size: dice.chance(0.6) ? dice.int(100) : dice.int(large ? 90_000 : 5_000),
    timeoutMs: dice.sometimes(0.2, 4_000),
    cancelMs: dice.sometimes(0.1, 1_500),
    slowMs: dice.sometimes(0.2, 200),
    // Some handlers take longer than a claim lasts.
    workMs: dice.chance(0.15) ? dice.int(5_000) : dice.sometimes(0.5, 60),
  }));
}

/** Many large streams at once, on links that then stand still: outboxes fill. */
function burst(dice: Dice, clients: number, span: number): Action[] {
  const client = dice.int(clients);
  const at = dice.int(span);
  const methods: Method[] = ["repeat", "converse", "collect"];
  const calls = Array.from({ length: 12 }, (): Action => {
    const method = methods[dice.int(methods.length)] as Method;
    const size = 20_000 + dice.int(40_000);
    const rest = { timeoutMs: 0, cancelMs: 0, slowMs: 0, workMs: 0 };
    return { kind: "call", at: at + dice.int(50), client, method, count: 10, size, ...rest };
  });
  const direction = dice.chance(0.5) ? "up" : "down";
  return [...calls, { kind: "stall", at: at + 50 + dice.int(300), client, direction }];
}

/** How often each fault comes, relative to the others, and what it is like. */
const FAULTS: readonly [
  weight: number,
  make: (dice: Dice, at: number, client: number, node: number) => Action,
][] = [
  [20, (_, at, client) => ({ kind: "cut", at, client })],
  [
    24,
    (dice, at, client) => ({
      kind: "cutAfter",
      at,
      client,
      direction: dice.chance(0.5) ? "up" : "down",
      bytes: dice.int(dice.chance(0.5) ? 200 : 20_000),
    }),
  ],
  [
    12,
    (dice, at, client) => ({
      kind: "stall",
      at,
      client,
      direction: dice.chance(0.4) ? "both" : dice.chance(0.5) ? "up" : "down",
    }),
  ],
  [12, (dice, at, client) => ({ kind: "dieLate", at, client, ms: dice.int(3_000) })],
  [6, (dice, at, client) => ({ kind: "lateHello", at, client, ms: dice.int(1_500) })],
  [6, (dice, at, client) => ({ kind: "away", at, client, ms: dice.int(4_000) })],
  [8, (_, at, client) => ({ kind: "evict", at, client })],
  // Not slower: a link that takes longer for one piece than a ping may take is never taken for alive.
  [4, (dice, at, client) => ({ kind: "slow", at, client, bytesPerSecond: 60_000 + dice.int(400_000) })],
  [14, (dice, at, _, node) => ({ kind: "crash", at, node, downMs: dice.int(3_000) })],
  [5, (dice, at, _, node) => ({ kind: "jump", at, node, ms: dice.int(120_000) - 30_000 })],
  [4, (dice, at, client) => ({ kind: "sleep", at, client, ms: dice.int(20_000) })],
];

const ALL_WEIGHTS = FAULTS.reduce((sum, [weight]) => sum + weight, 0);

function pick(at: number): (typeof FAULTS)[number][1] {
  let rest = at;
  for (const [weight, make] of FAULTS) {
    rest -= weight;
    if (rest < 0) return make;
  }
  throw new Error(`${at} is beyond all weights`);
}

function faults(dice: Dice, clients: number, nodes: number, span: number): Action[] {
  return Array.from({ length: dice.int(10) }, () => {
    const make = pick(dice.int(ALL_WEIGHTS));
    return make(dice, dice.int(span), dice.int(clients), dice.int(nodes));
  });
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
