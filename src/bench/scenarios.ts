import type { ContenderName } from "./contenders.js";
import type { Work } from "./task.js";

/** How a scenario is measured. */
export type Measurement =
  /** So much work as fits into the time; per second, and CPU for each. */
  | { readonly kind: "rate"; readonly work: Work; readonly unit: "call" | "message" | "delivery" }
  /** Memory of connections that stay open, each after so many calls. */
  | {
      readonly kind: "idle";
      readonly connections: number;
      readonly calls: number;
      readonly subscribed: boolean;
    }
  /** So many connections at once, from the first byte to the reply of one call on each. */
  | { readonly kind: "connect"; readonly connections: number }
  /** One client publishes on one node, another is subscribed on the other. */
  | { readonly kind: "nodes" }
  /** All links break at once, until each connection is back and has made one call. */
  | { readonly kind: "reconnect"; readonly connections: number };

/** Something to measure. */
export interface Scenario {
  /** Kind, body, in flight: `unary-32B-64`; with more connections than one: `unary-32B-8x8`, 8 connections of 8. */
  readonly name: string;
  /** The same in words. */
  readonly title: string;
  readonly bodyBytes: number;
  /** Default: numbers. */
  readonly body?: "json";
  readonly measurement: Measurement;
  /** What a reader looks at first. */
  readonly headline: string;
  readonly contenders: readonly ContenderName[];
  /** Whether it is part of `--quick`. */
  readonly quick?: true;
}

/** Hawser, and what it stands on. */
const BASE: readonly ContenderName[] = ["net", "ws", "hawser", "hawser-es"];
const PEERS: readonly ContenderName[] = [
  "rpc-websockets",
  "socket.io",
  "socket.io-msgpack",
  "capnweb",
  "river",
  "trpc",
  "grpc-js",
  "connect-node",
  "starpc",
];
/** Those that stream from the server as their users write it. */
const STREAMING: readonly ContenderName[] = [
  "socket.io",
  "trpc",
  "grpc-js",
  "connect-node",
  "starpc",
  "river",
];
const COMPRESSED: readonly ContenderName[] = [
  "ws-deflate",
  "hawser-memory",
  "hawser-balanced",
  "hawser-ratio",
];
const SIZES: Readonly<Record<string, number>> = { "32B": 32, "1KiB": 1_024, "64KiB": 65_536 };

interface UnaryExtras {
  readonly contenders?: readonly ContenderName[];
  readonly name?: string;
  readonly title?: string;
  readonly body?: "json";
  readonly quick?: true;
}

function unary(size: string, connections: number, depth: number, extras: UnaryExtras = {}): Scenario {
  const flight = connections === 1 ? `${depth}` : `${connections}x${depth}`;
  const inWords =
    connections === 1 ? `${depth} in flight` : `${connections} connections, ${depth} in flight on each`;
  return {
    name: `unary-${size}-${flight}`,
    title: `unary, ${size.replace(/(?<=\d)(?=[KMB])/, " ")}, ${inWords}`,
    bodyBytes: SIZES[size] ?? 0,
    measurement: { kind: "rate", work: { kind: "echo", depth, connections }, unit: "call" },
    headline: depth === 1 && connections === 1 ? "p50Micros" : "callsPerSecond",
    contenders: BASE,
    ...extras,
  };
}

function stream(kind: "push" | "upload", title: string, contenders: readonly ContenderName[]): Scenario {
  return {
    name: `${kind}-32B`,
    title,
    bodyBytes: 32,
    measurement: { kind: "rate", work: { kind }, unit: "message" },
    headline: "messagesPerSecond",
    contenders,
    ...(kind === "push" ? { quick: true as const } : {}),
  };
}

function fanOut(perTurn: number, contenders: readonly ContenderName[]): Scenario {
  const suffix = perTurn === 1 ? "" : `-${perTurn}-per-turn`;
  return {
    name: `fanout-100B-1000${suffix}`,
    title: `fan-out to 1,000 connections, 100 B, ${perTurn === 1 ? "one publication" : `${perTurn} publications`} in each turn`,
    bodyBytes: 32,
    measurement: {
      kind: "rate",
      work: { kind: "fanOut", connections: 1_000, perTurn, bytes: 100 },
      unit: "delivery",
    },
    headline: "deliveriesPerSecond",
    contenders,
  };
}

/** Depths of one connection, and of each of 8 and of 64, whose product is at most 256. */
const CURVE: readonly (readonly [connections: number, depths: readonly number[]])[] = [
  [1, [1, 2, 4, 8, 16, 32, 64, 128, 256]],
  [8, [1, 2, 4, 8, 16, 32]],
  [64, [1, 2, 4]],
];

/** Those of the curve that have more contenders, or belong to `--quick`. */
const MAIN: readonly Scenario[] = [
  unary("32B", 1, 64, { contenders: [...BASE, ...PEERS], quick: true }),
  unary("1KiB", 1, 64, { contenders: [...BASE, ...PEERS], quick: true }),
  unary("64KiB", 1, 8, { contenders: [...BASE, ...PEERS], quick: true }),
  unary("32B", 1, 1, { contenders: [...BASE, ...PEERS], quick: true }),
  unary("32B", 1, 8, { quick: true }),
  unary("32B", 8, 8, { quick: true }),
];

const WITHOUT_LIMITS: readonly ContenderName[] = ["hawser-no-limits", "hawser"];
const KEYS: readonly ContenderName[] = ["hawser", "hawser-keys"];

/** All scenarios, in the order in which they are measured. */
export const SCENARIOS: readonly Scenario[] = [
  ...MAIN,
  stream("push", "server streaming to one client, 32 B", [...BASE, ...STREAMING]),
  stream("upload", "client streaming from one client, 32 B", [
    ...BASE,
    "socket.io",
    "grpc-js",
    "connect-node",
    "starpc",
  ]),
  {
    name: "bidi-32B-64",
    title: "bidirectional stream that gives messages back, 32 B, 64 in flight",
    bodyBytes: 32,
    measurement: { kind: "rate", work: { kind: "converse", depth: 64 }, unit: "message" },
    headline: "messagesPerSecond",
    contenders: [...BASE, "grpc-js", "connect-node", "starpc"],
  },
  ...CURVE.flatMap(([connections, depths]) =>
    depths.map((depth) => unary("32B", connections, depth, { contenders: ["net", "ws", "hawser"] })),
  ).filter(({ name }) => !MAIN.some((main) => main.name === name)),
  fanOut(1, [...BASE, "socket.io"]),
  fanOut(50, ["net", "ws", "hawser"]),
  {
    name: "connect-storm-2000",
    title: "2,000 connections at once, each with one call",
    bodyBytes: 32,
    measurement: { kind: "connect", connections: 2_000 },
    headline: "connectionsPerSecond",
    contenders: ["net", "ws", "hawser", "hawser-authenticated", "socket.io"],
  },
  {
    name: "reconnect-storm-2000",
    title: "2,000 links that break at once, until every connection is back and has made a call",
    bodyBytes: 32,
    measurement: { kind: "reconnect", connections: 2_000 },
    headline: "connectionsPerSecond",
    contenders: ["net", "ws", "hawser", "hawser-authenticated", "socket.io"],
  },
  {
    name: "idle-5000",
    title: "memory of 5,000 idle connections",
    bodyBytes: 32,
    measurement: { kind: "idle", connections: 5_000, calls: 0, subscribed: false },
    headline: "heapBytesPerConnection",
    contenders: ["net", "ws", "hawser", "hawser-authenticated", "socket.io"],
  },
  {
    name: "subscribed-5000",
    title: "memory of 5,000 connections that are subscribed to a topic",
    bodyBytes: 32,
    measurement: { kind: "idle", connections: 5_000, calls: 0, subscribed: true },
    headline: "heapBytesPerConnection",
    contenders: ["ws", "hawser"],
  },
  {
    name: "cross-node-100B",
    title: "from a publisher on one node to a subscriber on another, 100 B",
    bodyBytes: 100,
    measurement: { kind: "nodes" },
    headline: "p50Micros",
    contenders: [
      "hawser-1-node",
      "hawser-2-nodes",
      "hawser-2-nodes-history",
      "socket.io-1-node",
      "socket.io-2-nodes",
    ],
  },
  unary("1KiB", 1, 64, {
    name: "compression-1KiB-64",
    title: "compression, JSON, 64 in flight, 1 KiB",
    body: "json",
    contenders: COMPRESSED,
  }),
  unary("1KiB", 1, 1, {
    name: "compression-1KiB-1",
    title: "compression, JSON, one by one, 1 KiB",
    body: "json",
    contenders: COMPRESSED,
  }),
  {
    name: "compression-idle-500",
    title: "compression, JSON, memory of 500 connections after 20 calls each, 1 KiB",
    bodyBytes: 1_024,
    body: "json",
    measurement: { kind: "idle", connections: 500, calls: 20, subscribed: false },
    headline: "rssBytesPerConnection",
    contenders: COMPRESSED,
  },
  unary("32B", 1, 64, {
    name: "outbox-32B-64",
    title: "sequence numbers, acknowledgements and outbox, 64 in flight, 32 B",
    contenders: ["hawser-no-outbox", "hawser"],
  }),
  unary("32B", 1, 64, {
    name: "keys-32B-64",
    title: "an idempotency key on every call, 64 in flight, 32 B",
    contenders: KEYS,
  }),
  unary("32B", 1, 1, {
    name: "keys-32B-1",
    title: "an idempotency key on every call, one by one, 32 B",
    contenders: KEYS,
  }),
  unary("32B", 1, 64, {
    name: "limits-32B-64",
    title: "every limit at its default, 64 in flight, 32 B",
    contenders: WITHOUT_LIMITS,
  }),
];
