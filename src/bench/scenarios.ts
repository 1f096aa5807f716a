import type { BodyKind } from "./contender.js";
import { WITHOUT_RELIABILITY } from "./contenders.js";
import type { Task } from "./process.js";

/** Hawser beside what it stands on. */
const PEERS = ["raw ws", "hawser"];

/** The profiles beside `ws` as it compresses by default. */
const COMPRESSED = ["raw ws, deflate", "hawser, memory", "hawser, balanced", "hawser, ratio"];

/** Something to measure. */
export interface Scenario {
  readonly name: string;
  readonly bodyBytes: number;
  /** Default: numbers. */
  readonly body?: BodyKind;
  readonly warmUp: Task;
  readonly task: Task;
  /** What the headline number is. */
  readonly unit: "calls/s" | "messages/s" | "deliveries/s" | "p50 µs" | "B/connection";
  /** Who is measured; the others are compared with the first. */
  readonly contenders: readonly string[];
  /** What we want of Hawser relative to the first contender, for the reader of the table; nothing fails by it. */
  readonly aim: string;
}

/** All scenarios. `scale` shortens what is measured for a quick look; the warm-up is what the engine needs. */
export function scenarios(scale: number): readonly Scenario[] {
  const echo = (calls: number, depth: number): Task => ({ kind: "echo", calls, depth });
  const hold = (connections: number, calls: number): Task => ({ kind: "hold", connections, calls });
  const fanOut = (messages: number, perTurn: number): Task => ({
    kind: "fanOut",
    connections: 1_000,
    messages,
    perTurn,
    bytes: 100,
  });
  const push = (messages: number): Task => ({ kind: "push", messages });
  return [
    {
      name: "unary, 64 in flight, 32 B",
      bodyBytes: 32,
      warmUp: echo(60_000, 64),
      task: echo(scale * 400_000, 64),
      unit: "calls/s",
      contenders: PEERS,
      aim: "calls/s ≥ 1.0, server CPU ≤ 0.8",
    },
    {
      name: "unary, 64 in flight, 1 KiB",
      bodyBytes: 1024,
      warmUp: echo(40_000, 64),
      task: echo(scale * 200_000, 64),
      unit: "calls/s",
      contenders: PEERS,
      aim: "",
    },
    {
      name: "unary, 8 in flight, 32 B",
      bodyBytes: 32,
      warmUp: echo(40_000, 8),
      task: echo(scale * 200_000, 8),
      unit: "calls/s",
      contenders: PEERS,
      aim: "",
    },
    {
      name: "unary, 1 in flight, 32 B",
      bodyBytes: 32,
      warmUp: echo(10_000, 1),
      task: echo(scale * 30_000, 1),
      unit: "p50 µs",
      contenders: PEERS,
      aim: "p50 ≤ 1.2",
    },
    {
      name: "server streaming, 32 B",
      bodyBytes: 32,
      warmUp: push(200_000),
      task: push(scale * 1_000_000),
      unit: "messages/s",
      contenders: PEERS,
      aim: "messages/s ≥ 2.0",
    },
    {
      name: "fan-out to 1,000 connections, 100 B",
      bodyBytes: 32,
      warmUp: fanOut(1_000, 1),
      task: fanOut(scale * 2_000, 1),
      unit: "deliveries/s",
      contenders: PEERS,
      aim: "deliveries/s ≥ 1.0, server CPU ≤ 1.0",
    },
    {
      name: "fan-out to 1,000 connections, 50 in each turn, 100 B",
      bodyBytes: 32,
      warmUp: fanOut(1_000, 50),
      task: fanOut(scale * 5_000, 50),
      unit: "deliveries/s",
      contenders: PEERS,
      aim: "deliveries/s ≥ 3.0",
    },
    {
      name: "sequence numbers, acknowledgements and outbox, 64 in flight, 32 B",
      bodyBytes: 32,
      warmUp: echo(60_000, 64),
      task: echo(scale * 400_000, 64),
      unit: "calls/s",
      contenders: [WITHOUT_RELIABILITY, "hawser"],
      aim: "server CPU < 1.10",
    },
    {
      name: "an idempotency key on every call, 64 in flight, 32 B",
      bodyBytes: 32,
      warmUp: echo(60_000, 64),
      task: echo(scale * 400_000, 64),
      unit: "calls/s",
      contenders: ["hawser", "hawser, with keys"],
      aim: "server CPU < 1.25",
    },
    {
      name: "an idempotency key on every call, one by one, 32 B",
      bodyBytes: 32,
      warmUp: echo(10_000, 1),
      task: echo(scale * 30_000, 1),
      unit: "p50 µs",
      contenders: ["hawser", "hawser, with keys"],
      aim: "server CPU < 1.25",
    },
    {
      name: "every limit at its default, 64 in flight, 32 B",
      bodyBytes: 32,
      warmUp: echo(60_000, 64),
      task: echo(scale * 400_000, 64),
      unit: "calls/s",
      contenders: ["hawser, no limits", "hawser"],
      aim: "calls/s ≥ 0.9",
    },
    {
      name: "compression, JSON, 64 in flight, 1 KiB",
      bodyBytes: 1_024,
      body: "json",
      warmUp: echo(10_000, 64),
      task: echo(scale * 40_000, 64),
      unit: "calls/s",
      contenders: COMPRESSED,
      aim: "balanced: calls/s ≥ 10, bytes ≤ 1.3",
    },
    {
      name: "compression, JSON, one by one, 1 KiB",
      bodyBytes: 1_024,
      body: "json",
      warmUp: echo(2_000, 1),
      task: echo(scale * 5_000, 1),
      unit: "p50 µs",
      contenders: COMPRESSED,
      aim: "",
    },
    {
      name: "compression, JSON, memory of 200 connections after 20 calls each, 1 KiB",
      bodyBytes: 1_024,
      body: "json",
      warmUp: echo(2_000, 1),
      task: hold(200, 20),
      unit: "B/connection",
      contenders: COMPRESSED,
      aim: "balanced: B ≤ 0.25",
    },
    {
      name: "memory of 5,000 idle connections",
      bodyBytes: 32,
      warmUp: hold(200, 0),
      task: hold(5_000, 0),
      unit: "B/connection",
      contenders: ["raw ws", "hawser, authenticated"],
      aim: "B ≤ 3",
    },
    {
      name: "memory of 5,000 connections that are subscribed to a topic",
      bodyBytes: 32,
      warmUp: { kind: "watch", connections: 200 },
      task: { kind: "watch", connections: 5_000 },
      unit: "B/connection",
      contenders: PEERS,
      aim: "",
    },
  ];
}
