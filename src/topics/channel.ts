import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { Feed, FeedEvents, Slice, TopicSpec } from "../broker/broker.js";
import { History, type Kept } from "../broker/history.js";
import { Latest } from "../broker/latest.js";
import type { FeedGap, Position, Publication } from "../broker/publication.js";
import type { Topic } from "../rpc/topic.js";
import { Gap } from "../wire/frame.js";
import { CHUNK_BYTES } from "../wire/limits.js";
import type { TopicCounters } from "./counters.js";
import type { TopicDefinition } from "./define.js";
import { packetsOf, type TopicPacket } from "./packets.js";
import type { Subscriber, SubscriberChannel } from "./subscriber.js";

/** What a {@link Channel} needs of the hub. */
export interface ChannelOwner {
  readonly counters: TopicCounters;
  now(): number;
  after(delayMs: number, task: () => void): () => void;
  /** Calls `flush` at the end of this turn. */
  onDirty(channel: Channel): void;
  /** Nobody is subscribed any more. */
  onEmpty(channel: Channel): void;
  onJoined(channel: Channel): void;
  onLeft(channel: Channel, subscriber: Subscriber): void;
}

/** What a channel keeps of topics without history, and of those that conflate: what subscribers need who are a little behind. */
const RECENT = { size: 1_024, ttlMs: 10_000, bytes: 1024 * 1024 };
const MAX_KEYS = 10_000;
/** Publications that are read at a time for somebody who catches up. */
const READ_COUNT = 256;
/** What was made for one who catches up serves others that come from the same place. */
const MAX_CHUNKS = 16;
/** History that cannot be read now is asked for again after this time. */
const READ_AGAIN_MS = 1_000;

/** Packets behind an offset, for whoever catches up from there. */
interface Chunk {
  readonly packets: readonly TopicPacket[];
  /** Nothing is missing between the offset and the first of them. */
  readonly whole: boolean;
  /** The offset behind which the first of them lies. */
  readonly from: number;
}

/** A topic on this node: its subscribers, and what they get. */
export class Channel implements FeedEvents, SubscriberChannel {
  readonly topic: Topic;
  readonly definition: TopicDefinition;
  readonly spec: TopicSpec;
  readonly number: number;
  stale = false;
  /** Publications that have come, and their bytes. */
  received = 0;
  receivedBytes = 0;
  /** All that are attached. */
  readonly subscribers: Set<Subscriber> = new Set();
  /** Resolves when the topic is followed. */
  opening: Promise<void> | undefined;
  /** Calls off the end of the channel, which nobody is subscribed to. */
  stopLingering: (() => void) | undefined;
  readonly #owner: ChannelOwner;
  #feed: Feed | undefined;
  /** Those that keep up. */
  readonly #live: Subscriber[] = [];
  #position: Position = { epoch: "", offset: 0 };
  /** Published in this turn. */
  #pending: Publication[] = [];
  #pendingBytes = 0;
  #recent: Kept | undefined;
  readonly #chunks = new Map<number, Chunk | Promise<Chunk>>();

  constructor(
    owner: ChannelOwner,
    topic: Topic,
    definition: TopicDefinition,
    spec: TopicSpec,
    number: number,
  ) {
    this.#owner = owner;
    this.topic = topic;
    this.definition = definition;
    this.spec = spec;
    this.number = number;
  }

  /** Its feed makes good by itself what a subscriber has missed. */
  get tellsPresence(): boolean {
    return this.definition.presenceOf !== undefined;
  }

  get epoch(): string {
    return this.#position.epoch;
  }

  get head(): number {
    return this.#position.offset;
  }

  get live(): readonly Subscriber[] {
    return this.#live;
  }

  /** @throws RpcError FAILED_PRECONDITION when the topic is another one by the same name. */
  check(definition: TopicDefinition): void {
    if (definition === this.definition || definition.presenceOf !== undefined) return;
    const text = `there are two topics with the name "${this.topic.name}"; define each once`;
    throw new RpcError(text, Code.FailedPrecondition, { executed: "no" });
  }

  /** The topic is followed. */
  opened(feed: Feed): void {
    this.#feed = feed;
    this.#moveTo(feed.position);
  }

  /** The topic is followed no longer. */
  close(): void {
    this.#feed?.close();
    this.#feed = undefined;
    this.stopLingering?.();
  }

  add(subscriber: Subscriber): void {
    this.subscribers.add(subscriber);
    this.#owner.onJoined(this);
  }

  left(subscriber: Subscriber): void {
    if (!this.subscribers.delete(subscriber)) return;
    if (subscriber.started) this.#owner.counters.subscribers--;
    this.#owner.onLeft(this, subscriber);
    if (this.subscribers.size === 0) this.#owner.onEmpty(this);
  }

  // ---- from the broker -----------------------------------------------------------------------------------------

  onPublication(publication: Publication): void {
    // It has come in between: the position that the feed begins with is behind it.
    if (this.#feed === undefined) return;
    this.#owner.counters.received++;
    this.received++;
    this.receivedBytes += publication.payload.length;
    if (this.#pending.length === 0) this.#owner.onDirty(this);
    this.#pending.push(publication);
    this.#pendingBytes += publication.payload.length;
    this.#recent?.add(publication, this.#owner.now());
    if (this.#pendingBytes >= CHUNK_BYTES) this.flush();
  }

  onLive(live: boolean): void {
    if (this.stale === !live) return;
    this.flush();
    this.stale = !live;
    for (const subscriber of this.subscribers) subscriber.announce();
  }

  /** A subscriber has its place in the topic: it gets what is published from now on. */
  began(): void {
    this.#owner.counters.subscribers++;
  }

  gapTold(): void {
    this.#owner.counters.gaps++;
  }

  /** Those that keep up are told; the others come to it themselves, unless all that they could come to is gone. */
  onGap(position: Position, reason: FeedGap): void {
    this.flush();
    const isNew = position.epoch !== this.epoch;
    this.#moveTo(position);
    const gap = Gap[reason];
    for (const subscriber of this.subscribers) {
      if (subscriber.state === "awaiting" || subscriber.state === "over") continue;
      if (subscriber.state !== "live" && !isNew) continue;
      subscriber.skip(position.epoch, position.offset, gap);
    }
  }

  #moveTo(position: Position): void {
    this.#position = position;
    this.#chunks.clear();
    const { conflates, history } = this.spec;
    if (this.tellsPresence) return;
    if (conflates) this.#recent = new Latest({ ...RECENT, ...CONFLATED, ...history }, position.offset);
    else if (history === undefined) this.#recent = new History(RECENT, position.offset);
  }

  // ---- fan-out -------------------------------------------------------------------------------------------------

  /** Writes what was published to all that keep up. */
  flush(): void {
    const { length } = this.#pending;
    if (length === 0) return;
    const pending = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    const after = this.head;
    this.#position = { epoch: this.epoch, offset: (pending[length - 1] as Publication).offset };
    const live = this.#live;
    if (live.length === 0) return;
    const packets = packetsOf(pending, this.number, after, this.spec.conflates);
    // From the end: one that falls behind leaves its place to the last, which has been served.
    for (let i = live.length - 1; i >= 0; i--) {
      const subscriber = live[i] as Subscriber;
      if (
        !subscriber.write(subscriber.number === this.number ? packets : this.#own(subscriber, pending, after))
      )
        this.#fellBehind(subscriber);
    }
    this.#owner.counters.delivered += length * live.length;
  }

  #own(subscriber: Subscriber, publications: readonly Publication[], after: number): readonly TopicPacket[] {
    return packetsOf(publications, subscriber.number, after, this.spec.conflates);
  }

  #fellBehind(subscriber: Subscriber): void {
    this.fallsBehind(subscriber);
    subscriber.state = "behind";
    this.#owner.counters.fellBehind++;
  }

  keepsUp(subscriber: Subscriber): void {
    subscriber.state = "live";
    subscriber.index = this.#live.length;
    this.#live.push(subscriber);
  }

  fallsBehind(subscriber: Subscriber): void {
    const { index } = subscriber;
    if (index < 0) return;
    subscriber.index = -1;
    const last = this.#live.pop() as Subscriber;
    if (last === subscriber) return;
    this.#live[index] = last;
    last.index = index;
  }

  // ---- catching up ---------------------------------------------------------------------------------------------

  catchUp(subscriber: Subscriber): void {
    while (subscriber.state === "behind" && (subscriber.hasRoom || subscriber.pieces > 0)) {
      this.flush();
      if (subscriber.offset >= this.head && subscriber.pieces === 0) return this.keepsUp(subscriber);
      const { offset, number } = subscriber;
      const chunk = number === this.number ? this.#chunk(offset) : this.#ownChunk(offset, number);
      if (chunk instanceof Promise) return this.#await(subscriber, chunk);
      if (!this.#serve(subscriber, chunk)) return;
    }
  }

  /** Whether it can go on. */
  #serve(subscriber: Subscriber, { packets, whole, from }: Chunk): boolean {
    if (!whole || packets.length === 0) {
      const gap = this.spec.history === undefined ? Gap.noHistory : Gap.historyTooShort;
      const offset = packets.length === 0 ? this.head : Math.max(from, subscriber.offset);
      subscriber.skip(this.epoch, offset, whole ? Gap.none : gap);
      // What is missing may reach up to the newest, or to what the link has room for.
      return subscriber.hasRoom;
    }
    const before = subscriber.sent;
    const { link } = subscriber;
    if (packets.length > 1) link?.cork();
    const all = subscriber.write(packets);
    if (packets.length > 1) link?.uncork();
    this.#owner.counters.delivered += subscriber.sent - before;
    this.#owner.counters.recovered += subscriber.sent - before;
    return all;
  }

  #await(subscriber: Subscriber, chunk: Promise<Chunk>): void {
    subscriber.state = "reading";
    const goOn = () => {
      if (subscriber.state !== "reading") return;
      subscriber.state = "behind";
      this.catchUp(subscriber);
    };
    chunk.then(goOn, () => {
      this.#owner.after(READ_AGAIN_MS, goOn);
    });
  }

  #chunk(after: number): Chunk | Promise<Chunk> {
    const known = this.#chunks.get(after);
    if (known !== undefined) return known;
    const slice = this.#read(after);
    if (!(slice instanceof Promise)) return this.#keep(after, this.#made(after, slice));
    const chunk = slice.then((read) => this.#keep(after, this.#made(after, read)));
    this.#chunks.set(after, chunk);
    chunk.catch(() => {
      if (this.#chunks.get(after) === chunk) this.#chunks.delete(after);
    });
    return chunk;
  }

  /** Numbered for somebody alone. */
  #ownChunk(after: number, number: number): Chunk | Promise<Chunk> {
    const slice = this.#read(after);
    if (slice instanceof Promise) return slice.then((read) => this.#made(after, read, number));
    return this.#made(after, slice, number);
  }

  #made(after: number, { publications, whole }: Slice, number = this.number): Chunk {
    const [first] = publications;
    const from = whole || first === undefined ? after : first.previous;
    return { packets: packetsOf(publications, number, from, this.spec.conflates), whole, from };
  }

  #keep(after: number, chunk: Chunk): Chunk {
    // What replaces each other is not the same a moment later; and what is too short now is more so then.
    if (this.spec.conflates || !chunk.whole) this.#chunks.delete(after);
    else {
      this.#chunks.set(after, chunk);
      for (const oldest of this.#chunks.keys()) {
        if (this.#chunks.size <= MAX_CHUNKS) break;
        this.#chunks.delete(oldest);
      }
    }
    return chunk;
  }

  #read(after: number): Slice | Promise<Slice> {
    const recent = this.#recent;
    if (recent !== undefined) {
      recent.trim(this.#owner.now());
      const slice = recent.read(after, READ_COUNT, CHUNK_BYTES);
      if (slice.whole || this.spec.history === undefined) return slice;
    }
    const feed = this.#feed;
    if (feed === undefined) throw new RpcError("the topic is not followed", Code.Internal);
    return feed.read(after, READ_COUNT, CHUNK_BYTES);
  }

  offsetBefore(count: number): number | Promise<number> {
    this.flush();
    if (count === 0) return this.head;
    if (this.tellsPresence) return 0;
    if (this.spec.history === undefined) return this.#recent?.offsetBefore(count) ?? this.head;
    return this.#feed?.offsetBefore(count) ?? this.head;
  }

  /** What is kept beside the broker. */
  get kept(): Pick<Kept, "size" | "bytes"> | undefined {
    return this.#recent;
  }

  /** The newest publications that are kept and were there when it began, the oldest first. They are read chunk by chunk. */
  async *newest(count: number): AsyncGenerator<Publication, void, void> {
    if (this.#feed === undefined || this.tellsPresence) return;
    let after = await this.offsetBefore(count);
    for (const end = this.head; after < end; ) {
      const { publications } = await this.#read(after);
      const last = publications.at(-1);
      if (last === undefined) return;
      yield* publications;
      after = last.offset;
    }
  }

  /** Bounds what the channel keeps beside the broker. */
  limitRecent(bytes: number): void {
    this.#recent?.limitBytes(bytes);
  }
}

const CONFLATED = { size: MAX_KEYS, ttlMs: Number.POSITIVE_INFINITY };
