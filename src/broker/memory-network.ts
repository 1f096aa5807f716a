import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import { type Address, type BusMessage, REST } from "./bus.js";

/** What buses in memory need of their process. */
export interface MemoryBusesInit {
  /** Runs a task soon, and never at once: `queueMicrotask`, `setImmediate`. Messages are delivered by it, in their order. */
  readonly defer: (task: () => void) => void;
  /** Runs a task after so many milliseconds; returns how to call it off. */
  readonly after: (ms: number, task: () => void) => () => void;
  /** After how long others notice that a node does not answer any more, in milliseconds. Default 12,000. */
  readonly goneAfterMs?: number;
  /** Largest payload in bytes. Default 1,000,000. */
  readonly maxPayload?: number;
}

/** A node, as the others know it. */
export interface NetworkMember {
  readonly node: string;
  /** Whether it can be reached. */
  readonly up: boolean;
  /** By {@link keyOf} or {@link restKeyOf} their address. */
  readonly listeners: ReadonlyMap<string, ReadonlySet<MemoryListener>>;
  /** What it has registered, by {@link keyOf} kind and name. */
  readonly registered: ReadonlyMap<string, ReadonlySet<string>>;
  came(node: string): void;
  went(node: string): void;
}

/** What all nodes share. */
export class MemoryNetwork {
  readonly members: Map<string, NetworkMember> = new Map();
  readonly after: MemoryBusesInit["after"];
  readonly goneAfterMs: number;
  readonly maxPayload: number;
  readonly #defer: MemoryBusesInit["defer"];
  #queue: (() => void)[] = [];

  constructor({ defer, after, goneAfterMs = 12_000, maxPayload = 1_000_000 }: MemoryBusesInit) {
    this.#defer = defer;
    this.after = after;
    this.goneAfterMs = goneAfterMs;
    this.maxPayload = maxPayload;
  }

  /** Runs a task after all that were given before. */
  soon(task: () => void): void {
    this.#queue.push(task);
    if (this.#queue.length === 1) this.#defer(() => this.#run());
  }

  /** All that listen at an address and can be reached. */
  *listeners(address: Address): Generator<MemoryListener> {
    const exact = keyOf(address);
    const rest = restKeyOf(address.slice(0, -1));
    for (const member of this.members.values()) {
      if (!member.up) continue;
      yield* member.listeners.get(exact) ?? [];
      if (address.length > 0) yield* member.listeners.get(rest) ?? [];
    }
  }

  #run(): void {
    const tasks = this.#queue;
    this.#queue = [];
    for (let i = 0; i < tasks.length; i++) {
      try {
        tasks[i]?.();
      } catch (error) {
        // What was to come after it still does, and before what was added meanwhile.
        const left = [...tasks.slice(i + 1), ...this.#queue];
        this.#queue = [];
        for (const task of left) this.soon(task);
        throw error;
      }
    }
  }
}

/** Something that listens. */
export interface MemoryListener {
  readonly onMessage: (message: BusMessage) => void;
  /** How many parts the rest begins behind. */
  readonly restAt: number;
  closed: boolean;
}

/** A message on its way. */
export class MemoryMessage implements BusMessage {
  readonly payload: Uint8Array;
  readonly rest: readonly string[];
  #answer: ((payload: Uint8Array) => void) | undefined;

  constructor(payload: Uint8Array, rest: readonly string[], answer: (payload: Uint8Array) => void) {
    this.payload = payload;
    this.rest = rest;
    this.#answer = answer;
  }

  reply(payload: Uint8Array): void {
    this.#answer?.(payload);
    this.#answer = undefined;
  }
}

/** One text for each address: JSON keeps apart what joining would not. */
export function keyOf(address: Address): string {
  return JSON.stringify(address);
}

/** The same for all addresses of one part more. No address has this text. */
export function restKeyOf(before: Address): string {
  return `${keyOf(before)}${REST}`;
}

/** Other nodes cannot be reached, or do not listen. */
export function unavailable(message: string, executed: "no" | "unknown" = "no"): RpcError {
  return new RpcError(message, Code.Unavailable, { executed });
}

/** @throws RpcError RESOURCE_EXHAUSTED for a payload that is too large. */
export function checkSize({ byteLength }: Uint8Array, maxPayload: number): void {
  if (byteLength <= maxPayload) return;
  throw new RpcError(
    `a payload of ${byteLength} bytes is larger than the bus carries (${maxPayload})`,
    Code.ResourceExhausted,
    { executed: "no" },
  );
}
