import type { Bus } from "./bus.js";
import type { FeedGap, Position, Publication } from "./publication.js";

/** How much of a topic is kept for subscribers that come back. Both limits hold. */
export interface HistoryLimits {
  /** Publications. */
  readonly size: number;
  /** Age in milliseconds. */
  readonly ttlMs: number;
}

/** What a broker has to know of a topic. */
export interface TopicSpec {
  /** Any text of 1 to 1,024 bytes of UTF-8. */
  readonly name: string;
  /** `undefined`: nothing is kept. */
  readonly history: HistoryLimits | undefined;
  /** Slow subscribers get the newest publication of each key only. */
  readonly conflates: boolean;
}

/** What a broker tells the node about a topic that it follows. Never called from within {@link Broker.follow}. */
export interface FeedEvents {
  /** The next publication, each once, in order: its `previous` is the offset of the one before it. */
  onPublication(publication: Publication): void;
  /** Publications were missed, or may have been. The feed goes on behind this position. */
  onGap(position: Position, reason: FeedGap): void;
  /** Whether publications of other nodes arrive at the moment. True at first. */
  onLive(live: boolean): void;
}

/** Publications that were read. */
export interface Slice {
  /** Oldest first. */
  readonly publications: readonly Publication[];
  /** Nothing between the offset that was asked for and the first of them is gone. */
  readonly whole: boolean;
}

/** A topic that a node follows. */
export interface Feed {
  /** Of the last publication that {@link FeedEvents.onPublication} was given; at first, that of the topic when the feed began. */
  readonly position: Position;
  /**
   * Publications behind an offset of this epoch, up to {@link Feed.position} and not beyond, the oldest first, and no more
   * than so many and about so many bytes (one at least). For topics that conflate, the newest of each key. Answers at once
   * from memory when it can.
   *
   * @throws RpcError UNAVAILABLE when the broker cannot be reached now.
   */
  read(after: number, count: number, bytes: number): Slice | Promise<Slice>;
  /**
   * The offset behind which the newest `count` publications lie, of those that are kept, in which the limit of bytes is not
   * considered.
   */
  offsetBefore(count: number): number | Promise<number>;
  /** The node follows the topic no longer. */
  close(): void;
}

/** What came of a publication. */
export interface Published extends Position {}

/** What a broker gets of the server that it serves. */
export interface BrokerHost {
  /** Name of this run of this node: 32 hexadecimal digits. */
  readonly node: string;
  /** Told when the broker can be used, and when not. */
  onReady(ready: boolean): void;
  warn(message: string, ...details: unknown[]): void;
}

/**
 * Carries publications to all nodes, and keeps history. One for each server.
 *
 * What a node publishes comes back through its own feeds like everything else.
 */
export interface Broker {
  /** Messages between nodes; `undefined` where there is one node only. */
  readonly bus: Bus | undefined;
  /**
   * Called once, before everything else. Resolves when the broker can be used.
   *
   * @throws Error when it never will: wrong credentials, a server that is too old.
   */
  start(host: BrokerHost): Promise<void>;
  /**
   * Follows a topic; the server asks once for each topic, until the feed is closed.
   *
   * @throws RpcError UNAVAILABLE when the broker cannot be reached now.
   */
  follow(topic: TopicSpec, events: FeedEvents): Feed | Promise<Feed>;
  /**
   * Publishes. Publications of one caller keep their order when the next is published before the one before it has come
   * back.
   *
   * @param id Names this publication over all attempts; a broker with history stores one id once, for some minutes.
   * @throws RpcError UNAVAILABLE (`executed: "no"` when it certainly was not published), RESOURCE_EXHAUSTED for a payload
   * that is too large or a window that is full.
   */
  publish(topic: TopicSpec, payload: Uint8Array, key: string, id?: string): Published | Promise<Published>;
  /** Ends all feeds; what was published before is sent. */
  close(): Promise<void>;
}
