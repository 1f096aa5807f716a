import { nuid } from "@nats-io/transport-node";
import type { RpcError } from "../base/error.js";
import { Batched } from "./batched.js";
import type { NatsLink } from "./connection.js";
import { publishError, unavailable } from "./errors.js";
import { plainHeaders } from "./headers.js";
import type { PublishBudget } from "./publish-budget.js";

/** What a {@link PlainPublisher} needs. */
export interface PlainPublisherSettings {
  readonly link: NatsLink;
  readonly budget: PublishBudget;
  /** How long a publication waits for a connection, in milliseconds: 0 for not at all. */
  readonly waitMs: number;
}

interface Waiting {
  readonly deadline: number;
  send(): void;
  fail(error: RpcError): void;
}

/** So many topics are counted; the one that was not published to for longest begins anew, by another name. */
const MAX_COUNTED = 10_000;

/** A server that does not answer to a flush within this time, in milliseconds, has perhaps not got it. */
const FLUSH_MS = 10_000;

/** Publishes without history: sent once, and flushed together with what else is sent in the same turn. */
export class PlainPublisher {
  readonly #settings: PlainPublisherSettings;
  /** How often each subject was published to, and under which name; the one that was published to last comes last. */
  readonly #counts = new Map<string, { readonly run: string; count: number }>();
  readonly #flushes: Batched<void>;
  #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(settings: PlainPublisherSettings) {
    this.#settings = settings;
    this.#flushes = new Batched(() => this.#flush());
  }

  /**
   * Resolves when the server has got it.
   *
   * @throws RpcError UNAVAILABLE, with `executed: "no"` without a connection, and `"unknown"` when it broke before the server
   * said that it has it; RESOURCE_EXHAUSTED when too much is on its way.
   */
  async publish(subject: string, payload: Uint8Array, key: string): Promise<void> {
    const { link, budget, waitMs } = this.#settings;
    if (this.#closed) throw unavailable("the broker is closed");
    const bytes = budget.take(payload);
    try {
      // Those that wait go first.
      if (link.up && this.#waiting.length === 0) this.#send(subject, payload, key);
      else if (waitMs === 0) throw unavailable("there is no connection to NATS");
      else await this.#wait(() => this.#send(subject, payload, key));
      const { breaks } = link;
      await this.#flushes.next();
      // The answer is of a connection that was made since: what was sent before may be lost.
      if (breaks !== link.breaks) throw lost();
    } finally {
      budget.give(bytes);
    }
  }

  /** The connection is back: what waits is sent. */
  onUp(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { send } of waiting) send();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const { fail } of this.#waiting) fail(unavailable("the broker was closed"));
    this.#waiting = [];
  }

  #send(subject: string, payload: Uint8Array, key: string): void {
    const counter = this.#counts.get(subject) ?? { run: nuid.next(), count: 0 };
    try {
      this.#settings.link.connection.publish(subject, payload, {
        headers: plainHeaders(counter.run, counter.count + 1, key),
      });
    } catch (error) {
      throw publishError(error);
    }
    counter.count += 1;
    this.#counts.delete(subject);
    this.#counts.set(subject, counter);
    if (this.#counts.size <= MAX_COUNTED) return;
    const [oldest] = this.#counts.keys();
    this.#counts.delete(oldest as string);
  }

  #wait(send: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({
        deadline: performance.now() + this.#settings.waitMs,
        send: () => {
          try {
            send();
            resolve();
          } catch (error) {
            reject(error);
          }
        },
        fail: reject,
      });
      this.#timer ??= setTimeout(() => this.#expire(), 100);
    });
  }

  #expire(): void {
    this.#timer = undefined;
    const now = performance.now();
    const late = this.#waiting.filter(({ deadline }) => deadline <= now);
    this.#waiting = this.#waiting.filter(({ deadline }) => deadline > now);
    for (const { fail } of late) fail(unavailable("NATS could not be reached in time"));
    if (this.#waiting.length > 0) this.#timer = setTimeout(() => this.#expire(), 100);
  }

  async #flush(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error("no answer to a flush")), FLUSH_MS);
    });
    try {
      await Promise.race([this.#settings.link.connection.flush(), timeout]);
    } catch (error) {
      throw lost(error);
    } finally {
      clearTimeout(timer);
    }
  }
}

function lost(cause?: unknown): RpcError {
  return unavailable("the connection to NATS broke before it was known to be published", "unknown", cause);
}
