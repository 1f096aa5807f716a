import type { RpcError } from "../base/error.js";
import type { Feed, Slice } from "../broker/broker.js";
import type { Position, Publication } from "../broker/publication.js";
import { unavailable } from "./errors.js";
import type { Page, Range, StoredPublication } from "./history-reader.js";
import { limited, newestOfEachKey } from "./history-ring.js";
import type { HistoryTopic } from "./history-topic.js";

/** What is read at once of a topic that conflates: all of it has to be seen. */
const PAGE_COUNT = 1_000;
const PAGE_BYTES = 4 * 1024 * 1024;

/**
 * Reads a topic for those who come back: out of this node's ring at once, or out of the stream. What is read there goes into
 * the ring, as far as it fits, so that thousands who come back at the same time cost one reading.
 */
export class HistoryFeed implements Feed {
  readonly #topic: HistoryTopic;
  /** Reading that is under way, of what the ring lacks: one at a time. */
  #filling: Promise<void> | undefined;
  /** Readings that do not fit into the ring, by what they are of: those who want the same share one. */
  readonly #reading = new Map<string, Promise<Slice>>();
  /** The ring has no room for what is behind an offset up to this one. */
  #tooLargeUpTo = -1;

  constructor(topic: HistoryTopic) {
    this.#topic = topic;
  }

  get position(): Position {
    return this.#topic.position;
  }

  read(after: number, count: number, bytes: number): Slice | Promise<Slice> {
    const { ring, position, conflates } = this.#topic;
    if (after > position.offset) return this.#readBeyond(after);
    ring.expire(Date.now());
    const known = this.#fromRing(after, position.offset, count, bytes);
    if (known !== undefined) return known;
    const key = `${after} ${position.offset} ${count} ${bytes}`;
    let reading = this.#reading.get(key);
    if (reading === undefined) {
      reading = this.#readBack(after, count, bytes, conflates).finally(() => this.#reading.delete(key));
      this.#reading.set(key, reading);
    }
    return reading;
  }

  offsetBefore(count: number): number | Promise<number> {
    const { ring } = this.#topic;
    ring.expire(Date.now());
    return ring.before(count) ?? (ring.isAll ? ring.base : this.#offsetBack(count));
  }

  close(): void {
    this.#topic.detach();
  }

  #fromRing(after: number, to: number, count: number, bytes: number): Slice | undefined {
    const { ring, conflates } = this.#topic;
    const whole = after >= ring.base;
    if (!whole && !ring.isAll) return undefined;
    return { publications: ring.slice(after, to, count, bytes, conflates), whole };
  }

  /** Another node was ahead of this one, or the stream was restored from a copy that is older than that. */
  async #readBeyond(after: number): Promise<Slice> {
    const { stream, position } = this.#topic;
    const state = await stream.look();
    return { publications: [], whole: state.epoch === position.epoch && after <= state.last };
  }

  async #readBack(after: number, count: number, bytes: number, conflates: boolean): Promise<Slice> {
    const { ring, position } = this.#topic;
    const to = position.offset;
    // Where much is published, the ring moves on while it is filled; then it is read without.
    for (let tries = 0; tries < 3; tries++) {
      if (after >= ring.base || ring.isAll || after <= this.#tooLargeUpTo) break;
      this.#filling ??= this.#fill(after).finally(() => {
        this.#filling = undefined;
      });
      await this.#filling;
      this.#requireEpoch(position.epoch);
    }
    const known = this.#fromRing(after, to, count, bytes);
    if (known !== undefined) return known;
    const slice = conflates
      ? await this.#readNewest(after, to, count, bytes)
      : await this.#readPage({ after, to, count, bytes });
    this.#requireEpoch(position.epoch);
    return slice;
  }

  /** Puts what is behind `after` into the ring, before what is there. */
  async #fill(after: number): Promise<void> {
    const { ring, position } = this.#topic;
    const to = ring.base;
    const found: StoredPublication[] = [];
    let wholeFrom: number | undefined;
    let room = ring.room;
    for (let from = after, done = false; !done; ) {
      const page = await this.#page({
        after: from,
        to,
        count: PAGE_COUNT,
        bytes: Math.min(room, PAGE_BYTES) + 1,
      });
      // What was read before has gone meanwhile, and perhaps something between it and this page.
      if (wholeFrom === undefined || page.wholeFrom > from) {
        found.length = 0;
        wholeFrom = page.wholeFrom;
      }
      found.push(...page.stored);
      room = ring.room - found.reduce((sum, { payload }) => sum + payload.byteLength, 0);
      done = page.done;
      from = found.at(-1)?.offset ?? to;
      if (room < 0) {
        this.#tooLargeUpTo = Math.max(this.#tooLargeUpTo, after);
        return;
      }
    }
    // The ring has begun anew, or has dropped its oldest: what was read does not lie directly before it any more.
    if (this.position.epoch !== position.epoch || ring.base !== to || wholeFrom === undefined) return;
    const base = wholeFrom <= after ? Math.min(after, wholeFrom) : wholeFrom;
    const older = chained(found, base).map((publication, index) => ({
      publication,
      time: Math.min(found[index]?.time ?? 0, Date.now()),
    }));
    if (!ring.prepend(older, base, wholeFrom !== after)) {
      this.#tooLargeUpTo = Math.max(this.#tooLargeUpTo, after);
    }
  }

  async #readPage(range: Range): Promise<Slice> {
    const { stored, wholeFrom } = await this.#page(range);
    const whole = wholeFrom <= range.after;
    return { publications: chained(stored, whole ? range.after : wholeFrom), whole };
  }

  /** The newest of each key of all that is there. */
  async #readNewest(after: number, to: number, count: number, bytes: number): Promise<Slice> {
    let newest: StoredPublication[] = [];
    let base = after;
    for (let from = after, done = false; !done; ) {
      const page = await this.#page({ after: from, to, count: PAGE_COUNT, bytes: PAGE_BYTES });
      if (page.wholeFrom > from) {
        // What was read before has gone meanwhile, and perhaps something between it and this page.
        base = page.wholeFrom;
        newest = [];
      }
      newest = newestOfEachKey([...newest, ...page.stored]);
      from = page.stored.at(-1)?.offset ?? to;
      done = page.done;
    }
    return { publications: chained(limited(newest, count, bytes), base), whole: base === after };
  }

  async #offsetBack(count: number): Promise<number> {
    const { ring, position, reader, stream, subject } = this.#topic;
    const to = position.offset;
    // All that there are: one question instead of a long list.
    const newest = count < stream.size ? count : 0;
    if (newest === 0) {
      const { stored, wholeFrom } = await this.#page({ after: 0, to, count: 1, bytes: 0 });
      this.#requireEpoch(position.epoch);
      return Math.max(0, stored[0] === undefined ? to : Math.max(wholeFrom, stored[0].offset - 1));
    }
    const offsets = await reader.offsets(stream, subject, to);
    if ((await stream.look()).epoch !== position.epoch) throw begunAnew();
    return offsets[offsets.length - count - 1] ?? (offsets[0] === undefined ? ring.base : offsets[0] - 1);
  }

  async #page(range: Range): Promise<Page> {
    const { reader, stream, subject, position } = this.#topic;
    const page = await reader.page(stream, subject, range);
    // What was read may be of another stream, that nothing has come of yet.
    if ((await stream.look()).epoch !== position.epoch) throw begunAnew();
    return page;
  }

  #requireEpoch(epoch: string): void {
    if (this.position.epoch !== epoch) throw begunAnew();
  }
}

function begunAnew(): RpcError {
  return unavailable("the topic has begun anew while it was read");
}

/** Each behind the one before it. */
function chained(stored: readonly StoredPublication[], base: number): Publication[] {
  let previous = base;
  return stored.map(({ offset, payload, key }) => {
    const publication: Publication = { offset, previous, payload, key };
    previous = offset;
    return publication;
  });
}
