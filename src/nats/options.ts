import type { NatsConnection, NodeConnectionOptions } from "@nats-io/transport-node";
import { checkDuration, checkInteger, checkKeys } from "../base/check.js";

/** Which NATS a broker uses, and how. Everything can be left out. */
export interface NatsBrokerOptions {
  /** Addresses such as `nats://10.0.0.1:4222`, of one server or of several of a cluster. Default `127.0.0.1:4222`. */
  readonly servers?: string | readonly string[];
  /**
   * Options of `@nats-io/transport-node`: `tls`, `authenticator`, `user`, `pass`, `token`, `name`, … Passed on. Unless they
   * say otherwise, reconnecting never ends and is attempted every 50 ms, and a server that has not answered two pings of
   * every 5 s counts as gone.
   */
  readonly connect?: NodeConnectionOptions;
  /**
   * A connection to use instead of making one; `servers` and `connect` are not allowed then, but for `inboxPrefix`. It
   * stays open when the broker is closed. It should never give up: `maxReconnectAttempts: -1`.
   */
  readonly connection?: NatsConnection;
  /** First token of all subjects, in upper case of all streams: 1 to 32 letters, digits, `_` and `-`. Default `"hawser"`. */
  readonly prefix?: string;
  /** Copies of each history stream, 1 to 5, when the broker makes it: 3 outlive a server. Default 1. */
  readonly replicas?: number;
  /** Publications with history that are on their way at once, for each class of history. Others wait. Default 1,000. */
  readonly publishWindow?: number;
  /**
   * Bytes of payload, and 256 for each publication, that may be on their way or wait to be sent. Beyond it publishing fails
   * RESOURCE_EXHAUSTED. Default 64 MiB.
   */
  readonly maxPublishBytes?: number;
  /**
   * What publishing does without a connection: `"fail"` at once, UNAVAILABLE with `executed: "no"`, or `"wait"` for
   * `publishTimeoutMs`. Default `"fail"`.
   */
  readonly whenDown?: "fail" | "wait";
  /**
   * How long a publication is tried, in milliseconds, before it fails UNAVAILABLE. An election after a crash takes some 4
   * to 7 s. Default 15,000.
   */
  readonly publishTimeoutMs?: number;
  /** How long a topic stays subscribed that nobody follows any more, in milliseconds. Default 10,000. */
  readonly lingerMs?: number;
  /** Bytes of payload of one topic that this node keeps, for those who come back. Beyond it is asked of NATS. Default 1 MiB. */
  readonly maxRingBytes?: number;
  /**
   * How often the position of each topic with history is compared with what is stored, in milliseconds: in case the last
   * publication was lost on its way. Default 30,000; oftener for topics whose history is shorter than twice that.
   */
  readonly checkMs?: number;
}

/** The same, complete. */
export interface BrokerSettings {
  readonly connect: NodeConnectionOptions;
  readonly connection: NatsConnection | undefined;
  readonly prefix: string;
  readonly replicas: number;
  readonly publishWindow: number;
  readonly maxPublishBytes: number;
  readonly whenDown: "fail" | "wait";
  readonly publishTimeoutMs: number;
  readonly lingerMs: number;
  readonly maxRingBytes: number;
  readonly checkMs: number;
}

const KNOWN = [
  "servers",
  "connect",
  "connection",
  "prefix",
  "replicas",
  "publishWindow",
  "maxPublishBytes",
  "whenDown",
  "publishTimeoutMs",
  "lingerMs",
  "maxRingBytes",
  "checkMs",
];

/** Checks what the user says, and completes it. */
export function brokerSettings(options: NatsBrokerOptions): BrokerSettings {
  checkKeys("natsBroker()", options, KNOWN);
  const { servers, connect = {}, connection, prefix = "hawser", whenDown = "fail" } = options;
  if (connection !== undefined && (servers !== undefined || Object.keys(connect).some(isNotInbox))) {
    throw new TypeError(
      "natsBroker() takes either a connection, or servers and connect to make one, not both",
    );
  }
  if (servers !== undefined && connect.servers !== undefined) {
    throw new TypeError("give servers either as servers or in connect, not both");
  }
  if (typeof prefix !== "string" || !/^[A-Za-z0-9_-]{1,32}$/.test(prefix)) {
    throw new TypeError(
      `prefix must be 1 to 32 letters, digits, "_" and "-", not ${JSON.stringify(prefix) ?? String(prefix)}`,
    );
  }
  if (whenDown !== "fail" && whenDown !== "wait") {
    throw new TypeError(`whenDown must be "fail" or "wait", not ${JSON.stringify(whenDown)}`);
  }
  const checkMs = checkDuration("checkMs", options.checkMs ?? 30_000);
  if (checkMs < 100) throw new RangeError(`checkMs must be at least 100, not ${checkMs}`);
  return {
    connect: {
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
      reconnectJitter: 50,
      // Two minutes by default: a server that stands still would not be noticed for four.
      pingInterval: 5_000,
      // Traces are made for each request, at a price.
      noAsyncTraces: true,
      ...(servers === undefined ? {} : { servers: typeof servers === "string" ? servers : [...servers] }),
      ...connect,
    },
    connection,
    prefix,
    replicas: checkInteger("replicas", options.replicas ?? 1, 1, 5),
    publishWindow: checkInteger("publishWindow", options.publishWindow ?? 1_000, 1, 100_000),
    maxPublishBytes: checkInteger("maxPublishBytes", options.maxPublishBytes ?? 64 * 1024 * 1024, 1),
    whenDown,
    publishTimeoutMs: checkDuration("publishTimeoutMs", options.publishTimeoutMs ?? 15_000),
    lingerMs: checkDuration("lingerMs", options.lingerMs ?? 10_000),
    maxRingBytes: checkInteger("maxRingBytes", options.maxRingBytes ?? 1024 * 1024, 0),
    checkMs,
  };
}

function isNotInbox(key: string): boolean {
  return key !== "inboxPrefix";
}
