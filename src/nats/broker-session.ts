import type { BrokerHost, Feed, FeedEvents, HistoryLimits, Published, TopicSpec } from "../broker/broker.js";
import { Asks } from "./asks.js";
import { Barrier } from "./barrier.js";
import { NatsBus } from "./bus.js";
import type { NatsLink } from "./connection.js";
import { unavailable } from "./errors.js";
import { HistoryClass, type HistoryParts } from "./history-class.js";
import { historyClass } from "./history-stream.js";
import type { HistoryTopic } from "./history-topic.js";
import { JetStreamApi } from "./jetstream-api.js";
import type { BrokerSettings } from "./options.js";
import { PlainPublisher } from "./plain-publisher.js";
import { PlainTopic } from "./plain-topic.js";
import { PublishBudget } from "./publish-budget.js";
import { Replies } from "./replies.js";
import { encodeToken } from "./subject.js";

/** A broker without a connection for so long is not ready. */
const UNREADY_MS = 5_000;

/** How often it is looked for topics whose position is to be checked, and how many are checked at once. */
const CHECK_TICK_MS = 250;
const CHECKS_AT_ONCE = 32;

/** So long it is waited before the barrier is tried again while it starts. */
const RETRY_MS = 250;

/** How long it is waited, at the end, for what is on its way. */
const DRAIN_MS = 5_000;

/** A topic that is followed, or was until a moment ago. */
interface Followed {
  attach(events: FeedEvents): Feed;
  end(): void;
  linger: NodeJS.Timeout | undefined;
  isAttached: boolean;
}

/** A broker that has a connection. */
export class BrokerSession {
  readonly bus: NatsBus;
  readonly #link: NatsLink;
  readonly #host: BrokerHost;
  readonly #settings: BrokerSettings;
  readonly #replies: Replies;
  readonly #asks: Asks;
  readonly #barrier: Barrier;
  readonly #parts: HistoryParts;
  readonly #plain: PlainPublisher;
  readonly #classes = new Map<string, HistoryClass>();
  readonly #plainTopics = new Set<PlainTopic>();
  readonly #followed = new Map<string, Followed>();
  #feeds = 0;
  #ready = false;
  #unready: NodeJS.Timeout | undefined;
  #checkTimer: NodeJS.Timeout | undefined;
  #checking = 0;
  #closed = false;

  constructor(link: NatsLink, host: BrokerHost, settings: BrokerSettings) {
    this.#link = link;
    this.#host = host;
    this.#settings = settings;
    const { prefix, whenDown, publishTimeoutMs } = settings;
    const { inboxPrefix } = settings.connect;
    this.bus = new NatsBus(link.connection, host, { prefix, replicas: settings.replicas, inboxPrefix });
    const replies = new Replies(link);
    const budget = new PublishBudget(settings.maxPublishBytes);
    this.#replies = replies;
    this.#asks = new Asks(link, replies);
    this.#barrier = new Barrier({
      link,
      asks: this.#asks,
      subject: `${prefix}.f`,
      node: host.node,
      nodes: this.bus.nodes,
    });
    this.#parts = { link, replies, budget, settings, api: new JetStreamApi(link) };
    this.#plain = new PlainPublisher({ link, budget, waitMs: whenDown === "wait" ? publishTimeoutMs : 0 });
  }

  async start(): Promise<void> {
    this.#link.onChange((up) => this.#onLink(up));
    this.#checkTimer = setInterval(() => this.#check(), CHECK_TICK_MS);
    this.#checkTimer.unref();
    // Whoever waits for all nodes need not wait for that one any more.
    this.bus.watch({ onNodeGone: () => this.#asks.look() });
    await this.bus.start();
    await this.#pass();
    this.#setReady(true);
  }

  /** Waits for the barrier, also while the connection breaks and comes back. @throws when it never will */
  async #pass(): Promise<void> {
    for (;;) {
      try {
        return await this.#barrier.wait();
      } catch (error) {
        if (this.#closed || this.#link.connection.isClosed()) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  async follow(topic: TopicSpec, events: FeedEvents): Promise<Feed> {
    this.#requireLink();
    const token = encodeToken(topic.name);
    const { history } = topic;
    const key = history === undefined ? token : `${historyClass(history)} ${token}`;
    const known = this.#followed.get(key);
    if (known !== undefined) return this.#attach(known, events);
    const opened =
      history === undefined
        ? await this.#openPlain(key, token)
        : await this.#openHistory(key, token, history, topic.conflates);
    if (this.#closed) {
      opened.end();
      throw unavailable("the broker is closed");
    }
    this.#followed.set(key, opened);
    return this.#attach(opened, events);
  }

  async publish(topic: TopicSpec, payload: Uint8Array, key: string, id?: string): Promise<Published> {
    if (this.#settings.whenDown === "fail") this.#requireLink();
    const token = encodeToken(topic.name);
    const { history } = topic;
    if (history !== undefined) return this.#class(history).publish(token, payload, key, id);
    await this.#plain.publish(this.#plainSubject(token), payload, key);
    return { epoch: "", offset: 0 };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const { linger, end } of this.#followed.values()) {
      clearTimeout(linger);
      end();
    }
    this.#followed.clear();
    if (this.#link.up) await Promise.all([...this.#classes.values()].map((each) => each.drained(DRAIN_MS)));
    clearInterval(this.#checkTimer);
    clearTimeout(this.#unready);
    for (const each of this.#classes.values()) each.close();
    this.#plain.close();
    await this.bus.close();
    this.#barrier.close();
    this.#asks.close();
    this.#replies.close();
    await this.#link.close();
  }

  #attach(followed: Followed, events: FeedEvents): Feed {
    if (followed.isAttached) throw new Error("the topic is followed already");
    clearTimeout(followed.linger);
    followed.isAttached = true;
    return followed.attach(events);
  }

  /** Goes on for a while: whoever follows it again misses nothing, and needs no time. */
  #detached(key: string): void {
    const followed = this.#followed.get(key);
    if (followed === undefined) return;
    followed.isAttached = false;
    followed.linger = setTimeout(() => {
      this.#followed.delete(key);
      followed.end();
    }, this.#settings.lingerMs).unref();
  }

  async #openPlain(key: string, token: string): Promise<Followed> {
    const topic = await PlainTopic.open({
      link: this.#link,
      subject: this.#plainSubject(token),
      epoch: `${this.#host.node}.${(++this.#feeds).toString(36)}`,
      barrier: () => this.#barrier.wait(),
      onDetached: () => this.#detached(key),
    });
    this.#plainTopics.add(topic);
    const end = (): void => {
      this.#plainTopics.delete(topic);
      topic.end();
    };
    return { attach: (events) => topic.attach(events), end, linger: undefined, isAttached: false };
  }

  async #openHistory(
    key: string,
    token: string,
    limits: HistoryLimits,
    conflates: boolean,
  ): Promise<Followed> {
    const owner = this.#class(limits);
    const topic: HistoryTopic = await owner.open(token, conflates, () => this.#detached(key));
    return {
      attach: (events) => topic.attach(events),
      end: () => owner.end(topic),
      linger: undefined,
      isAttached: false,
    };
  }

  #class(limits: HistoryLimits): HistoryClass {
    const name = historyClass(limits);
    let found = this.#classes.get(name);
    if (found === undefined) {
      found = new HistoryClass(this.#parts, limits);
      this.#classes.set(name, found);
    }
    return found;
  }

  #plainSubject(token: string): string {
    return `${this.#settings.prefix}.p.${token}`;
  }

  #requireLink(): void {
    if (!this.#link.up) throw unavailable("there is no connection to NATS");
  }

  #onLink(up: boolean): void {
    clearTimeout(this.#unready);
    if (up) this.#plain.onUp();
    else this.#asks.lose();
    for (const each of this.#classes.values()) each.onLink(up);
    for (const topic of this.#plainTopics) topic.onLink(up);
    if (up) void this.#becomeReady();
    else this.#unready = setTimeout(() => this.#setReady(false), UNREADY_MS);
  }

  /** When nothing is missing any more. */
  async #becomeReady(): Promise<void> {
    const { breaks } = this.#link;
    await Promise.all([
      ...[...this.#classes.values()].map((each) => each.healed()),
      ...[...this.#plainTopics].map(({ healed }) => healed),
    ]);
    if (breaks === this.#link.breaks && this.#link.up) this.#setReady(true);
  }

  #setReady(ready: boolean): void {
    if (ready === this.#ready || this.#closed) return;
    this.#ready = ready;
    this.#host.onReady(ready);
  }

  /** A few at a time, and each at a time of its own. */
  #check(): void {
    if (!this.#link.up) return;
    const now = performance.now();
    for (const each of this.#classes.values()) {
      for (const topic of each.due(now)) {
        if (this.#checking >= CHECKS_AT_ONCE) return;
        this.#checking += 1;
        void topic.check().finally(() => {
          this.#checking -= 1;
        });
      }
    }
  }
}
