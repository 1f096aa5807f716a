import type { Msg } from "@nats-io/transport-node";
import type { NatsLink } from "./connection.js";
import { unavailable } from "./errors.js";
import { keyInText, ownPayload, readKey } from "./headers.js";
import type { HistoryStream } from "./history-stream.js";
import { type JetStreamApi, JetStreamCode, JetStreamRefusal } from "./jetstream-api.js";

/** A publication as it is stored. */
export interface StoredPublication {
  readonly offset: number;
  readonly payload: Uint8Array;
  readonly key: string;
  /** When it was stored, by the server's clock, in milliseconds. */
  readonly time: number;
}

/** What is to be read: publications behind `after` up to `to`, so many and about so many bytes, one at least. */
export interface Range {
  readonly after: number;
  readonly to: number;
  readonly count: number;
  readonly bytes: number;
  /** When it was known that nothing is stored behind `after`, by `performance.now()`; `undefined` when it is not. */
  readonly sureAt?: number | undefined;
}

/** Some of what is stored of a topic. */
export interface Page {
  /** Oldest first. Nothing between two of them is missing. */
  readonly stored: readonly StoredPublication[];
  /** From this offset on, nothing that was published behind it is missing: the page is whole when it is not above `after`. */
  readonly wholeFrom: number;
  /** There is no more up to the end that was asked for. */
  readonly done: boolean;
}

interface ApiMessage {
  readonly seq: number;
  readonly hdrs?: string;
  readonly data?: string;
  readonly time: string;
}

/** So many are asked for one by one, before a consumer is made; 0.15 ms each. */
const SINGLY = 3;

/** A consumer gives up to so many at once: 1,000 out of 100,000 in 13 ms, where one by one takes 150 ms. */
const BATCH = 1_000;

/** A consumer that is not asked any more goes after this time, if deleting it fails. In nanoseconds. */
const INACTIVE = 5_000_000_000;

const TIMEOUT_MS = 2_000;

/** A consumer that is not made within this time never will be: a third of them are placed on a server that has just died. */
const CONSUMER_MS = 1_000;

/** So long all are asked for one by one, after a consumer has failed: the leader answers that alone. In milliseconds. */
const WITHOUT_CONSUMERS_MS = 10_000;

/** Reads what is stored of topics, and proves that nothing is missing in it. */
export class HistoryReader {
  readonly #link: NatsLink;
  readonly #api: JetStreamApi;
  /** Until then no consumers are made, by `performance.now()`. */
  #withoutConsumersUntil = Number.NEGATIVE_INFINITY;

  constructor(link: NatsLink, api: JetStreamApi) {
    this.#link = link;
    this.#api = api;
  }

  /** Offset of the newest publication that is stored; `undefined` when there is none. The leader answers. */
  async last(stream: HistoryStream, subject: string): Promise<number | undefined> {
    return (await this.#get(stream, { last_by_subj: subject }))?.seq;
  }

  /**
   * Reads a range, or the beginning of it. What is stored is removed while it is read, the oldest first. So it is looked afterwards which one is the oldest still:
   * nothing that is newer can have been missed, and what is older is left out, unless the one at `after` itself is there.
   *
   * @throws RpcError UNAVAILABLE.
   */
  async page(stream: HistoryStream, subject: string, range: Range): Promise<Page> {
    const { after, to, count, bytes, sureAt } = range;
    const stored: StoredPublication[] = [];
    let room = bytes;
    const add = (publication: StoredPublication): boolean => {
      const size = publication.payload.byteLength;
      if (stored.length >= count || (stored.length > 0 && size > room)) return false;
      stored.push(publication);
      room -= size;
      return true;
    };
    const done = after >= to || (await this.#collect(stream, subject, after + 1, to, count, bytes, add));
    const oldest = await this.#next(stream, subject, Math.max(1, after));
    if (oldest?.offset === after) return { stored, wholeFrom: after, done };
    if (oldest === undefined || oldest.offset > to) {
      return {
        stored: [],
        wholeFrom: Math.min(to, await stream.keptFrom(subject, to + 1, sureAt)),
        done: true,
      };
    }
    const kept = stored.filter(({ offset }) => offset >= oldest.offset);
    const [first] = kept;
    // All of it has gone meanwhile: the next ones.
    if (first === undefined)
      return this.page(stream, subject, { ...range, after: oldest.offset - 1, sureAt: undefined });
    return { stored: kept, wholeFrom: await stream.keptFrom(subject, first.offset, sureAt), done };
  }

  /** Offsets of all that is stored up to `to`, oldest first. */
  async offsets(stream: HistoryStream, subject: string, to: number): Promise<readonly number[]> {
    const offsets: number[] = [];
    const add = ({ offset }: StoredPublication): boolean => {
      offsets.push(offset);
      return true;
    };
    const all = Number.POSITIVE_INFINITY;
    await this.#collect(stream, subject, 1, to, all, all, add, true);
    return offsets;
  }

  /** Gives publications to `add` until it takes no more; true when it has taken all up to `to`. */
  async #collect(
    stream: HistoryStream,
    subject: string,
    from: number,
    to: number,
    count: number,
    bytes: number,
    add: (publication: StoredPublication) => boolean,
    headersOnly = false,
  ): Promise<boolean> {
    let next = from;
    let left = count;
    let state: "more" | "full" | "done" = "more";
    const take = (publication: StoredPublication): void => {
      if (state !== "more" || publication.offset < next) return;
      if (publication.offset > to) {
        state = "done";
      } else if (!add(publication)) {
        state = "full";
      } else {
        next = publication.offset + 1;
        left -= 1;
        if (next > to) state = "done";
      }
    };
    const isOver = (): boolean => state !== "more";
    while (!isOver()) {
      for (let asked = 0; !isOver() && (asked < SINGLY || this.#isWithoutConsumers); asked++) {
        const publication = await this.#next(stream, subject, next);
        if (publication === undefined) state = "done";
        else take(publication);
      }
      if (isOver()) break;
      // One more than wanted: whether there is more shows by it. A consumer may be on a member of the cluster that is
      // behind; it ends early then, and the leader is asked for the next.
      await this.#consume(stream, subject, next, Math.min(left + 1, BATCH), bytes, headersOnly, take);
    }
    return (state as string) === "done";
  }

  /** The first publication from an offset on, by the leader. */
  async #next(stream: HistoryStream, subject: string, from: number): Promise<StoredPublication | undefined> {
    const message = await this.#get(stream, { seq: from, next_by_subj: subject });
    if (message === undefined) return undefined;
    return {
      offset: message.seq,
      payload: message.data === undefined ? new Uint8Array() : fromBase64(message.data),
      key: message.hdrs === undefined ? "" : keyInText(Buffer.from(message.hdrs, "base64").toString()),
      time: Date.parse(message.time),
    };
  }

  async #get(stream: HistoryStream, body: object): Promise<ApiMessage | undefined> {
    try {
      const verb = `STREAM.MSG.GET.${stream.name}`;
      return (await this.#api.request<{ message: ApiMessage }>(verb, body, TIMEOUT_MS)).message;
    } catch (error) {
      if (!(error instanceof JetStreamRefusal)) throw error;
      if (error.errorCode === JetStreamCode.NoMessage) return undefined;
      throw unavailable(`history cannot be read: ${error.message}`, "no", error);
    }
  }

  get #isWithoutConsumers(): boolean {
    return performance.now() < this.#withoutConsumersUntil;
  }

  /** One batch of a consumer that is made for it; nothing, if it fails. */
  async #consume(
    stream: HistoryStream,
    subject: string,
    from: number,
    count: number,
    bytes: number,
    headersOnly: boolean,
    onPublication: (publication: StoredPublication) => void,
  ): Promise<void> {
    const config = {
      deliver_policy: "by_start_sequence",
      opt_start_seq: from,
      ack_policy: "none",
      filter_subject: subject,
      headers_only: headersOnly,
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: INACTIVE,
    };
    try {
      const { name } = await this.#api.request<{ name: string }>(
        `CONSUMER.CREATE.${stream.name}`,
        { stream_name: stream.name, config },
        CONSUMER_MS,
      );
      await this.#pull(stream, name, count, bytes, onPublication);
      // Nobody waits for it; without an answer it goes by itself.
      this.#link.connection.publish(`$JS.API.CONSUMER.DELETE.${stream.name}.${name}`);
    } catch (error) {
      if (!this.#link.up) throw error;
      this.#withoutConsumersUntil = performance.now() + WITHOUT_CONSUMERS_MS;
    }
  }

  #pull(
    stream: HistoryStream,
    consumer: string,
    batch: number,
    bytes: number,
    onPublication: (publication: StoredPublication) => void,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      let left = batch;
      const inbox = this.#link.newInbox();
      const end = (failure?: Error): void => {
        clearTimeout(timer);
        subscription.unsubscribe();
        if (failure === undefined) resolve();
        else reject(failure);
      };
      const onMessage = (message: Msg): void => {
        timer.refresh();
        const metadata = readMetadata(message);
        // A status: there is no more, or no more that fits.
        if (metadata === undefined) return end();
        onPublication({
          offset: metadata.sequence,
          payload: ownPayload(message),
          key: readKey(message.headers),
          time: metadata.time,
        });
        left -= 1;
        if (left === 0 || metadata.pending === 0) end();
      };
      // One of its own: what is stored comes by the subject that it was published to, which does not say whose it is.
      const subscription = this.#link.connection.subscribe(inbox, {
        callback: (error, message) => {
          if (error === null) onMessage(message);
          else end(unavailable("history cannot be read", "no", error));
        },
      });
      const timer = setTimeout(() => end(unavailable("history cannot be read: no answer")), CONSUMER_MS);
      // A message that is larger than that alone would not be given at all.
      const maxPayload = this.#link.connection.info?.max_payload ?? 1_048_576;
      const request = {
        batch,
        no_wait: true,
        ...(Number.isFinite(bytes) ? { max_bytes: bytes + 2 * maxPayload } : {}),
      };
      try {
        this.#link.connection.publish(
          `$JS.API.CONSUMER.MSG.NEXT.${stream.name}.${consumer}`,
          JSON.stringify(request),
          { reply: inbox },
        );
      } catch (error) {
        end(unavailable("history cannot be read", "no", error));
      }
    });
  }
}

/** `undefined` for a status. */
function readMetadata({ reply = "" }: Msg): { sequence: number; time: number; pending: number } | undefined {
  const parts = reply.split(".");
  if (parts[0] !== "$JS" || parts[1] !== "ACK") return undefined;
  // Later servers put a domain and the hash of an account in.
  const at = parts.length >= 11 ? 7 : 5;
  return {
    sequence: Number(parts[at]),
    time: Number(parts[at + 2]) / 1e6,
    pending: Number(parts[at + 3]),
  };
}

/** In memory of its own: small buffers of Node are parts of a larger one. */
function fromBase64(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "base64"));
}
