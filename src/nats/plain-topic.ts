import type { Msg, Subscription } from "@nats-io/transport-node";
import type { Feed, FeedEvents, Slice } from "../broker/broker.js";
import type { Position } from "../broker/publication.js";
import type { NatsLink } from "./connection.js";
import { ownPayload, readFrom, readKey } from "./headers.js";

/** What a {@link PlainTopic} needs. */
export interface PlainTopicSettings {
  readonly link: NatsLink;
  readonly subject: string;
  /** Names the numbering of this node. */
  readonly epoch: string;
  /** Resolves when all nodes' servers know of what was subscribed to before. */
  barrier(): Promise<void>;
  /** Nobody follows it any more, for now. */
  onDetached(): void;
}

/** So many publishers are remembered; the one that was silent for longest is forgotten. */
const MAX_PUBLISHERS = 1_000;

/** So long it is waited before the barrier is tried again, in milliseconds. */
const RETRY_MS = 250;

/** Publications that wait until the caller of follow() has its feed. */
const MAX_HELD = 10_000;

/**
 * One topic without history on this node. Every node counts on its own, by its own epoch. NATS may lose publications without
 * a word, when it has to choose between that and standing still; so each carries its publisher's count, and a hole in it is
 * told as a gap.
 */
export class PlainTopic implements Feed {
  readonly #settings: PlainTopicSettings;
  readonly #subscription: Subscription;
  #events: FeedEvents | undefined;
  #position: Position;
  /** The last count of each publisher; the one that was heard last comes last. */
  readonly #counts = new Map<string, number>();
  #attaching: Promise<void> | undefined;
  #held: Msg[] = [];
  #live = true;
  #rejoining: Promise<void> | undefined;
  #closed = false;

  private constructor(settings: PlainTopicSettings) {
    this.#settings = settings;
    this.#position = { epoch: settings.epoch, offset: 0 };
    this.#subscription = settings.link.connection.subscribe(settings.subject, {
      callback: (error, message) => {
        if (error === null) this.#onMessage(message);
      },
    });
  }

  /** @throws RpcError UNAVAILABLE. */
  static async open(settings: PlainTopicSettings): Promise<PlainTopic> {
    const topic = new PlainTopic(settings);
    try {
      await settings.barrier();
      return topic;
    } catch (error) {
      topic.end();
      throw error;
    }
  }

  get position(): Position {
    return this.#position;
  }

  /** Tells from now on, though not before the caller had a chance to take the feed. */
  attach(events: FeedEvents): Feed {
    this.#events = events;
    const attaching = new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      if (this.#attaching !== attaching) return;
      this.#attaching = undefined;
      if (!this.#live) this.#events?.onLive(false);
      const held = this.#held;
      this.#held = [];
      for (const message of held) this.#accept(message);
    });
    this.#attaching = attaching;
    return this;
  }

  /** Nothing is kept: whole only for those that have all. */
  read(after: number): Slice {
    return { publications: [], whole: after >= this.#position.offset };
  }

  offsetBefore(): number {
    return this.#position.offset;
  }

  close(): void {
    if (this.#events === undefined) return;
    this.#events = undefined;
    this.#settings.onDetached();
  }

  /** Is heard no longer. */
  end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#events = undefined;
    this.#held = [];
    this.#subscription.unsubscribe();
  }

  /** The connection is back, or gone. */
  onLink(up: boolean): void {
    if (!up) this.#setLive(false);
    else this.#rejoining ??= this.#rejoin().finally(() => (this.#rejoining = undefined));
  }

  /** Resolves when publications of all nodes arrive again. */
  get healed(): Promise<void> {
    return this.#rejoining ?? Promise.resolve();
  }

  async #rejoin(): Promise<void> {
    while (!this.#closed) {
      try {
        await this.#settings.barrier();
        break;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
    await this.#attaching;
    if (this.#closed) return;
    // What was published meanwhile is gone, and nobody knows how much it was.
    this.#counts.clear();
    this.#gap();
    this.#setLive(true);
  }

  #onMessage(message: Msg): void {
    if (this.#attaching === undefined) return this.#accept(message);
    // What is too much shows as a hole.
    if (this.#held.length < MAX_HELD) this.#held.push(message);
  }

  #accept(message: Msg): void {
    const from = readFrom(message);
    if (from === undefined) return;
    const { run, count } = from;
    const last = this.#counts.get(run);
    if (last !== undefined) {
      // It was overtaken by others on its way, and has been told as missing.
      if (count <= last) return;
      if (count > last + 1) this.#gap();
      this.#counts.delete(run);
    } else if (this.#counts.size >= MAX_PUBLISHERS) {
      const [oldest] = this.#counts.keys();
      this.#counts.delete(oldest as string);
    }
    this.#counts.set(run, count);
    const { epoch, offset: previous } = this.#position;
    const offset = previous + 1;
    this.#position = { epoch, offset };
    this.#events?.onPublication({
      offset,
      previous,
      payload: ownPayload(message),
      key: readKey(message.headers),
    });
  }

  /** Takes a place of its own, so that whoever was before it, and comes back, is told too. */
  #gap(): void {
    const { epoch, offset } = this.#position;
    this.#position = { epoch, offset: offset + 1 };
    this.#events?.onGap(this.#position, "brokerLoss");
  }

  #setLive(live: boolean): void {
    if (live === this.#live) return;
    this.#live = live;
    if (this.#attaching === undefined) this.#events?.onLive(live);
  }
}
