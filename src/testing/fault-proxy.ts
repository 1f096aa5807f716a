import { createServer, type Server } from "node:net";
import type { Random } from "../base/clock.js";
import { FaultyConnection } from "./faulty-connection.js";
import type { Direction } from "./network.js";

/** How a connection breaks: both sides see the end of the stream, a reset, or nothing at all. */
export type BreakKind = "end" | "reset" | "stall";

/** A break that is to come. */
export interface PlannedBreak {
  /** `"up"` is towards the target. */
  readonly direction: Direction;
  /** So many bytes of the direction still pass. */
  readonly after: number;
  readonly how: BreakKind;
}

/** How a proxy passes bytes on. Changes hold for what arrives from then on. */
export interface ProxyBehaviour {
  /** Shortest time that bytes take, in milliseconds. Default 0. */
  readonly latencyMs?: number;
  /** Longest random time on top, in milliseconds. Bytes of one direction never overtake each other. Default 0. */
  readonly jitterMs?: number;
  /** Bytes per second of each direction of each connection. Default: no limit. */
  readonly bytesPerSecond?: number;
}

/** Where a proxy leads. */
export interface ProxyTarget {
  readonly port: number;
  /** Default `127.0.0.1`. */
  readonly host?: string;
}

/** What {@link createFaultProxy} takes. */
export interface FaultProxyOptions extends ProxyBehaviour {
  readonly target: ProxyTarget;
  /** Port to listen on, on this machine. Default: a free one. */
  readonly port?: number;
  /** The break of connection 1, 2, 3 …; `undefined`: it holds. */
  readonly plan?: (connection: number) => PlannedBreak | undefined;
  /** May change bytes before they pass on. `offset`: of the first one within its connection and direction. */
  readonly mangle?: (direction: Direction, chunk: Buffer, offset: number) => Buffer;
  /** For the jitter. Default `Math.random`. */
  readonly random?: Random;
}

/** A TCP proxy on this machine whose connections fail on command. It knows nothing of what goes through them. */
export interface FaultProxy {
  readonly port: number;
  /** `ws:` URL for Hawser clients, with the path `/rpc`. */
  readonly url: string;
  /** Connections accepted so far. */
  readonly connections: number;
  /** Connections that stand, stalled ones among them. */
  readonly live: number;
  /** Connections broken so far, planned or not. */
  readonly breaks: number;
  /** Bytes passed on, by connection. */
  readonly passed: readonly { readonly up: number; readonly down: number }[];
  /** Breaks all connections now. */
  cut(how: BreakKind): void;
  /** One direction of all connections stands still from now on, and nobody is told: half-open. New connections are good. */
  stall(direction: Direction): void;
  /** Breaks all connections after so many more bytes of a direction. */
  cutAfter(direction: Direction, bytes: number, how?: BreakKind): void;
  /** Inverts one byte of each connection: the one that is `bytes` further on in this direction. */
  corrupt(direction: Direction, bytes: number): void;
  /** Changes how bytes pass. What is left out stays as it is. */
  set(behaviour: ProxyBehaviour): void;
  /**
   * Turns new connections away: accepted and reset, or not even listening (`"closed"`), as when a process is not there.
   * `false`: accepts them again, on the same port.
   */
  refuse(how: "reset" | "closed" | false): Promise<void>;
  /**
   * The next so many connections reach the target twice: the copy gets the same bytes, and its answers go nowhere, as when
   * a box in between has tried again.
   */
  duplicate(connections: number): void;
  /** New connections lead there. */
  retarget(target: ProxyTarget): void;
  /** Breaks everything, stalled connections too, and stops listening. */
  close(): Promise<void>;
}

/** Listens and passes on what arrives, until it is told to fail. */
export async function createFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const behaviour = {
    latencyMs: options.latencyMs ?? 0,
    jitterMs: options.jitterMs ?? 0,
    bytesPerSecond: options.bytesPerSecond ?? Number.POSITIVE_INFINITY,
    random: options.random ?? Math.random,
  };
  const live = new Set<FaultyConnection>();
  const passed: { up: number; down: number }[] = [];
  let target = options.target;
  let breaks = 0;
  let copies = 0;
  let resets = false;

  const listener = createServer({ noDelay: true }, (client) => {
    if (resets) {
      client.resetAndDestroy();
      return;
    }
    const connection = new FaultyConnection(client, {
      target,
      behaviour,
      copied: copies > 0,
      mangle: options.mangle,
      onBreak: () => breaks++,
      onGone: () => live.delete(connection),
    });
    if (copies > 0) copies--;
    live.add(connection);
    passed.push(connection.passed);
    const planned = options.plan?.(passed.length);
    if (planned !== undefined) connection.breakAfter(planned.direction, planned.after, planned.how);
  });
  const port = await listen(listener, options.port ?? 0);
  const each = (act: (connection: FaultyConnection) => void) => {
    for (const connection of [...live]) act(connection);
  };

  return {
    port,
    url: `ws://127.0.0.1:${port}/rpc`,
    get connections() {
      return passed.length;
    },
    get live() {
      return live.size;
    },
    get breaks() {
      return breaks;
    },
    passed,
    cut: (how) => each((connection) => connection.break(how)),
    stall: (direction) => each((connection) => connection.stall(direction)),
    cutAfter: (direction, bytes, how = "reset") =>
      each((connection) => connection.breakAfter(direction, connection.seen(direction) + bytes, how)),
    corrupt: (direction, bytes) =>
      each((connection) => connection.corrupt(direction, connection.seen(direction) + bytes)),
    set: (changes) => {
      Object.assign(behaviour, changes);
    },
    async refuse(how) {
      resets = how === "reset";
      if (how === "closed" && listener.listening) listener.close();
      else if (how !== "closed" && !listener.listening) await listen(listener, port);
    },
    duplicate(connections) {
      copies = connections;
    },
    retarget(to) {
      target = to;
    },
    close: () =>
      new Promise((resolve) => {
        if (listener.listening) listener.close(() => resolve());
        else resolve();
        each((connection) => connection.destroy());
      }),
  };
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      server.off("error", reject);
      resolve((server.address() as { port: number }).port);
    });
  });
}
