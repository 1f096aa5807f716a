import { createServer, type Server, type Socket } from "node:net";
import { checkFunction, checkInteger, checkKeys } from "../base/check.js";
import type { Random } from "../base/clock.js";
import { FaultyConnection } from "./faulty-connection.js";
import type { Direction } from "./network.js";
import {
  BEHAVIOUR_KEYS,
  type BreakKind,
  changeBehaviours,
  checkOffset,
  goodBehaviours,
  type PlannedFault,
  type ProxyBehaviour,
} from "./proxy-faults.js";

/** Where a proxy leads. */
export interface ProxyTarget {
  readonly port: number;
  /** Default `127.0.0.1`. */
  readonly host?: string;
}

/** A connection was broken, by plan or by command. */
export interface ProxyBreak {
  /** 1 for the first break of the proxy. */
  readonly number: number;
  /** 1 for the first connection that the proxy accepted. */
  readonly connection: number;
  readonly how: BreakKind;
}

/** What {@link createFaultProxy} takes. */
export interface FaultProxyOptions extends ProxyBehaviour {
  readonly target: ProxyTarget;
  /** Port to listen on, on this machine. Default: a free one. */
  readonly port?: number;
  /** What is to become of connection 1, 2, 3 …; `undefined`: it holds. */
  readonly plan?: (connection: number) => PlannedFault | readonly PlannedFault[] | undefined;
  /** May change bytes before they pass on. `offset`: of the first one within its connection and direction. */
  readonly mangle?: (direction: Direction, chunk: Buffer, offset: number, connection: number) => Buffer;
  /** Told of every break, behind it. */
  readonly onBreak?: (broken: ProxyBreak) => void;
  /** For the jitter. Default `Math.random`; `seededRandom` gives the same numbers each time. */
  readonly random?: Random;
}

/**
 * A TCP proxy on this machine whose connections fail on command. It knows nothing of what goes through them.
 *
 * Commands are about the connections that stand at the moment; new ones are good, but for `plan` and for how they behave.
 */
export interface FaultProxy {
  readonly port: number;
  /** `ws:` URL for Hawser clients, with the path `/rpc`. */
  readonly url: string;
  /** Connections accepted so far, without those that {@link FaultProxy.refuse} turned away. */
  readonly connections: number;
  /** Connections that stand, stalled ones among them. */
  readonly live: number;
  /** Connections broken so far, planned or not. */
  readonly breaks: number;
  /** Bytes passed on, by connection. */
  readonly passed: readonly Readonly<Record<Direction, number>>[];
  /** Breaks all connections now: what is on its way through the proxy is lost. */
  cut(how: BreakKind): void;
  /** One direction stands still from now on, and nobody is told: half-open. */
  stall(direction: Direction): void;
  /** What was stalled goes on where it stood, as after an outage: nothing was lost. */
  resume(): void;
  /** Breaks all connections after so many more bytes of a direction. Default of `how`: `"reset"`. */
  cutAfter(direction: Direction, bytes: number, how?: BreakKind): void;
  /** Inverts one byte of each connection: the one that is `bytes` further on in this direction. */
  corrupt(direction: Direction, bytes: number): void;
  /** Changes how bytes pass, of new connections too. What is left out stays as it is. */
  set(behaviour: ProxyBehaviour): void;
  /**
   * Turns new connections away: accepted and reset, or not even listening (`"closed"`), as when a process is not there.
   * `false`: accepts them again, on the same port.
   *
   * @throws Error of the operating system, as a rejection, when somebody else has taken the port.
   */
  refuse(how: "reset" | "closed" | false): Promise<void>;
  /**
   * The next so many connections reach the target twice: the copy gets the same bytes, and its answers go nowhere, as when
   * a box in between has tried again.
   */
  duplicate(connections: number): void;
  /** New connections lead there. */
  retarget(target: ProxyTarget): void;
  /** Breaks everything, stalled connections too, and stops listening. Settles when no socket and no timer is left. */
  close(): Promise<void>;
}

const KEYS = ["target", "port", "plan", "mangle", "onBreak", "random", ...BEHAVIOUR_KEYS];

/**
 * Listens on this machine and passes on what arrives, until it is told to fail.
 *
 * @throws TypeError or RangeError, as a rejection, that names the option; an Error of the operating system when the port
 * cannot be had.
 */
export async function createFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  checkKeys("createFaultProxy()", options, KEYS);
  checkFunction("plan", options.plan);
  checkFunction("mangle", options.mangle);
  checkFunction("onBreak", options.onBreak);
  const behaviours = goodBehaviours();
  changeBehaviours(behaviours, options);
  const connections = new Set<FaultyConnection>();
  const passed: Readonly<Record<Direction, number>>[] = [];
  let target = checkTarget(options.target);
  let breaks = 0;
  let copies = 0;
  let resets = false;

  const accept = (client: Socket) => {
    if (resets) {
      refuseSocket(client);
      return;
    }
    const number = passed.length + 1;
    const planned = [options.plan?.(number) ?? []].flat();
    if (planned.some(({ how }) => how === "refuse")) {
      passed.push({ up: 0, down: 0 });
      refuseSocket(client);
      return;
    }
    const connection = new FaultyConnection(client, {
      target,
      behaviours,
      random: options.random ?? Math.random,
      copied: copies > 0 || planned.some(({ how }) => how === "duplicate"),
      change: (direction, chunk, offset) => options.mangle?.(direction, chunk, offset, number) ?? chunk,
      onBreak(how) {
        breaks++;
        options.onBreak?.({ number: breaks, connection: number, how });
      },
      onGone: () => connections.delete(connection),
    });
    if (copies > 0) copies--;
    connections.add(connection);
    passed.push(connection.passed);
    for (const fault of planned) expectFault(connection, fault);
  };
  // A side that has said all it has to say may still listen.
  const listener = createServer({ noDelay: true, allowHalfOpen: true }, accept);
  const port = await listen(listener, checkInteger("port", options.port ?? 0, 0, 65_535));
  const each = (act: (connection: FaultyConnection) => void) => {
    for (const connection of [...connections]) act(connection);
  };

  return {
    port,
    url: `ws://127.0.0.1:${port}/rpc`,
    get connections() {
      return passed.length;
    },
    get live() {
      return [...connections].filter(({ standing }) => standing).length;
    },
    get breaks() {
      return breaks;
    },
    passed,
    cut: (how) => each((connection) => connection.break(how)),
    stall: (direction) => each((connection) => connection.stall(direction)),
    resume: () => each((connection) => connection.resume()),
    cutAfter(direction, bytes, how = "reset") {
      checkOffset("bytes", bytes);
      each((connection) => connection.breakAfter(direction, connection.seen(direction) + bytes, how));
    },
    corrupt(direction, bytes) {
      checkOffset("bytes", bytes);
      each((connection) => connection.corrupt(direction, connection.seen(direction) + bytes));
    },
    set(changes) {
      checkKeys("set()", changes, BEHAVIOUR_KEYS);
      changeBehaviours(behaviours, changes);
      each((connection) => connection.changed());
    },
    async refuse(how) {
      resets = how === "reset";
      if (how === "closed" && listener.listening) listener.close();
      else if (how !== "closed" && !listener.listening) await listen(listener, port);
    },
    duplicate(count) {
      copies = checkInteger("connections", count, 0);
    },
    retarget(to) {
      target = checkTarget(to);
    },
    async close() {
      if (listener.listening) listener.close();
      each((connection) => connection.destroy());
      while (connections.size > 0) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

function expectFault(connection: FaultyConnection, fault: PlannedFault): void {
  if (!("after" in fault)) return;
  const after = checkOffset("after", fault.after);
  if (fault.how === "corrupt") connection.corrupt(fault.direction, after);
  else if (fault.how === "half-open") connection.stallAfter(fault.direction, after);
  else connection.breakAfter(fault.direction, after, fault.how);
}

function refuseSocket(client: Socket): void {
  client.on("error", () => undefined);
  client.resetAndDestroy();
}

function checkTarget(target: ProxyTarget): ProxyTarget {
  checkInteger("target.port", target.port, 1, 65_535);
  return target;
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
