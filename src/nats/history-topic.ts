import type { Msg, Subscription } from "@nats-io/transport-node";
import type { Feed, FeedEvents } from "../broker/broker.js";
import type { FeedGap, Position, Publication } from "../broker/publication.js";
import type { NatsLink } from "./connection.js";
import { ownPayload, readKey, readSequences } from "./headers.js";
import { HistoryFeed } from "./history-feed.js";
import type { HistoryReader, StoredPublication } from "./history-reader.js";
import { HistoryRing } from "./history-ring.js";
import { HistoryStream, type StreamState } from "./history-stream.js";

/** What a {@link HistoryTopic} needs. */
export interface HistoryTopicSettings {
  readonly link: NatsLink;
  readonly reader: HistoryReader;
  readonly stream: HistoryStream;
  /** The topic's name in subjects. */
  readonly token: string;
  readonly conflates: boolean;
  readonly maxRingBytes: number;
  readonly checkMs: number;
  /** Nobody follows it any more, for now. */
  onDetached(): void;
}

/** A publication that the server has sent on. */
interface Live extends StoredPublication {
  /** Counts what has come. */
  readonly arrival: number;
  /** Of which stream it is. */
  readonly incarnation: string;
  /** Sequence of the one before it that was still stored; 0 when there was none. */
  readonly last: number;
}

/** What is read at once when publications are missing. */
const HEAL_COUNT = 1_000;
const HEAL_BYTES = 4 * 1024 * 1024;

/** So many live publications wait while older ones are read; beyond it they are read too. */
const MAX_HELD = 1_000;

/** Waits between attempts to heal, growing. */
const BACKOFF_MS = [50, 100, 250, 500, 1_000] as const;

/** Checks are not more frequent than that, however short a history is. */
const SHORTEST_CHECK_MS = 1_000;

/**
 * One topic with history on this node: hears what the server sends on, and reads from the stream what it has not heard.
 *
 * Every publication says the sequence of the one before it on its subject. Is that above the position, then something was
 * lost: the stream is read up to there before anything else is delivered. The same happens at the beginning, after every
 * reconnection, and when a check finds something newer than the position.
 */
export class HistoryTopic {
  readonly stream: HistoryStream;
  readonly reader: HistoryReader;
  readonly link: NatsLink;
  readonly subject: string;
  readonly conflates: boolean;
  readonly ring: HistoryRing;
  /** When its position is to be checked, by `performance.now()`. */
  nextCheckAt: number;
  position: Position = { epoch: "", offset: 0 };
  readonly #settings: HistoryTopicSettings;
  readonly #subscription: Subscription;
  readonly #checkMs: number;
  /** What is published stays in the stream for so long at least, so that a check finds it. */
  readonly #horizonMs: number;
  #incarnation = "";
  #events: FeedEvents | undefined;
  /** What came while older ones are read, or while nobody can be told yet. */
  #held: Live[] = [];
  #arrivals = 0;
  /** More came than could be held. */
  #overflown = false;
  /** Why nothing is delivered at the moment. */
  #opening = true;
  #attaching: Promise<void> | undefined;
  #healing: Promise<void> | undefined;
  #live = true;
  #closed = false;
  /** Until then nothing was missed, by `performance.now()`. */
  #sureAt = 0;
  #wake: (() => void) | undefined;

  private constructor(settings: HistoryTopicSettings) {
    const { link, reader, stream, token, conflates, maxRingBytes, checkMs } = settings;
    this.#settings = settings;
    this.link = link;
    this.reader = reader;
    this.stream = stream;
    this.conflates = conflates;
    this.subject = stream.subject(token);
    this.ring = new HistoryRing(stream.size, stream.ttlMs, maxRingBytes);
    // In a history that is shorter than that, the lost last one could be gone before it is looked for.
    this.#checkMs = Math.min(checkMs, Math.max(SHORTEST_CHECK_MS, stream.ttlMs / 2));
    // For a history of less than that, what is lost before a silence of that length may go unseen.
    this.#horizonMs = Math.max(3 * SHORTEST_CHECK_MS, stream.ttlMs);
    this.nextCheckAt = performance.now() + Math.random() * this.#checkMs;
    this.#subscription = link.connection.subscribe(stream.liveSubject(token), {
      callback: (error, message) => {
        if (error === null) this.#onMessage(message);
      },
    });
  }

  /** @throws RpcError UNAVAILABLE; FAILED_PRECONDITION when the stream cannot be used. */
  static async open(settings: HistoryTopicSettings): Promise<HistoryTopic> {
    const topic = new HistoryTopic(settings);
    try {
      await topic.#open();
      return topic;
    } catch (error) {
      topic.close();
      throw error;
    }
  }

  /** Tells from now on, though not before the caller had a chance to take the feed. */
  attach(events: FeedEvents): Feed {
    this.#events = events;
    const attaching = new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      if (this.#attaching !== attaching) return;
      this.#attaching = undefined;
      if (!this.#live) this.#events?.onLive(false);
      this.#release();
    });
    this.#attaching = attaching;
    return new HistoryFeed(this);
  }

  /** Nobody is told any more. The topic goes on, until it is closed. */
  detach(): void {
    if (this.#events === undefined) return;
    this.#events = undefined;
    this.#settings.onDetached();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#subscription.unsubscribe();
    this.#events = undefined;
    this.#held = [];
    this.#wake?.();
  }

  /** The connection is back, or gone. */
  onLink(up: boolean): void {
    if (!up) this.#setLive(false);
    else {
      this.#wake?.();
      this.heal();
    }
  }

  /** Resolves when nothing is missing any more. */
  get healed(): Promise<void> {
    return this.#healing ?? Promise.resolve();
  }

  /** Compares the position with what is stored. */
  async check(): Promise<void> {
    const now = performance.now();
    this.nextCheckAt = now + this.#checkMs;
    if (this.#opening || this.#healing !== undefined) return;
    try {
      const last = await this.reader.last(this.stream, this.subject);
      if (last !== undefined && last > this.position.offset) this.heal();
      // All that was stored may have gone; what came and went between two checks is seen by the time between them.
      else if (last !== undefined || now - this.#sureAt < this.#horizonMs) this.#sureAt = now;
    } catch {
      // Perhaps the stream is gone: it is made again then. Else the next check will tell, or the next publication.
      this.stream.look().catch(() => {});
    }
  }

  /** Reads what is missing, as often as it takes. */
  heal(): void {
    if (this.#closed || this.#opening || this.#healing !== undefined) return;
    this.#healing = this.#heal().finally(() => {
      this.#healing = undefined;
      this.#release();
    });
  }

  async #open(): Promise<void> {
    // The leader answers this: it knows of the subscription by then, and sends on to it what it stores from now on.
    const now = performance.now();
    const state = await this.stream.look();
    const last = await this.reader.last(this.stream, this.subject);
    // Of a topic in which nothing is stored, the sequence of the stream: what comes will be behind it, and when the stream
    // still has something that old, it proves that nothing has gone since.
    this.#begin(state, last ?? state.last, now);
    this.#opening = false;
  }

  #begin({ epoch, incarnation }: StreamState, offset: number, now: number): void {
    this.position = { epoch, offset };
    this.#incarnation = incarnation;
    this.ring.reset(offset);
    this.#sureAt = now;
  }

  #onMessage(message: Msg): void {
    const sequences = readSequences(message);
    if (sequences === undefined) return;
    const { sequence, last } = sequences;
    const live: Live = {
      offset: sequence,
      last,
      arrival: ++this.#arrivals,
      incarnation: HistoryStream.incarnationOf(message.subject),
      payload: ownPayload(message),
      key: readKey(message.headers),
      time: Date.now(),
    };
    if (this.#opening || this.#attaching !== undefined || this.#healing !== undefined) this.#hold(live);
    else if (!this.#accept(live)) {
      this.#hold(live);
      this.heal();
    }
  }

  #hold(live: Live): void {
    if (this.#held.length < MAX_HELD) {
      this.#held.push(live);
    } else {
      // They are in the stream, and are read from there.
      this.#held = [];
      this.#overflown = true;
    }
  }

  /** Delivers what was held, if nothing keeps it. */
  #release(): void {
    if (this.#opening || this.#attaching !== undefined || this.#healing !== undefined || this.#closed) return;
    const held = this.#held;
    this.#held = [];
    for (const [index, live] of held.entries()) {
      if (this.#accept(live)) continue;
      this.#held = [...held.slice(index), ...this.#held];
      this.heal();
      return;
    }
    if (this.#overflown) this.heal();
  }

  /** Delivers it if it is the next; drops it if it is old. False when something is missing before it. */
  #accept(live: Live): boolean {
    // Of another stream, that counts anew.
    if (live.incarnation !== this.#incarnation) return false;
    const { offset } = this.position;
    // It was read before it came.
    if (live.offset <= offset) return true;
    if (live.last > offset) return false;
    const now = performance.now();
    if (live.last === 0 && offset > 0 && now - this.#sureAt > this.#horizonMs) {
      // All before it has gone from the stream. Something that this node has not heard may have been there.
      this.#gap({ ...this.position, offset: live.offset - 1 }, "historyTooShort");
    }
    this.#sureAt = now;
    this.#deliver(live);
    return true;
  }

  #deliver({ offset, payload, key, time }: StoredPublication): void {
    const publication: Publication = { offset, previous: this.position.offset, payload, key };
    this.position = { epoch: this.position.epoch, offset };
    const now = Date.now();
    this.ring.push(publication, Math.min(time, now));
    this.ring.expire(now);
    this.#events?.onPublication(publication);
  }

  #gap(position: Position, reason: FeedGap): void {
    this.position = position;
    this.ring.reset(position.offset);
    this.#events?.onGap(position, reason);
  }

  #setLive(live: boolean): void {
    if (live === this.#live) return;
    this.#live = live;
    if (this.#attaching === undefined) this.#events?.onLive(live);
  }

  async #heal(): Promise<void> {
    // Nothing may be told before the caller of follow() has its feed.
    await this.#attaching;
    for (let attempt = 0; !this.#closed; attempt++) {
      try {
        await this.#catchUp();
        break;
      } catch {
        // Not now: no connection, no leader, or somebody has changed the stream. Tried again until it succeeds.
        this.#setLive(false);
        await this.#pause(BACKOFF_MS[Math.min(attempt, BACKOFF_MS.length - 1)] as number);
      }
    }
    if (!this.#closed && this.link.up) this.#setLive(true);
  }

  async #pause(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    this.#wake = undefined;
    clearTimeout(timer);
  }

  async #catchUp(): Promise<void> {
    const now = performance.now();
    const state = await this.stream.look();
    let gap: FeedGap | undefined;
    let { offset } = this.position;
    let sureAt = this.#sureAt;
    if (state.epoch !== this.position.epoch) {
      offset = 0;
      gap = "newEpoch";
    }
    this.#incarnation = state.incarnation;
    this.#held = this.#held.filter(({ incarnation }) => incarnation === state.incarnation);
    const arrivals = this.#arrivals;
    this.#overflown = false;
    const to = (await this.reader.last(this.stream, this.subject)) ?? (gap ? state.last : offset);
    for (let done = false; !done; ) {
      const askedAt = performance.now();
      const range = { after: offset, to, count: HEAL_COUNT, bytes: HEAL_BYTES, sureAt };
      const page = await this.reader.page(this.stream, this.subject, range);
      await this.#attaching;
      if (this.#closed) return;
      done = page.done;
      if (page.wholeFrom > offset) gap ??= "historyTooShort";
      if (gap !== undefined) {
        const behind = page.stored[0] === undefined ? Math.max(to, offset) : page.stored[0].offset - 1;
        this.#gap({ epoch: state.epoch, offset: behind }, gap);
        gap = undefined;
      }
      for (const stored of page.stored) this.#deliver(stored);
      offset = this.position.offset;
      sureAt = askedAt;
    }
    this.#sureAt = now;
    this.#skipUnhealable(arrivals);
  }

  /** What had come before it was asked how far the history goes, and does not fit yet: what was before it is gone already. */
  #skipUnhealable(arrivals: number): void {
    const index = this.#held.findIndex(({ arrival }) => arrival > arrivals);
    const early = this.#held.splice(0, index === -1 ? this.#held.length : index);
    for (const live of early) {
      if (live.offset <= this.position.offset) continue;
      if (live.last > this.position.offset) {
        this.#gap({ ...this.position, offset: live.offset - 1 }, "historyTooShort");
      }
      this.#deliver(live);
    }
  }
}
