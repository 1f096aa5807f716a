import { checkDuration, checkInteger } from "../base/check.js";

/**
 * What one client, and all of them together, may take of a server. The limits of single packets, messages and calls are in
 * `limits`; those of sessions without a link in `graceMs` and its neighbours.
 */
export interface LimitOptions {
  /**
   * Links at the same time; more are turned away with HTTP 503. Of a connection that tabs share, each tab counts as if it had
   * connected by itself; more are closed with 4429. Default 20,000: about 1 GiB with room for calls, and below the usual limit
   * of file descriptors of a container (`ulimit -n`).
   */
  readonly maxConnections?: number;
  /**
   * Links of one client address; more are turned away with HTTP 429, more tabs with 4429. Default 1,000, which an office behind
   * one address does not reach. Connections from this machine itself do not count unless this is given: they are a proxy's or a
   * developer's.
   */
  readonly maxConnectionsPerAddress?: number;
  /**
   * Sessions of one identity, with and without a link. Beyond, its longest detached session is evicted; when all have links,
   * the new one is closed with 4429. Default 100: tabs and devices of a person.
   */
  readonly maxSessionsPerIdentity?: number;
  /**
   * Tabs that may share one connection (`hawser/tabs`), each with a session of its own; more are closed with 4429. 0: none
   * may, each connects by itself. Default 100.
   */
  readonly maxLanes?: number;
  /**
   * A link without a call for this long is closed with 4411, in milliseconds; its client opens another one for its next call.
   * Default `Infinity`: heartbeats already end links that are dead, and one that is idle costs a few kilobytes.
   */
  readonly idleTimeoutMs?: number;
  /**
   * A link that is this old is replaced, in milliseconds, give or take a tenth at random: the client is asked to go, comes
   * back, and its session goes on, perhaps over another node. Default `Infinity`: of use behind a load balancer, where
   * 1,800,000 spreads clients over new nodes within half an hour.
   */
  readonly maxConnectionAgeMs?: number;
  /**
   * WebSocket messages per second of one link. Above, the server reads more slowly, which the client feels; nothing is lost.
   * Default 500,000: several times what one link reaches in our benchmarks, so that honest clients never meet it.
   */
  readonly messagesPerSecond?: number;
  /** Bytes per second of one link, in the same way. Default 1 GiB. */
  readonly bytesPerSecond?: number;
  /**
   * Calls per second that one identity may open; clients without an identity have this each. Beyond, calls fail with
   * RESOURCE_EXHAUSTED and `RetryInfo`, before their handlers run. Default `Infinity`: what is too much, the application knows.
   */
  readonly callsPerSecond?: number;
  /**
   * Packets of all sessions that wait to be acknowledged, in bytes. When it is reached, each session may keep only 64 KiB, and
   * writers wait for their own readers. Default 1 GiB: 256 full outboxes.
   */
  readonly maxOutboxBytes?: number;
  /**
   * Messages of one session that wait for their readers, in and out, in bytes. Beyond, calls that bring more fail with
   * RESOURCE_EXHAUSTED. Default 64 MiB: 256 full windows, though a session may open more calls than that.
   */
  readonly maxHeldBytes?: number;
  /** Calls of one session that may get topics. Beyond, they fail with RESOURCE_EXHAUSTED. Default 128. */
  readonly maxTopicsPerSession?: number;
}

/** {@link LimitOptions}, complete and checked. */
export type LimitSettings = Required<LimitOptions> & {
  /** Whether `maxConnectionsPerAddress` counts connections from this machine. */
  readonly countsLoopback: boolean;
};

/** Keys of {@link LimitOptions}, for the check of misspelt options. */
export const LIMIT_KEYS: readonly (keyof LimitOptions)[] = [
  "maxConnections",
  "maxConnectionsPerAddress",
  "maxSessionsPerIdentity",
  "maxLanes",
  "idleTimeoutMs",
  "maxConnectionAgeMs",
  "messagesPerSecond",
  "bytesPerSecond",
  "callsPerSecond",
  "maxOutboxBytes",
  "maxHeldBytes",
  "maxTopicsPerSession",
];

const NEVER = Number.POSITIVE_INFINITY;

/**
 * Checks options and fills in the defaults. Each but `maxLanes` may be `Infinity`: no limit.
 *
 * @throws RangeError that names the option.
 */
export function resolveLimits(options: LimitOptions): LimitSettings {
  const count = (name: keyof LimitOptions, normal: number) => {
    const value = options[name] ?? normal;
    return value === NEVER ? value : checkInteger(name, value, 1);
  };
  const duration = (name: keyof LimitOptions) => checkDuration(name, options[name] ?? NEVER, true);
  return {
    maxConnections: count("maxConnections", 20_000),
    maxConnectionsPerAddress: count("maxConnectionsPerAddress", 1_000),
    countsLoopback: options.maxConnectionsPerAddress !== undefined,
    maxSessionsPerIdentity: count("maxSessionsPerIdentity", 100),
    maxLanes: checkInteger("maxLanes", options.maxLanes ?? 100, 0),
    idleTimeoutMs: duration("idleTimeoutMs"),
    maxConnectionAgeMs: duration("maxConnectionAgeMs"),
    messagesPerSecond: count("messagesPerSecond", 500_000),
    bytesPerSecond: count("bytesPerSecond", 1024 * 1024 * 1024),
    callsPerSecond: count("callsPerSecond", NEVER),
    maxOutboxBytes: count("maxOutboxBytes", 1024 * 1024 * 1024),
    maxHeldBytes: count("maxHeldBytes", 64 * 1024 * 1024),
    maxTopicsPerSession: count("maxTopicsPerSession", 128),
  };
}
