import { createConnection, type Socket } from "node:net";
import type { Random } from "../base/clock.js";
import type { ProxyTarget } from "./fault-proxy.js";
import { FaultyWay } from "./faulty-way.js";
import type { Direction } from "./network.js";
import type { Behaviours, BreakKind } from "./proxy-faults.js";

/** What a {@link FaultyConnection} is made with. */
export interface ConnectionInit {
  readonly target: ProxyTarget;
  readonly behaviours: Behaviours;
  readonly random: Random;
  /** A second connection gets the same bytes; its answers go nowhere. */
  readonly copied: boolean;
  /** May change bytes before they pass on. */
  change(direction: Direction, chunk: Buffer, offset: number): Buffer;
  onBreak(how: BreakKind): void;
  /** All its sockets are closed. */
  onGone(): void;
}

/** A client's socket and the one towards the target, and what happens between them. */
export class FaultyConnection {
  /** Bytes written on, by direction. */
  readonly passed: Record<Direction, number> = { up: 0, down: 0 };
  readonly #init: ConnectionInit;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #copy: Socket | undefined;
  readonly #ways: Readonly<Record<Direction, FaultyWay>>;
  #state: "good" | "stalled" | "broken" = "good";

  constructor(client: Socket, init: ConnectionInit) {
    this.#init = init;
    this.#client = client;
    const { port, host = "127.0.0.1" } = init.target;
    // A side that has said all it has to say may still listen.
    const dial = () => createConnection({ port, host, noDelay: true, allowHalfOpen: true });
    this.#server = dial();
    this.#copy = init.copied ? dial() : undefined;
    const sockets = this.#sockets();
    for (const socket of sockets) {
      // What broke it is told by "close", which always follows.
      socket.on("error", () => undefined);
      socket.on("close", () => {
        if (sockets.every(({ closed }) => closed)) init.onGone();
      });
    }
    // Nobody hears the copy's answers, and its end means nothing to the client.
    this.#copy?.resume();
    this.#ways = {
      up: this.#way("up", client, this.#server, this.#copy),
      down: this.#way("down", this.#server, client, undefined),
    };
  }

  /** It was not broken; it may be stalled. */
  get standing(): boolean {
    return this.#state !== "broken" && !(this.#client.closed && this.#server.closed);
  }

  /** Bytes of a direction that have come in so far. */
  seen(direction: Direction): number {
    return this.#ways[direction].seen;
  }

  /** See `FaultProxy.stall`. */
  stall(direction: Direction): void {
    if (this.#state !== "broken") this.#ways[direction].stall();
  }

  /** See `FaultProxy.resume`. */
  resume(): void {
    if (this.#state === "broken") return;
    this.#state = "good";
    for (const way of Object.values(this.#ways)) way.resume();
  }

  /** Stalls a direction when so many bytes of it have passed, counted from the first one. */
  stallAfter(direction: Direction, bytes: number): void {
    this.#ways[direction].mark(bytes, () => this.stall(direction));
  }

  /** Breaks when so many bytes of a direction have passed, counted from the first one. */
  breakAfter(direction: Direction, bytes: number, how: BreakKind): void {
    this.#ways[direction].mark(bytes, () => this.break(how));
  }

  /** Inverts the byte of a direction with this number, from 0. */
  corrupt(direction: Direction, offset: number): void {
    this.#ways[direction].corrupt(offset);
  }

  /** The behaviour has changed. */
  changed(): void {
    for (const way of Object.values(this.#ways)) way.changed();
  }

  /** Breaks now: what is on its way is lost. */
  break(how: BreakKind): void {
    if (this.#state === "broken" || (how === "stall" && this.#state === "stalled")) return;
    this.#state = how === "stall" ? "stalled" : "broken";
    for (const way of Object.values(this.#ways)) {
      if (how === "stall") way.stall();
      else way.stop();
    }
    if (how !== "stall") {
      for (const socket of this.#sockets()) {
        // Unread bytes would make a reset of a close: an end is sent, and what still comes is thrown away.
        if (how === "reset") socket.resetAndDestroy();
        else socket.end();
      }
    }
    this.#init.onBreak(how);
  }

  /** Closes everything, and tells nobody. */
  destroy(): void {
    this.#state = "broken";
    for (const way of Object.values(this.#ways)) way.stop();
    for (const socket of this.#sockets()) socket.destroy();
  }

  #sockets(): Socket[] {
    return [this.#client, this.#server, this.#copy].filter((socket) => socket !== undefined);
  }

  #way(direction: Direction, from: Socket, to: Socket, copy: Socket | undefined): FaultyWay {
    const { behaviours, random } = this.#init;
    return new FaultyWay({
      from,
      to,
      copy,
      behaviour: behaviours[direction],
      random,
      change: (chunk, offset) => this.#init.change(direction, chunk, offset),
      onPassed: (bytes) => {
        this.passed[direction] += bytes;
      },
    });
  }
}
