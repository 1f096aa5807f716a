import type { DescMethod } from "@bufbuild/protobuf";
import type { Code } from "./code.js";
import type { RpcError } from "./error.js";

/** Bytes and packets of a link so far, as WebSocket messages, before compression. */
export interface Traffic {
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly packetsIn: number;
  readonly packetsOut: number;
}

/**
 * What carries a link: a WebSocket; HTTP requests, where WebSockets do not get through, whose answers come as they are written
 * (`"http-stream"`) or one at a time (`"http-poll"`); or another node, which has the client's own link.
 */
export type LinkKind = "websocket" | "http-stream" | "http-poll" | "node";

/** A link: one WebSocket, or what takes its place. */
export interface LinkInfo {
  readonly side: "client" | "server";
  /** What carries it at the moment. */
  readonly kind: LinkKind;
  /** Server: address of the client, as far as it is known. Client: URL of the server. */
  readonly address: string | undefined;
  /**
   * Server: the connection came from this machine, and no proxy says that it has passed it on. (Not every proxy does.) Client:
   * `false`.
   */
  readonly local: boolean;
  /** Server: what carries the link. Client: `undefined`. */
  readonly transport: "websocket" | "http" | undefined;
  /** Live figures. */
  readonly traffic: Traffic;
  /** The session that the link serves, in hexadecimal; `undefined` until the handshake is done. */
  readonly sessionId: string | undefined;
  /** `Identity.id` of the client; `undefined` without one. */
  readonly identity: string | undefined;
  /** Last measured round-trip time in milliseconds; `undefined` before the first. */
  readonly rtt: number | undefined;
}

/** How a link ended. */
export interface LinkEnd {
  /** Close code: RFC 6455 section 7.4, or one of Hawser's. */
  readonly code: number;
  readonly reason: string;
  /** How long the link was there, in milliseconds. */
  readonly durationMs: number;
}

/** A connection that was turned away. */
export interface Refused {
  readonly address: string | undefined;
  /** HTTP status of the answer to an upgrade request, or close code. */
  readonly status: number;
  readonly reason: string;
}

/** A session, as observers are told of it. */
export interface SessionEvent {
  readonly sessionId: string;
  readonly identity: string | undefined;
  readonly what: "opened" | "detached" | "resumed" | "evicted" | "ended";
  /** `resumed`: how long there was no link, in milliseconds. `evicted`: how long there had been none. */
  readonly downMs?: number;
  /** `resumed`, `ended`: whether the session had a link up to then. */
  readonly hadLink?: boolean;
  /** `evicted`: the limit. `ended`: who ended it. `detached`: the reason. */
  readonly reason?: string;
}

/** A call that begins: of this side, or answered by it. */
export interface CallInfo {
  readonly side: "caller" | "handler";
  /** "package.Service/Method". */
  readonly name: string;
  readonly method: DescMethod;
  /**
   * Request metadata. A caller's observer may change it, to let the other side know what the call belongs to; made when it is
   * asked for.
   */
  readonly header: Headers;
  /** Handlers: the caller's session, and who it is. */
  readonly sessionId: string | undefined;
  readonly identity: string | undefined;
}

/** How a call ended. */
export interface CallOutcome {
  /** Status code of gRPC; 0: OK. */
  readonly code: Code | 0;
  readonly error: RpcError | undefined;
  /** From the beginning to the outcome, in milliseconds; of a caller over all attempts. */
  readonly durationMs: number;
  /** Messages that this side has sent and received. */
  readonly sent: number;
  readonly received: number;
}

/** Follows one call. */
export interface CallObserver {
  /** Runs what the call is made of: the handler, or a caller's interceptors. For context that follows asynchronous code. */
  run?<T>(task: () => T): T;
  /** The call has its outcome. Called once. */
  ended?(outcome: CallOutcome): void;
}

/** Something that went over one of a server's limits, or was slowed down by it. */
export interface LimitEvent {
  /** Name of the option, such as `maxConnections` or `limits.calls`. */
  readonly limit: string;
  readonly identity?: string | undefined;
  readonly address?: string | undefined;
}

/** What a server's topics have done so far. Live; whole numbers that only grow, but for `subscribers` and `channels`. */
export interface TopicFigures {
  /** Calls that are attached to a topic now. */
  readonly subscribers: number;
  /** Topics that have subscribers now, or had some a moment ago. */
  readonly channels: number;
  /** Messages that this node has published. */
  readonly published: number;
  /** Publications that have come to this node. */
  readonly received: number;
  /** Publications that were written to subscribers. */
  readonly delivered: number;
  /** Of these, those that were caught up with. */
  readonly recovered: number;
  /** How often a subscriber fell behind: its link or its reader was too slow. */
  readonly fellBehind: number;
  /** Gaps that subscribers were told of. */
  readonly gaps: number;
}

/**
 * What a connection and a server report to, for metrics, traces and logs. All methods are optional, and what is not there
 * costs nothing. They are called in the middle of things: return soon. What they throw is logged and does no other harm.
 */
export interface Observer {
  /** A link is open; the handshake of the session follows. */
  linkOpened?(link: LinkInfo): void;
  linkClosed?(link: LinkInfo, end: LinkEnd): void;
  /** Server: a connection was turned away, before or after its upgrade. */
  refused?(refused: Refused): void;
  /** Server: something happened to a session. */
  session?(event: SessionEvent): void;
  /** A call begins. */
  callStarted?(call: CallInfo): CallObserver | undefined;
  /** Caller: an attempt failed, and another one follows. */
  callRetried?(name: string, code: Code): void;
  /** Server: a limit was met. */
  limited?(event: LimitEvent): void;
  /** Server: called once, when it is made. */
  topics?(figures: TopicFigures): void;
}

const METHODS = [
  "linkOpened",
  "linkClosed",
  "refused",
  "session",
  "callStarted",
  "callRetried",
  "limited",
  "topics",
] as const satisfies readonly (keyof Observer)[];

type AnyMethod = (...values: unknown[]) => unknown;

/**
 * One observer for all that a user gave; `undefined` for none.
 *
 * @param onError told of what observers throw
 * @throws TypeError when one of them is none.
 */
export function combineObservers(
  observers: Observer | readonly Observer[] | undefined,
  onError: (error: unknown) => void,
): Observer | undefined {
  const list = observers === undefined ? [] : Array.isArray(observers) ? observers : [observers];
  for (const observer of list as unknown[]) {
    if (typeof observer !== "object" || observer === null)
      throw new TypeError(`an observer is an object with methods like callStarted, not ${String(observer)}`);
  }
  if (list.length === 0) return undefined;
  const combined: Record<string, AnyMethod> = {};
  for (const name of METHODS) {
    const each = (list as Observer[]).flatMap((observer) => {
      const method = observer[name] as AnyMethod | undefined;
      if (method === undefined) return [];
      return [guarded((...values) => method.apply(observer, values), onError)];
    });
    if (each.length === 0) continue;
    combined[name] =
      name === "callStarted"
        ? (call) =>
            combineCalls(
              each.map((start) => start(call) as CallObserver | undefined),
              onError,
            )
        : (...values) => {
            for (const method of each) method(...values);
          };
  }
  return combined as Observer;
}

function combineCalls(
  all: readonly (CallObserver | undefined)[],
  onError: (error: unknown) => void,
): CallObserver | undefined {
  const calls = all.filter((call) => call !== undefined);
  if (calls.length === 0) return undefined;
  return {
    run: (task) => calls.reduceRight((inner, call) => () => runIn(call, inner, onError), task)(),
    ended(outcome) {
      for (const call of calls) guarded(() => call.ended?.(outcome), onError)();
    },
  };
}

/** Runs a task in what an observer makes of it: once, and whatever the observer throws. What the task throws is the task's. */
function runIn<T>(call: CallObserver, task: () => T, onError: (error: unknown) => void): T {
  if (call.run === undefined) return task();
  let outcome: { readonly value: T } | { readonly thrown: unknown } | undefined;
  const once = (): T => {
    if (outcome === undefined) {
      try {
        outcome = { value: task() };
      } catch (thrown) {
        outcome = { thrown };
      }
    }
    if ("thrown" in outcome) throw outcome.thrown;
    return outcome.value;
  };
  try {
    const value = call.run(once);
    if (outcome !== undefined) return value;
    onError(new Error("run() of an observer must call the function that it is given, before it returns"));
  } catch (error) {
    const { thrown } = (outcome ?? {}) as { readonly thrown?: unknown };
    if (error !== thrown || outcome === undefined) onError(error);
  }
  return once();
}

function guarded(method: AnyMethod, onError: (error: unknown) => void): AnyMethod {
  return (...values) => {
    try {
      const result = method(...values);
      // A function that is async fits where nothing is wanted back.
      if (result instanceof Promise) result.catch(onError);
      return result;
    } catch (error) {
      onError(error);
      return undefined;
    }
  };
}
