import { createConnection, type Socket } from "node:net";
import type { Random } from "../base/clock.js";
import type { BreakKind, ProxyBehaviour, ProxyTarget } from "./fault-proxy.js";
import type { Direction } from "./network.js";

/** What a {@link FaultyConnection} is made with. */
export interface ConnectionInit {
  readonly target: ProxyTarget;
  /** Looked at whenever bytes arrive: it may change. */
  readonly behaviour: Required<ProxyBehaviour> & { readonly random: Random };
  /** A second connection gets the same bytes; its answers go nowhere. */
  readonly copied: boolean;
  readonly mangle: ((direction: Direction, chunk: Buffer, offset: number) => Buffer) | undefined;
  onBreak(): void;
  /** Both sockets are closed. */
  onGone(): void;
}

/** Reading stops while this much of a direction is on its way. */
const MAX_UNDERWAY_BYTES = 256 * 1024;

/** One direction of a connection. */
class Way {
  readonly from: Socket;
  readonly to: Socket;
  /** Bytes that have come in. */
  seen = 0;
  silent = false;
  breakAt: number = Number.POSITIVE_INFINITY;
  breakKind: BreakKind = "reset";
  corruptAt = -1;
  /** What is on its way, with the time of its arrival. */
  readonly queue: { readonly chunk: Buffer; readonly at: number }[] = [];
  queued = 0;
  timer: ReturnType<typeof setTimeout> | undefined;
  lastAt = 0;
  throughAt = 0;

  constructor(from: Socket, to: Socket) {
    this.from = from;
    this.to = to;
  }
}

/** A client's socket and the one towards the target, and what happens between them. */
export class FaultyConnection {
  readonly passed = { up: 0, down: 0 };
  readonly #init: ConnectionInit;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #copy: Socket | undefined;
  readonly #ways: Readonly<Record<Direction, Way>>;
  #broken = false;

  constructor(client: Socket, init: ConnectionInit) {
    this.#init = init;
    this.#client = client;
    const { port, host = "127.0.0.1" } = init.target;
    const dial = () => createConnection({ port, host, noDelay: true });
    this.#server = dial();
    this.#copy = init.copied ? dial() : undefined;
    this.#copy?.on("error", () => undefined).resume();
    this.#ways = { up: new Way(client, this.#server), down: new Way(this.#server, client) };
    for (const socket of [client, this.#server]) {
      // What broke it is told by "close", which always follows.
      socket.on("error", () => undefined);
      socket.on("close", () => {
        if (client.destroyed && this.#server.destroyed) init.onGone();
      });
    }
    this.#carry("up");
    this.#carry("down");
  }

  /** Bytes of a direction that have come in so far. */
  seen(direction: Direction): number {
    return this.#ways[direction].seen;
  }

  stall(direction: Direction): void {
    const way = this.#ways[direction];
    way.silent = true;
    way.from.pause();
  }

  breakAfter(direction: Direction, bytes: number, how: BreakKind): void {
    const way = this.#ways[direction];
    way.breakAt = bytes;
    way.breakKind = how;
    if (bytes <= way.seen) this.break(how);
  }

  corrupt(direction: Direction, offset: number): void {
    this.#ways[direction].corruptAt = offset;
  }

  break(how: BreakKind): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#init.onBreak();
    const ways = [this.#ways.up, this.#ways.down];
    for (const way of ways) clearTimeout(way.timer);
    if (how === "stall") {
      for (const way of ways) {
        way.silent = true;
        way.from.pause();
      }
      return;
    }
    this.#copy?.destroy();
    for (const socket of [this.#client, this.#server]) {
      if (how === "reset") socket.resetAndDestroy();
      else socket.destroySoon();
    }
  }

  destroy(): void {
    this.#broken = true;
    for (const way of [this.#ways.up, this.#ways.down]) clearTimeout(way.timer);
    for (const socket of [this.#client, this.#server, this.#copy]) socket?.destroy();
  }

  #carry(direction: Direction): void {
    const way = this.#ways[direction];
    way.from.on("data", (chunk: Buffer) => {
      if (this.#broken || way.silent) return;
      const rest = way.breakAt - way.seen;
      if (chunk.length >= rest) {
        if (rest > 0) this.#pass(direction, chunk.subarray(0, rest));
        this.#whenPassed(direction, () => this.break(way.breakKind));
        return;
      }
      this.#pass(direction, chunk);
    });
    way.from.on("close", () => {
      if (this.#broken || way.silent) return;
      this.#whenPassed(direction, () => {
        way.to.destroySoon();
        if (direction === "up") this.#copy?.destroySoon();
      });
    });
  }

  /** Sends bytes on their way; they are written at once when they need no time. */
  #pass(direction: Direction, chunk: Buffer): void {
    const way = this.#ways[direction];
    const { latencyMs, jitterMs, bytesPerSecond, random } = this.#init.behaviour;
    const bytes = this.#changed(direction, way, chunk);
    way.seen += chunk.length;
    const now = performance.now();
    way.throughAt = Math.max(way.throughAt, now) + (bytes.length / bytesPerSecond) * 1_000;
    way.lastAt = Math.max(way.lastAt, way.throughAt + latencyMs + (jitterMs > 0 ? random() * jitterMs : 0));
    if (way.queue.length === 0 && way.lastAt <= now) {
      this.#write(direction, bytes);
      return;
    }
    way.queue.push({ chunk: bytes, at: way.lastAt });
    way.queued += bytes.length;
    if (way.queued > MAX_UNDERWAY_BYTES) way.from.pause();
    this.#arm(direction);
  }

  /** Does something behind all that is on its way. */
  #whenPassed(direction: Direction, act: () => void): void {
    const way = this.#ways[direction];
    way.from.pause();
    const wait = Math.max(0, way.lastAt - performance.now());
    if (way.queue.length === 0 && wait === 0) return act();
    setTimeout(() => this.#whenPassed(direction, act), Math.ceil(wait));
  }

  #changed(direction: Direction, way: Way, chunk: Buffer): Buffer {
    let bytes = this.#init.mangle?.(direction, chunk, way.seen) ?? chunk;
    const index = way.corruptAt - way.seen;
    if (index >= 0 && index < bytes.length) {
      bytes = Buffer.from(bytes);
      bytes[index] = (bytes[index] as number) ^ 0xff;
      way.corruptAt = -1;
    }
    return bytes;
  }

  #arm(direction: Direction): void {
    const way = this.#ways[direction];
    const [first] = way.queue;
    if (way.timer !== undefined || first === undefined) return;
    way.timer = setTimeout(
      () => {
        way.timer = undefined;
        const now = performance.now();
        while (way.queue[0] !== undefined && way.queue[0].at <= now) {
          const { chunk } = way.queue[0];
          way.queue.shift();
          way.queued -= chunk.length;
          if (!this.#broken && !way.silent) this.#write(direction, chunk);
        }
        if (way.queued <= MAX_UNDERWAY_BYTES && !this.#broken && !way.silent) way.from.resume();
        this.#arm(direction);
      },
      Math.max(0, Math.ceil(first.at - performance.now())),
    );
  }

  #write(direction: Direction, bytes: Buffer): void {
    const way = this.#ways[direction];
    this.passed[direction] += bytes.length;
    if (direction === "up") this.#copy?.write(bytes);
    if (way.to.write(bytes)) return;
    // The sender feels it when the other side does not take more.
    way.from.pause();
    way.to.once("drain", () => {
      if (!this.#broken && !way.silent) way.from.resume();
    });
  }
}
