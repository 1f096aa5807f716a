import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamPublishOptions,
  jetstream,
} from "@nats-io/jetstream";
import { type KV, Kvm, type KvStatus } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import { type ConnectionWatch, watchConnection } from "./connection-watch.js";
import { decodeRecord, encodeRecord, type IdempotencyRecord } from "./idempotency-record.js";
import { failureOf, mayBeMissing } from "./store-failure.js";

/** What a bucket must be like. */
export interface BucketSettings {
  readonly bucket: string;
  readonly ttlMs: number;
  readonly replicas: number;
  readonly storage: "file" | "memory";
}

/** What there is of a key. */
export interface Found {
  /** 0: nothing was ever there, or it is forgotten. */
  readonly revision: number;
  /** `undefined`: nothing is there. */
  readonly record: IdempotencyRecord | undefined;
}

/** The answer to a request may take so long; a stream whose leader has died answers after some 4 to 7 seconds. */
const REQUEST_TIMEOUT_MS = 5_000;

/** What the headers of a write take of `max_payload`, with something to spare. */
const HEADER_BYTES = 160;

/** A record that does not fit into a message. */
export class RecordTooLargeError extends Error {
  override readonly name = "RecordTooLargeError";
  /** The server's limit. */
  readonly maxPayload: number;

  constructor(maxPayload: number) {
    super(`the record is over the server's max_payload of ${maxPayload} bytes`);
    this.maxPayload = maxPayload;
  }
}

/**
 * A KV bucket of records, read and written by compare-and-set. It is made when it is missing, also when it was deleted
 * meanwhile.
 *
 * All methods throw a `StoreFailure` when NATS cannot do it now, and an Error when it will not, such as for a bucket with
 * other settings.
 */
export class IdempotencyBucket {
  readonly #connection: NatsConnection;
  readonly #watch: ConnectionWatch;
  readonly #settings: BucketSettings;
  #opened: Promise<Opened> | undefined;

  constructor(connection: NatsConnection, settings: BucketSettings) {
    this.#connection = connection;
    this.#watch = watchConnection(connection);
    this.#settings = settings;
  }

  /** The newest record of a key, from the stream's leader: what replicas say may be old. */
  async read(key: string): Promise<Found> {
    const entry = await this.#tried(({ kv }) => kv.get(key));
    if (entry === null) return { revision: 0, record: undefined };
    // Keys are never deleted by us, but somebody may have done it by hand.
    const record = entry.operation === "PUT" ? decodeRecord(entry.value) : undefined;
    return { revision: entry.revision, record };
  }

  /**
   * Writes a record if the newest revision of its key is still this one.
   *
   * @returns the new revision; `undefined` when it was not.
   * @throws RecordTooLargeError
   */
  async write(key: string, record: IdempotencyRecord, revision: number): Promise<number | undefined> {
    const bytes = encodeRecord(record);
    const { bucket, replicas } = this.#settings;
    const options: Partial<JetStreamPublishOptions> = { expect: { lastSubjectSequence: revision } };
    // On a replicated stream 2.9.10 lets two writes pass that expect the same revision at the same time, unless it is 0. Of
    // two with the same id it takes one, and no other revision of the stream has this number.
    if (replicas > 1 && revision > 0) options.msgID = String(revision);
    try {
      return await this.#tried(async ({ client }) => {
        const { max_payload: maxPayload } = this.#connection.info ?? {
          max_payload: Number.POSITIVE_INFINITY,
        };
        if (bytes.length + HEADER_BYTES > maxPayload) throw new RecordTooLargeError(maxPayload);
        const { seq, duplicate } = await client.publish(`$KV.${bucket}.${key}`, bytes, options);
        return duplicate ? undefined : seq;
      });
    } catch (error) {
      if (isWrongRevision(error)) return undefined;
      throw error;
    }
  }

  async #tried<T>(task: (opened: Opened) => Promise<T>): Promise<T> {
    for (let again = false; ; again = true) {
      const opened = this.#open();
      try {
        const ready = await opened;
        return await this.#watch.during(() => task(ready));
      } catch (error) {
        if (again || !mayBeMissing(error)) throw failureOf(error);
        // Looks for it, and makes it when it is gone; one for all that have met this at the same time.
        if (this.#opened === opened) this.#opened = undefined;
      }
    }
  }

  #open(): Promise<Opened> {
    if (this.#opened === undefined) {
      const opened = this.#watch.during(() => openBucket(this.#connection, this.#settings));
      this.#opened = opened;
      opened.catch(() => {
        if (this.#opened === opened) this.#opened = undefined;
      });
    }
    return this.#opened;
  }
}

interface Opened {
  readonly client: JetStreamClient;
  readonly kv: KV;
}

async function openBucket(connection: NatsConnection, settings: BucketSettings): Promise<Opened> {
  const { bucket, ttlMs, replicas, storage } = settings;
  const client = jetstream(connection, { timeout: REQUEST_TIMEOUT_MS, checkAPI: false });
  // Without direct gets, which any replica may answer from what it has.
  const kv = await new Kvm(client).create(bucket, {
    description: "idempotency keys of Hawser",
    history: 1,
    ttl: ttlMs,
    replicas,
    storage,
    allow_direct: false,
  });
  checkBucket(await kv.status(), settings);
  return { client, kv };
}

/** A bucket that was there already keeps its settings, whatever is asked for. */
function checkBucket(status: KvStatus, { bucket, ttlMs, replicas, storage }: BucketSettings): void {
  const settings: [what: string, is: unknown, wanted: unknown][] = [
    ["TTL in milliseconds", status.ttl, ttlMs],
    ["replicas", status.replicas, replicas],
    ["storage", status.storage, storage],
    ["history", status.history, 1],
    ["largest value", status.maxValueSize, -1],
    // At such a limit 2.9.10 drops the oldest keys from time to time, although the bucket says that new ones are refused.
    ["most bytes", status.max_bytes, -1],
    ["most messages", status.streamInfo.config.max_msgs, -1],
  ];
  const others = settings
    .filter(([, is, wanted]) => is !== wanted)
    .map(([what, is, wanted]) => `${what}: ${is} instead of ${wanted}`);
  if (others.length > 0) {
    throw new Error(
      `the KV bucket ${bucket} was made with other settings (${others.join(", ")}); change or delete it, or give another bucket`,
    );
  }
}

function isWrongRevision(error: unknown): boolean {
  return (
    error instanceof JetStreamApiError &&
    (error.code === JetStreamApiCodes.StreamWrongLastSequence ||
      error.code === JetStreamApiCodes.StreamWrongLastSequenceUnknown)
  );
}
