import { WITHOUT_RELIABILITY } from "./contenders.js";
import type { Task } from "./process.js";

/** Hawser beside what it stands on. */
const PEERS = ["raw ws", "hawser"];

/** Something to measure. */
export interface Scenario {
  readonly name: string;
  readonly bodyBytes: number;
  readonly warmUp: Task;
  readonly task: Task;
  /** What the headline number is. */
  readonly unit: "calls/s" | "messages/s" | "p50 µs";
  /** Who is measured; the others are compared with the first. */
  readonly contenders: readonly string[];
  /** What we want of Hawser relative to the first contender, for the reader of the table; nothing fails by it. */
  readonly aim: string;
}

/** All scenarios. `scale` shortens what is measured for a quick look; the warm-up is what the engine needs. */
export function scenarios(scale: number): readonly Scenario[] {
  const echo = (calls: number, depth: number): Task => ({ kind: "echo", calls, depth });
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
  ];
}
