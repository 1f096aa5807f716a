import { CloseCode } from "../base/close.js";
import type { Connection } from "../client/connection.js";
import { openConnection } from "../client/connector.js";
import { type ConnectOptions, resolveConnectOptions } from "../client/options.js";
import { Timers } from "../driver/timers.js";
import { Greeting } from "../server/greeting.js";
import { resolveServerOptions, type ServerOptions } from "../server/options.js";
import type { Server } from "../server/server.js";
import type { ServerSession } from "../server/session.js";
import { Sessions } from "../server/sessions.js";
import { createVirtualClock, type VirtualClock } from "./clock.js";
import { createNetwork, type Network, type NetworkOptions } from "./network.js";
import { seededRandom } from "./random.js";

/** What {@link createPair} takes. */
export interface PairOptions {
  /** Options of the server; `routes` are its services. */
  readonly server: ServerOptions;
  /** Options of the client. */
  readonly client?: ConnectOptions;
  /** How the network behaves. */
  readonly network?: NetworkOptions;
  /** Seed of all randomness: jitter of the network and of reconnecting. Default 1. */
  readonly seed?: number;
}

/** A client and a server in one process, without sockets and without real time. */
export interface Pair {
  readonly clock: VirtualClock;
  readonly network: Network;
  /** The client's connection: what users of `connect` get. */
  readonly connection: Connection;
  /** The server's sessions, as `server.sessions` has them. */
  readonly sessions: Iterable<ServerSession> & { readonly size: number };
  /** Publishes to a topic of the server. */
  readonly publish: Server["publish"];
  /** The server dies and another one takes its place: it knows none of the sessions. Its broker stays, and so does history. */
  restartServer(): void;
  /** While `false`, every attempt to connect fails. */
  reachable: boolean;
  /** Ends the connection and all sessions. */
  close(): Promise<void>;
  /**
   * Checks that nothing is left on either side: calls, sessions, links, timers. To be called after {@link Pair.close}.
   *
   * @throws Error that lists what is left.
   */
  assertFinished(): void;
}

/**
 * Makes a pair. Client, server, sessions and calls are those of the package; only sockets, clock and randomness are
 * replaced, so that a test runs through minutes of broken network in milliseconds, and the same way each time.
 */
export function createPair(options: PairOptions): Pair {
  const clock = createVirtualClock();
  const random = seededRandom(options.seed ?? 1);
  const network = createNetwork(clock, random, options.network);
  const serverSettings = resolveServerOptions(options.server);
  const timers = new Timers(clock.now, clock.schedule);
  let sessions = new Sessions(serverSettings, timers, clock.now, random);

  const connection = openConnection("ws://pair/rpc", resolveConnectOptions(options.client ?? {}), {
    clock: clock.now,
    wallClock: clock.now,
    random,
    randomBytes: (into) => {
      for (let i = 0; i < into.length; i++) into[i] = Math.floor(random() * 256);
    },
    schedule: clock.schedule,
    allocate: (bytes) => new Uint8Array(bytes),
    defer: (task) => process.nextTick(task),
    dial(_url, _request, events, onOpen, onFailure) {
      const cancel = clock.schedule(() => {
        if (!pair.reachable) return onFailure({ code: CloseCode.abnormal, reason: "the network is down" });
        const link = network.link(events, (open) => {
          new Greeting(sessions, open, { headers: {}, url: "/rpc", remoteAddress: undefined });
        });
        onOpen(link);
      }, options.network?.latencyMs ?? 5);
      return { abort: cancel };
    },
  });

  const pair: Pair = {
    clock,
    network,
    connection,
    reachable: true,
    get sessions() {
      return sessions;
    },
    publish: (topic, message, options) => sessions.hub.publish(topic, message, options),
    restartServer() {
      network.cut();
      const old = sessions;
      sessions = new Sessions(serverSettings, timers, clock.now, random);
      old.close(CloseCode.abnormal, "the server died");
    },
    async close() {
      const closed = connection.close();
      await clock.advance(1_000);
      await closed;
      sessions.close(CloseCode.goingAway, "the pair was closed");
      await clock.advance(1_000);
    },
    assertFinished() {
      const left: string[] = [];
      if (connection.callsInFlight > 0) left.push(`${connection.callsInFlight} calls of the client`);
      if (sessions.size > 0) left.push(`${sessions.size} sessions`);
      if (network.links > 0) left.push(`${network.links} links`);
      if (timers.size > 0) left.push(`${timers.size} timer items of the server`);
      if (clock.pending > 0) left.push(`${clock.pending} timers`);
      if (left.length > 0) throw new Error(`left after the end: ${left.join(", ")}`);
    },
  };
  return pair;
}
