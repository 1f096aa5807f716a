import type { Clock } from "../base/clock.js";
import type { Broker, BrokerHost, Feed, FeedEvents, Published, Slice, TopicSpec } from "./broker.js";
import { History, type KeepLimits, type Kept } from "./history.js";
import { Latest } from "./latest.js";
import type { Position, Publication } from "./publication.js";

/** What a memory broker needs of its process. */
export interface MemoryBrokerInit {
  readonly clock: Clock;
  /** Makes a name that no numbering before had. */
  readonly newEpoch: () => string;
  /** What the histories of all topics may take, in bytes. */
  readonly maxHistoryBytes: number;
}

/** An id is stored once within this time, and so many ids are remembered for each topic. */
const ID_TTL_MS = 120_000;
const MAX_IDS = 10_000;
/** Topics without followers that are looked at, at each publication, whether they are over. */
const SWEPT = 2;

/** The broker of a single node: history in this process's memory, and gone with it. */
export function createMemoryBroker(init: MemoryBrokerInit): Broker {
  return new MemoryBroker(init);
}

class MemoryBroker implements Broker {
  readonly bus = undefined;
  readonly init: MemoryBrokerInit;
  /** The one that was published to last comes last. */
  readonly #topics = new Map<string, MemoryTopic>();
  readonly #memory: Memory = { used: 0 };

  constructor(init: MemoryBrokerInit) {
    this.init = init;
  }

  start(host: BrokerHost): Promise<void> {
    host.onReady(true);
    return Promise.resolve();
  }

  follow(spec: TopicSpec, events: FeedEvents): Feed {
    const topic = this.#topic(spec);
    topic.trim(this.init.clock());
    return topic.follow(events, () => this.#drop(spec.name, topic));
  }

  publish(spec: TopicSpec, payload: Uint8Array, key: string, id?: string): Published {
    const topic = this.#topic(spec);
    const now = this.init.clock();
    const published = topic.publish(payload, key, id, now);
    this.#topics.delete(spec.name);
    if (topic.isNeeded(now)) this.#topics.set(spec.name, topic);
    else topic.clear();
    this.#sweep(now);
    return published;
  }

  close(): Promise<void> {
    this.#topics.clear();
    return Promise.resolve();
  }

  #topic(spec: TopicSpec): MemoryTopic {
    let topic = this.#topics.get(spec.name);
    if (topic === undefined) {
      topic = new MemoryTopic(spec, this.init, this.#memory);
      this.#topics.set(spec.name, topic);
    }
    return topic;
  }

  #drop(name: string, topic: MemoryTopic): void {
    if (topic.isNeeded(this.init.clock())) return;
    if (this.#topics.get(name) === topic) this.#topics.delete(name);
    topic.clear();
  }

  /** Drops what is over; and where all take too much, what was published to the longest ago. */
  #sweep(now: number): void {
    let looked = 0;
    for (const [name, topic] of this.#topics) {
      const tooMuch = this.#memory.used > this.init.maxHistoryBytes;
      if (!tooMuch && looked++ >= SWEPT) break;
      if (tooMuch) topic.clear();
      else topic.trim(now);
      if (!topic.isNeeded(now)) this.#topics.delete(name);
    }
  }
}

/** What the histories of all topics take, in bytes. */
interface Memory {
  used: number;
}

class MemoryTopic {
  readonly #memory: Memory;
  #counted = 0;
  readonly #epoch: string;
  readonly #clock: Clock;
  readonly #limits: KeepLimits | undefined;
  readonly #conflates: boolean;
  readonly #feeds = new Set<MemoryFeed>();
  #kept: Kept | undefined;
  #offset = 0;
  #ids: Map<string, { readonly offset: number; readonly time: number }> | undefined;

  constructor({ history, conflates }: TopicSpec, init: MemoryBrokerInit, memory: Memory) {
    const bytes = init.maxHistoryBytes;
    this.#clock = init.clock;
    this.#memory = memory;
    this.#epoch = init.newEpoch();
    this.#conflates = conflates;
    this.#limits = history === undefined ? undefined : { ...history, bytes };
    this.clear();
  }

  get position(): Position {
    return { epoch: this.#epoch, offset: this.#offset };
  }

  isNeeded(now: number): boolean {
    this.trim(now);
    return this.#feeds.size > 0 || (this.#kept !== undefined && this.#kept.size > 0);
  }

  trim(now: number): void {
    this.#kept?.trim(now);
    this.#count();
    for (const [id, { time }] of this.#ids ?? []) {
      if (time + ID_TTL_MS > now && (this.#ids?.size ?? 0) <= MAX_IDS) break;
      this.#ids?.delete(id);
    }
  }

  clear(): void {
    const limits = this.#limits;
    if (limits === undefined) return;
    this.#kept = this.#conflates ? new Latest(limits, this.#offset) : new History(limits, this.#offset);
    this.#count();
  }

  publish(payload: Uint8Array, key: string, id: string | undefined, now: number): Published {
    if (id !== undefined && this.#kept !== undefined) {
      this.#ids ??= new Map();
      const before = this.#ids.get(id);
      if (before !== undefined) return { epoch: this.#epoch, offset: before.offset };
      this.#ids.set(id, { offset: this.#offset + 1, time: now });
    }
    const publication: Publication = { offset: this.#offset + 1, previous: this.#offset, payload, key };
    this.#offset++;
    this.#kept?.add(publication, now);
    this.#count();
    for (const feed of this.#feeds) feed.events.onPublication(publication);
    return this.position;
  }

  follow(events: FeedEvents, onClose: () => void): Feed {
    const feed = new MemoryFeed(this, events, () => {
      this.#feeds.delete(feed);
      onClose();
    });
    this.#feeds.add(feed);
    return feed;
  }

  read(after: number, count: number, bytes: number): Slice {
    if (this.#kept === undefined) return { publications: [], whole: after >= this.#offset };
    this.trim(this.#clock());
    return this.#kept.read(after, count, bytes);
  }

  offsetBefore(count: number): number {
    this.trim(this.#clock());
    return this.#kept?.offsetBefore(count) ?? this.#offset;
  }

  #count(): void {
    const bytes = this.#kept?.bytes ?? 0;
    this.#memory.used += bytes - this.#counted;
    this.#counted = bytes;
  }
}

class MemoryFeed implements Feed {
  readonly events: FeedEvents;
  readonly #topic: MemoryTopic;
  readonly #onClose: () => void;

  constructor(topic: MemoryTopic, events: FeedEvents, onClose: () => void) {
    this.#topic = topic;
    this.events = events;
    this.#onClose = onClose;
  }

  get position(): Position {
    return this.#topic.position;
  }

  read(after: number, count: number, bytes: number): Slice {
    return this.#topic.read(after, count, bytes);
  }

  offsetBefore(count: number): number {
    return this.#topic.offsetBefore(count);
  }

  close(): void {
    this.#onClose();
  }
}
