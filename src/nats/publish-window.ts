import type { Msg, MsgHdrs } from "@nats-io/transport-node";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { NatsLink } from "./connection.js";
import { publishError, unavailable } from "./errors.js";
import { type ApiError, isTemporary, JetStreamCode } from "./jetstream-api.js";
import type { PublishBudget } from "./publish-budget.js";
import type { Replies } from "./replies.js";

/** What the stream answers to a publication. */
export interface Stored {
  /** Where it is; of the first of them, when it was stored before. */
  readonly sequence: number;
  readonly duplicate: boolean;
}

/** What a {@link PublishWindow} needs. */
export interface WindowSettings {
  readonly link: NatsLink;
  readonly replies: Replies;
  readonly budget: PublishBudget;
  /** Publications on their way at once. */
  readonly size: number;
  /** How long a publication is tried, in milliseconds. */
  readonly timeoutMs: number;
  /** How long the stream knows the id of a publication, in milliseconds: it is not tried again beyond. */
  readonly duplicateMs: number;
  /** Makes sure that the stream is there. Rejects with UNAVAILABLE when it may be later. */
  repair(): Promise<unknown>;
}

interface Entry {
  readonly number: string;
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly headers: MsgHdrs;
  readonly bytes: number;
  readonly resolve: (stored: Stored) => void;
  readonly reject: (error: RpcError) => void;
  deadline: number;
  /** Times it was sent. */
  attempt: number;
  sentAt: number;
}

/** No answer for so long is a sign of trouble. Answers come within milliseconds, but for elections. */
const ANSWER_MS = 2_000;

/** How often deadlines are looked at. */
const TICK_MS = 100;

/** Waits between attempts, growing. */
const BACKOFF_MS = [20, 50, 100, 200, 400] as const;

/**
 * Publishes to one stream, so many at once, each until it is acknowledged. Waiting for each alone would be some 15 times
 * slower, and the client does not stop anybody who publishes faster than the server takes it.
 *
 * At the first sign of trouble (no stream, no leader, no answer, a broken connection) nothing new is sent: the oldest
 * that has no answer is tried alone until it has one, and then all others follow in their order. The stream knows those that
 * it has by their ids.
 */
export class PublishWindow {
  readonly #settings: WindowSettings;
  readonly #reply: { readonly subject: string; close(): void };
  /** Sent and not answered, in the order of their first attempt. */
  readonly #sent = new Map<string, Entry>();
  #waiting: Entry[] = [];
  /** Those of `#waiting` before this have been sent. */
  #head = 0;
  #count = 0;
  /** At first it is not known whether the stream is there. */
  #trouble = true;
  #begun = false;
  /** The one that is tried alone. */
  #probe: Entry | undefined;
  #retries = 0;
  #retrying = false;
  #retryTimer: NodeJS.Timeout | undefined;
  #tickTimer: NodeJS.Timeout | undefined;
  #closed = false;
  #onIdle: (() => void) | undefined;

  constructor(settings: WindowSettings) {
    this.#settings = settings;
    this.#reply = settings.replies.register((rest, message) => this.#onReply(rest, message));
  }

  /**
   * @throws RpcError UNAVAILABLE when it was not acknowledged in time (`executed: "no"` if it was never sent),
   * RESOURCE_EXHAUSTED when too much is on its way, or it is too large.
   */
  publish(subject: string, payload: Uint8Array, headers: MsgHdrs): Promise<Stored> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw unavailable("the broker is closed");
      const bytes = this.#settings.budget.take(payload);
      this.#waiting.push({
        number: (this.#count++).toString(36),
        subject,
        payload,
        headers,
        bytes,
        resolve,
        reject,
        deadline: performance.now() + this.#settings.timeoutMs,
        attempt: 0,
        sentAt: 0,
      });
      this.#tickTimer ??= setTimeout(() => this.#tick(), TICK_MS);
      if (this.#begun) this.#pump();
      else {
        this.#begun = true;
        void this.#retry();
      }
    });
  }

  /** The connection is back, or gone. */
  onLink(up: boolean): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#probe = undefined;
    this.#trouble = true;
    this.#retries = 0;
    if (up && this.#begun) void this.#retry();
  }

  /** Resolves when nothing is on its way any more, or after a time. */
  async drained(timeoutMs: number): Promise<void> {
    if (this.#idle) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
      timer = setTimeout(resolve, timeoutMs);
    });
    clearTimeout(timer);
  }

  /** What has no answer yet fails. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#tickTimer);
    this.#reply.close();
    this.#rejectAll(({ attempt }) => unavailable("the broker was closed", attempt === 0 ? "no" : "unknown"));
  }

  get #idle(): boolean {
    return this.#sent.size === 0 && this.#head === this.#waiting.length;
  }

  #pump(): void {
    while (
      !this.#trouble &&
      this.#head < this.#waiting.length &&
      this.#sent.size < this.#settings.size &&
      this.#settings.link.up
    ) {
      this.#send(this.#nextWaiting());
    }
  }

  #nextWaiting(): Entry {
    const entry = this.#waiting[this.#head++] as Entry;
    // Cut off now and then, so that it costs little on average.
    if (this.#head > 1_024 && this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    return entry;
  }

  #send(entry: Entry): void {
    const { link, duplicateMs } = this.#settings;
    const now = performance.now();
    if (entry.attempt === 0) entry.deadline = Math.min(entry.deadline, now + duplicateMs);
    entry.attempt += 1;
    entry.sentAt = now;
    // One that was sent before keeps its place.
    this.#sent.set(entry.number, entry);
    try {
      link.connection.publish(entry.subject, entry.payload, {
        // The attempt: a refusal that belongs to an earlier one says nothing about this one.
        reply: `${this.#reply.subject}.${entry.number}.${entry.attempt}`,
        headers: entry.headers,
      });
    } catch (error) {
      const failure = publishError(error);
      if (entry.attempt === 1 || failure.code !== Code.Unavailable) this.#settle(entry, failure);
      else this.#stumble();
    }
  }

  #onReply(rest: string, message: Msg): void {
    const dot = rest.indexOf(".");
    const entry = this.#sent.get(rest.slice(0, dot));
    // A late answer to one that was given up, or another answer.
    if (entry === undefined) return;
    const isLatest = Number(rest.slice(dot + 1)) === entry.attempt;
    const answer = readAnswer(message);
    if (answer === undefined || (answer.error !== undefined && isTemporary(answer.error))) {
      if (isLatest) this.#stumble();
      return;
    }
    if (answer.error !== undefined) {
      this.#settle(entry, refused(answer.error));
    } else {
      this.#settle(entry, { sequence: answer.seq, duplicate: answer.duplicate === true });
    }
    if (this.#trouble && entry === this.#probe) this.#recover();
    else this.#pump();
  }

  #settle(entry: Entry, outcome: Stored | RpcError): void {
    this.#sent.delete(entry.number);
    this.#settings.budget.give(entry.bytes);
    if (outcome instanceof RpcError) entry.reject(outcome);
    else entry.resolve(outcome);
    if (this.#idle) this.#onIdle?.();
  }

  /** Something is wrong: hold on, and try again in a moment. */
  #stumble(): void {
    this.#trouble = true;
    this.#probe = undefined;
    if (this.#retryTimer !== undefined || this.#retrying || this.#closed) return;
    const wait = BACKOFF_MS[Math.min(this.#retries++, BACKOFF_MS.length - 1)];
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      void this.#retry();
    }, wait);
  }

  async #retry(): Promise<void> {
    if (this.#idle) {
      this.#trouble = false;
      return;
    }
    if (this.#retrying) return;
    this.#retrying = true;
    const failure = await this.#settings.repair().then(
      () => undefined,
      (error: unknown) => RpcError.from(error),
    );
    this.#retrying = false;
    // While the connection is gone, there is nothing to be done until it is back.
    if (this.#closed || !this.#settings.link.up) return;
    if (failure?.code === Code.Unavailable) {
      this.#stumble();
      return;
    }
    if (failure !== undefined) {
      this.#trouble = false;
      this.#rejectAll(() => failure);
      return;
    }
    const [oldest] = this.#sent.values();
    if (oldest === undefined) this.#recover();
    else {
      this.#probe = oldest;
      this.#send(oldest);
    }
  }

  /** All is well again: the others follow, in their order. */
  #recover(): void {
    this.#trouble = false;
    this.#probe = undefined;
    this.#retries = 0;
    for (const entry of [...this.#sent.values()]) {
      if (this.#trouble) return;
      this.#send(entry);
    }
    this.#pump();
  }

  #tick(): void {
    this.#tickTimer = undefined;
    const now = performance.now();
    const [oldest] = this.#sent.values();
    const late = this.#probe ?? oldest;
    if (late !== undefined && now - late.sentAt > ANSWER_MS && this.#settings.link.up) this.#stumble();
    for (const entry of [...this.#sent.values()]) {
      if (entry.deadline > now) continue;
      if (entry === this.#probe) this.#stumble();
      this.#settle(entry, unavailable("NATS has not acknowledged it in time", "unknown"));
    }
    // Those that wait are in the order of their deadlines.
    while (this.#head < this.#waiting.length && (this.#waiting[this.#head] as Entry).deadline <= now) {
      this.#settle(this.#nextWaiting(), unavailable("NATS could not be reached in time", "no"));
    }
    if (!this.#idle) this.#tickTimer = setTimeout(() => this.#tick(), TICK_MS);
  }

  #rejectAll(reason: (entry: Entry) => RpcError): void {
    for (const entry of [...this.#sent.values()]) this.#settle(entry, reason(entry));
    while (this.#head < this.#waiting.length) {
      const entry = this.#nextWaiting();
      this.#settle(entry, reason(entry));
    }
  }
}

type Answer =
  | { readonly error: ApiError }
  | { readonly error?: undefined; readonly seq: number; readonly duplicate?: boolean };

/** `undefined` when there is nobody who answers for the stream, or what came is no answer of a stream. */
function readAnswer(message: Msg): Answer | undefined {
  // No responders.
  if (message.data.length === 0) return undefined;
  try {
    const answer = message.json<Answer>();
    return answer.error !== undefined || answer.seq > 0 ? answer : undefined;
  } catch {
    return undefined;
  }
}

function refused(error: ApiError): RpcError {
  const tooLarge = error.err_code === JetStreamCode.MessageTooLarge;
  return new RpcError(
    `JetStream has refused it: ${error.description}`,
    tooLarge ? Code.ResourceExhausted : Code.Internal,
    { executed: "no" },
  );
}
