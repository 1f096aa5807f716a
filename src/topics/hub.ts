import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { Broker } from "../broker/broker.js";
import { encodeMessage } from "../rpc/payload.js";
import {
  isTopic,
  type PublishedAt,
  type PublishOptions,
  type Topic,
  type TopicCall,
  type TopicHost,
  topicToken,
} from "../rpc/topic.js";
import { Channel, type ChannelOwner } from "./channel.js";
import { newCounters, type TopicCounters } from "./counters.js";
import { definitionOf, specOf, type TopicDefinition } from "./define.js";
import { Presence, type PresenceInit } from "./presence.js";
import { SessionTopics } from "./session-topics.js";
import { Subscriber } from "./subscriber.js";

/** What a {@link Hub} needs of its server. */
export interface HubInit extends PresenceInit {
  readonly broker: Broker;
  /** Calls a function at the end of this turn of the event loop, before any I/O. */
  readonly defer: (task: () => void) => void;
  /** Calls of a session that may be attached to topics. */
  readonly maxTopicsPerSession: number;
  /** Sends a message to the subscribers of an identity, or of a session, on other nodes. To how many. */
  readonly sendElsewhere: (
    topic: string,
    to: NonNullable<PublishOptions["to"]>,
    payload: Uint8Array,
  ) => Promise<number>;
  /** Largest message in bytes. */
  readonly messageBytes: number;
  /** A limit was met, by the name of its option. */
  readonly onLimit: (limit: string, identity: string | undefined) => void;
}

/** A topic without subscribers is followed for this long: those of a session that was lost come back. */
const LINGER_MS = 10_000;
/** What all channels together keep beside the broker, and what each may keep at least, in bytes. */
const RECENT_BYTES = 64 * 1024 * 1024;
const MIN_RECENT_BYTES = 16 * 1024;

/** All topics of a node: who is subscribed to what, and what is published. */
export class Hub implements TopicHost, ChannelOwner {
  readonly counters: TopicCounters = newCounters();
  readonly presence: Presence;
  readonly #init: HubInit;
  readonly #channels = new Map<string, Channel>();
  #dirty: Channel[] = [];
  #scheduled = false;
  #flushes = 0;
  #lastNumber = 0;

  constructor(init: HubInit) {
    this.#init = init;
    this.presence = new Presence(init);
  }

  /** Channels by the names of their topics. */
  get channels(): ReadonlyMap<string, Channel> {
    return this.#channels;
  }

  // ---- for calls -----------------------------------------------------------------------------------------------

  attach(call: TopicCall, topic: Topic): void {
    try {
      this.#attach(call, topic);
    } catch (error) {
      call.endTopic(RpcError.from(error, Code.Internal));
    }
  }

  #attach(call: TopicCall, topic: Topic): void {
    const { sink } = call;
    const definition = definitionOf(topic);
    const session = this.#sessionOf(call);
    const { maxTopicsPerSession } = this.#init;
    if (session.size >= maxTopicsPerSession) {
      const text = `${session.size} calls of this session get topics already (maxTopicsPerSession)`;
      throw this.#limited("maxTopicsPerSession", text, call);
    }
    const { presence } = definition;
    // The only thing here that is the user's, and may throw: before anything is changed.
    const info = presence && this.presence.infoOf(topic.name, call.session, presence);
    const channel = this.#channel(topic, definition);
    if (channel.subscribers.size >= definition.maxSubscribers) {
      const text = `${channel.subscribers.size} are subscribed to "${topic.name}" already (maxSubscribers)`;
      throw this.#limited("maxSubscribers", text, call);
    }
    sink.topicEvents = session;
    let { number } = channel;
    for (const { channel: other } of session) if (other === channel) number = ++this.#lastNumber;
    const subscriber = new Subscriber(channel, call, number);
    call.subscriber = subscriber;
    session.add(subscriber);
    channel.add(subscriber);
    if (info !== undefined) this.presence.join(topic.name, call.session, info);
    const fail = (error: unknown) => {
      if (subscriber.state !== "over") call.endTopic(RpcError.from(error, Code.Unavailable));
    };
    if (channel.opening === undefined) subscriber.start().catch(fail);
    else
      channel.opening.then(() => (subscriber.state === "over" ? undefined : subscriber.start())).catch(fail);
  }

  async publish<Desc extends DescMessage>(
    topic: Topic<Desc>,
    init: MessageInitShape<Desc>,
    options: PublishOptions = {},
  ): Promise<PublishedAt> {
    if (!isTopic(topic)) throw new TypeError("publish() needs a topic, as defineTopic() makes them");
    const definition = definitionOf(topic);
    const payload = encodeMessage(topic.schema, init, Code.InvalidArgument);
    const { messageBytes, broker } = this.#init;
    if (payload.length > messageBytes) {
      const text = `a message of ${payload.length} bytes is over the limit of ${messageBytes} (limits.messageBytes)`;
      throw new RpcError(text, Code.ResourceExhausted, { executed: "no" });
    }
    const key = definition.key?.(create(topic.schema, init)) ?? "";
    this.#channels.get(topic.name)?.check(definition);
    if (options.to !== undefined) {
      const here = this.sendTo(topic.name, options.to, payload);
      const elsewhere = await this.#init.sendElsewhere(topic.name, options.to, payload);
      return { position: "", recipients: here + elsewhere };
    }
    const { epoch, offset } = await broker.publish(specOf(topic), payload, key, options.id);
    this.counters.published++;
    return { position: epoch === "" ? "" : topicToken(epoch, offset) };
  }

  /** Sends a message to those subscribers on this node that are of an identity, or of a session. To how many. */
  sendTo(topic: string, to: NonNullable<PublishOptions["to"]>, payload: Uint8Array): number {
    const channel = this.#channels.get(topic);
    if (channel === undefined) return 0;
    const chosen = [...channel.subscribers].filter(({ call: { session } }) =>
      "session" in to ? session.id === to.session : session.identity?.id === to.identity,
    );
    for (const { call } of chosen) call.sendAside(payload);
    return chosen.length;
  }

  // ---- for channels --------------------------------------------------------------------------------------------

  now(): number {
    return this.#init.clock();
  }

  after(delayMs: number, task: () => void): () => void {
    return this.#init.after(delayMs, task);
  }

  onDirty(channel: Channel): void {
    this.#dirty.push(channel);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#init.defer(this.#flush);
  }

  onEmpty(channel: Channel): void {
    // One that could not be followed is gone already.
    if (this.#channels.get(channel.topic.name) !== channel) return;
    channel.stopLingering = this.#init.after(LINGER_MS, () => {
      channel.stopLingering = undefined;
      this.#drop(channel);
    });
  }

  onJoined(channel: Channel): void {
    channel.stopLingering?.();
    channel.stopLingering = undefined;
  }

  onLeft(channel: Channel, subscriber: Subscriber): void {
    const { sink, session: info } = subscriber.call;
    if (channel.definition.presence !== undefined) this.presence.leave(channel.topic.name, info);
    const session = sink.topicEvents;
    if (!(session instanceof SessionTopics)) return;
    session.delete(subscriber);
    if (session.size === 0) sink.topicEvents = undefined;
  }

  /** Ends all that is left; the calls end with their sessions. */
  close(): void {
    this.presence.close();
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    const dirty = this.#dirty;
    this.#dirty = [];
    if (dirty.length === 1) return dirty[0]?.flush();
    // Subscribers of several topics get all in one write.
    const corked: Subscriber[] = [];
    const flush = ++this.#flushes;
    for (const channel of dirty) {
      for (const subscriber of channel.live) {
        const session = subscriber.call.sink.topicEvents as SessionTopics;
        if (session.size < 2 || session.corked === flush) continue;
        session.corked = flush;
        subscriber.link?.cork();
        corked.push(subscriber);
      }
    }
    try {
      for (const channel of dirty) channel.flush();
    } finally {
      for (const { link } of corked) link?.uncork();
    }
  };

  #sessionOf({ sink }: TopicCall): SessionTopics {
    return sink.topicEvents instanceof SessionTopics ? sink.topicEvents : new SessionTopics();
  }

  #channel(topic: Topic, definition: TopicDefinition): Channel {
    const known = this.#channels.get(topic.name);
    if (known !== undefined) {
      known.check(definition);
      return known;
    }
    const channel = new Channel(this, topic, definition, specOf(topic), ++this.#lastNumber);
    const feed =
      definition.presenceOf === undefined
        ? this.#init.broker.follow(channel.spec, channel)
        : this.presence.follow(definition.presenceOf, channel);
    this.#channels.set(topic.name, channel);
    this.counters.channels++;
    if (!(feed instanceof Promise)) channel.opened(feed);
    else {
      channel.opening = feed.then(
        (opened) => {
          channel.opening = undefined;
          if (this.#channels.get(topic.name) === channel) channel.opened(opened);
          else opened.close();
        },
        (error: unknown) => {
          this.#drop(channel);
          throw error;
        },
      );
      // Whoever waits for it is told.
      channel.opening.catch(() => undefined);
    }
    this.#limitRecent();
    return channel;
  }

  #drop(channel: Channel): void {
    const { name } = channel.topic;
    if (this.#channels.get(name) !== channel) return;
    this.#channels.delete(name);
    this.counters.channels--;
    channel.close();
  }

  #limitRecent(): void {
    // Powers of two only, so that it is seldom.
    const { size } = this.#channels;
    if ((size & (size - 1)) !== 0) return;
    const bytes = Math.max(MIN_RECENT_BYTES, RECENT_BYTES / size);
    for (const channel of this.#channels.values()) channel.limitRecent(bytes);
  }

  #limited(limit: string, text: string, { session }: TopicCall): RpcError {
    this.#init.onLimit(limit, session.identity?.id);
    return new RpcError(text, Code.ResourceExhausted, { executed: "no" });
  }
}
