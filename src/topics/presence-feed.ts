import { create, toBinary } from "@bufbuild/protobuf";
import { PresenceEventSchema, type PresenceMember } from "../../gen/hawser/v1/presence_pb.js";
import type { Feed, FeedEvents, Slice } from "../broker/broker.js";
import { History } from "../broker/history.js";
import type { Position, Publication } from "../broker/publication.js";

/** What a {@link PresenceFeed} needs of the presence that it tells of. */
export interface PresenceSource {
  readonly epoch: string;
  now(): number;
  members(topic: string): readonly PresenceMember[];
  /** Nobody follows this feed of it any more. */
  closed(topic: string, feed: PresenceFeed): void;
}

/** What is kept for those that come back soon; the others get a snapshot. */
const KEPT = { size: 256, ttlMs: 60_000, bytes: 256 * 1024 };

/** Who is subscribed to a topic, as a topic: each node numbers what it sees by itself. */
export class PresenceFeed implements Feed {
  readonly #topic: string;
  readonly #source: PresenceSource;
  readonly #events: FeedEvents;
  readonly #changes = new History(KEPT, 1);
  /** The first one is the snapshot that everybody begins with. */
  #offset = 1;
  #snapshot: Publication | undefined;

  constructor(topic: string, source: PresenceSource, events: FeedEvents) {
    this.#topic = topic;
    this.#source = source;
    this.#events = events;
  }

  get position(): Position {
    return { epoch: this.#source.epoch, offset: this.#offset };
  }

  /** Somebody has come or gone. */
  changed(joined: readonly PresenceMember[], left: readonly PresenceMember[]): void {
    const event = create(PresenceEventSchema, { joined: [...joined], left: [...left] });
    const previous = this.#offset++;
    const payload = toBinary(PresenceEventSchema, event);
    const publication: Publication = { offset: this.#offset, previous, payload, key: "" };
    this.#snapshot = undefined;
    this.#changes.add(publication, this.#source.now());
    this.#events.onPublication(publication);
  }

  /** Whether publications of other nodes arrive. */
  live(live: boolean): void {
    this.#events.onLive(live);
  }

  read(after: number, count: number, bytes: number): Slice {
    this.#changes.trim(this.#source.now());
    const slice = this.#changes.read(after, count, bytes);
    return slice.whole ? slice : { publications: [this.#all()], whole: true };
  }

  offsetBefore(): number {
    return 0;
  }

  close(): void {
    this.#source.closed(this.#topic, this);
  }

  #all(): Publication {
    if (this.#snapshot === undefined) {
      const joined = [...this.#source.members(this.#topic)];
      const payload = toBinary(PresenceEventSchema, create(PresenceEventSchema, { snapshot: true, joined }));
      this.#snapshot = { offset: this.#offset, previous: 0, payload, key: "" };
    }
    return this.#snapshot;
  }
}
