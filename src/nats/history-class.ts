import { nuid } from "@nats-io/transport-node";
import type { HistoryLimits, Published } from "../broker/broker.js";
import type { NatsLink } from "./connection.js";
import { storedHeaders } from "./headers.js";
import { HistoryReader } from "./history-reader.js";
import { HistoryStream } from "./history-stream.js";
import { HistoryTopic } from "./history-topic.js";
import type { JetStreamApi } from "./jetstream-api.js";
import type { BrokerSettings } from "./options.js";
import type { PublishBudget } from "./publish-budget.js";
import { PublishWindow } from "./publish-window.js";
import type { Replies } from "./replies.js";

/** What all classes of history of a broker share. */
export interface HistoryParts {
  readonly link: NatsLink;
  readonly api: JetStreamApi;
  readonly replies: Replies;
  readonly budget: PublishBudget;
  readonly settings: BrokerSettings;
}

/** All topics with the same limits of history: their stream, how they are published to, and those that are followed. */
export class HistoryClass {
  readonly stream: HistoryStream;
  readonly #parts: HistoryParts;
  readonly #reader: HistoryReader;
  readonly #window: PublishWindow;
  readonly #topics = new Set<HistoryTopic>();
  /** Ids of this run, for publications that come without one. */
  readonly #run = nuid.next();
  #count = 0;
  /** The highest sequence that was acknowledged. */
  #newest = 0;

  constructor(parts: HistoryParts, limits: HistoryLimits) {
    const { link, api, replies, budget, settings } = parts;
    this.#parts = parts;
    this.stream = new HistoryStream(api, settings.prefix, settings.replicas, limits, () => this.#onEpoch());
    this.#reader = new HistoryReader(link, api);
    this.#window = new PublishWindow({
      link,
      replies,
      budget,
      size: settings.publishWindow,
      timeoutMs: settings.publishTimeoutMs,
      duplicateMs: this.stream.duplicateMs,
      repair: () => this.stream.look(),
    });
  }

  /** Begins to hear a topic. */
  async open(
    token: string,
    conflates: boolean,
    onDetached: (topic: HistoryTopic) => void,
  ): Promise<HistoryTopic> {
    const { link, settings } = this.#parts;
    const topic: HistoryTopic = await HistoryTopic.open({
      link,
      reader: this.#reader,
      stream: this.stream,
      token,
      conflates,
      maxRingBytes: settings.maxRingBytes,
      checkMs: settings.checkMs,
      onDetached: () => onDetached(topic),
    });
    this.#topics.add(topic);
    return topic;
  }

  /** Hears a topic no longer. */
  end(topic: HistoryTopic): void {
    this.#topics.delete(topic);
    topic.close();
  }

  async publish(token: string, payload: Uint8Array, key: string, id: string | undefined): Promise<Published> {
    // The stream knows ids of all topics alike.
    const messageId = `${token}:${id === undefined ? `${this.#run}.${this.#count++}` : JSON.stringify(id)}`;
    const headers = storedHeaders(messageId, key);
    const { sequence, duplicate } = await this.#window.publish(this.stream.subject(token), payload, headers);
    // Sequences only grow. One that does not is of another stream, which somebody has made anew.
    if (this.stream.epoch === "" || (!duplicate && sequence < this.#newest)) {
      this.#newest = 0;
      await this.stream.look().catch(() => {});
    }
    this.#newest = Math.max(this.#newest, sequence);
    return { epoch: this.stream.epoch, offset: sequence };
  }

  onLink(up: boolean): void {
    this.#window.onLink(up);
    for (const topic of this.#topics) topic.onLink(up);
  }

  /** Resolves when no topic lacks anything. */
  async healed(): Promise<void> {
    await Promise.all([...this.#topics].map(({ healed }) => healed));
  }

  /** Topics whose position should be checked by now. */
  due(now: number): HistoryTopic[] {
    return [...this.#topics].filter(({ nextCheckAt }) => nextCheckAt <= now);
  }

  /** Resolves when all that was published is acknowledged, or after a time. */
  drained(timeoutMs: number): Promise<void> {
    return this.#window.drained(timeoutMs);
  }

  close(): void {
    for (const topic of [...this.#topics]) this.end(topic);
    this.#window.close();
  }

  #onEpoch(): void {
    this.#newest = 0;
    for (const topic of this.#topics) topic.heal();
  }
}
