import { headers, type Msg, type Subscription } from "@nats-io/transport-node";
import type { Asks } from "./asks.js";
import type { NatsLink } from "./connection.js";
import { KV_OPERATION, type KvBucket } from "./kv-bucket.js";

/** How often the key is written: three times in its life. */
const BEAT_MS = 3_000;

/** An answer that has not come by then comes with the next beat. */
const ANSWER_MS = 2_000;

const NOTHING = new Uint8Array(0);

/** What a {@link Heartbeat} needs. */
export interface HeartbeatInit {
  readonly link: NatsLink;
  readonly asks: Asks;
  readonly bucket: KvBucket;
  readonly node: string;
  /** A node has written its key, this one too. */
  onBeat(node: string): void;
  /** A node has deleted its key. */
  onFarewell(node: string): void;
  warn(message: string, ...details: unknown[]): void;
}

/**
 * Writes this node's key, and hears when others write theirs. It listens to what is published to the bucket and not to a
 * watcher of it: that needs no consumer that could be lost, works while JetStream has no leader, and a key that expires is
 * not told to watchers by older servers anyway.
 */
export class Heartbeat {
  readonly #init: HeartbeatInit;
  readonly #subscription: Subscription;
  #timer: NodeJS.Timeout | undefined;
  #warned = false;
  #closed = false;

  constructor(init: HeartbeatInit) {
    this.#init = init;
    this.#subscription = init.link.connection.subscribe(`${init.bucket.subject}.*`, {
      callback: (error, message) => {
        if (error === null) this.#hear(message);
        else init.warn("nodes cannot be heard", error);
      },
    });
  }

  /** Writes the key now, and from then on. */
  async start(): Promise<void> {
    await this.beat();
    if (!this.#closed) this.#schedule();
  }

  /** Those whose keys are there. */
  async present(): Promise<string[]> {
    const { bucket } = this.#init;
    const keys = await bucket.keys();
    const values = await Promise.all(keys.map((key) => bucket.read(key)));
    return keys.filter((_, index) => values[index] !== undefined);
  }

  /** Writes the key; makes the bucket again when it is gone. */
  async beat(): Promise<void> {
    const { bucket, link, warn } = this.#init;
    try {
      if (!link.up || (await this.#write())) {
        this.#warned = false;
        return;
      }
      await bucket.check();
      if (!this.#closed && link.up) await this.#write();
    } catch (error) {
      // Who is there now has heard it all the same. It is written again soon.
      if (!this.#warned && !this.#closed && link.up) warn("this node's key cannot be stored in NATS", error);
      this.#warned = true;
    }
  }

  /** Deletes the key. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#subscription.unsubscribe();
    const { link } = this.#init;
    if (!link.up) return;
    const farewell = headers();
    farewell.set(KV_OPERATION, "DEL");
    try {
      link.connection.publish(this.#subject, NOTHING, { headers: farewell });
    } catch {
      // The connection is closing as well: the others will notice.
    }
  }

  get #subject(): string {
    return `${this.#init.bucket.subject}.${this.#init.node}`;
  }

  /** Whether it was stored. A missing bucket does not answer: nodes listen there, so NATS does not say that nobody does. */
  async #write(): Promise<boolean> {
    try {
      const answer = await this.#init.asks.one({
        subject: this.#subject,
        payload: NOTHING,
        timeoutMs: ANSWER_MS,
      });
      return answer.json<{ readonly error?: unknown }>().error === undefined;
    } catch {
      return false;
    }
  }

  #schedule(): void {
    // Nodes that were started together do not write together for ever.
    const wait = BEAT_MS * (0.85 + 0.3 * Math.random());
    this.#timer = setTimeout(() => {
      this.#schedule();
      void this.beat();
    }, wait);
  }

  #hear(message: Msg): void {
    const node = message.subject.slice(this.#init.bucket.subject.length + 1);
    const isMarker = message.headers?.has(KV_OPERATION) === true;
    if (isMarker) this.#init.onFarewell(node);
    else this.#init.onBeat(node);
  }
}
