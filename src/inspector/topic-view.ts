import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type GetTopicRequest,
  type GetTopicResponseSchema,
  SubscriberState,
  type TopicListSchema,
  TopicOrder,
  type TopicQuery,
  type TopicSchema,
} from "../../gen/hawser/inspect/v1/inspect_pb.js";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { InspectedServer } from "../server/inspection.js";
import type { Channel } from "../topics/channel.js";
import type { Subscriber } from "../topics/subscriber.js";
import { matcher, pageOf, type Ranked } from "./page-of.js";

/** A node may follow a million topics: looking at all of them would hold up everything else. */
const MOST_LOOKED_AT = 50_000;
const MAX_PUBLICATIONS = 100;
const MAX_PAYLOAD_BYTES = 64 * 1024;
/** Of all publications of an answer, which must fit into a message of default size. */
const MAX_ANSWER_BYTES = 1024 * 1024;
const MAX_SUBSCRIBERS = 100;

/** What had come of each topic when it was looked at last, and when that was. */
export interface TopicLook {
  readonly at: number;
  readonly received: ReadonlyMap<Channel, { readonly count: number; readonly bytes: number }>;
}

/**
 * The topics that a query asks for.
 *
 * @param now of a clock that goes evenly, in milliseconds
 * @param last what the last look has given; `undefined` for the first
 */
export function listTopics(
  { sessions }: InspectedServer,
  query: TopicQuery,
  now: number,
  last: TopicLook | undefined,
): { readonly list: MessageInitShape<typeof TopicListSchema>; readonly look: TopicLook } {
  const { channels } = sessions.hub;
  const matches = matcher(query.filter);
  const ofSession = query.session === "" ? undefined : channelsOf(sessions.get(query.session));
  const seconds = last === undefined ? 0 : (now - last.at) / 1_000;
  const received = new Map<Channel, { count: number; bytes: number }>();
  const ratesOf = (channel: Channel): Rates => {
    const before = last?.received.get(channel);
    if (before === undefined || seconds === 0) return { perSecond: 0, bytesPerSecond: 0 };
    return {
      perSecond: (channel.received - before.count) / seconds,
      bytesPerSecond: (channel.receivedBytes - before.bytes) / seconds,
    };
  };
  const ranked: Ranked<Channel>[] = [];
  let lookedAt = 0;
  for (const item of ofSession ?? channels.values()) {
    if (lookedAt === MOST_LOOKED_AT) break;
    lookedAt++;
    if (!matches(item.topic.name)) continue;
    received.set(item, { count: item.received, bytes: item.receivedBytes });
    ranked.push({ item, rank: rankOf(item, query.order, ratesOf) });
  }
  return {
    list: {
      topics: pageOf(ranked, query).map((channel) => topicOf(channel, sessions, ratesOf(channel))),
      total: channels.size,
      matching: ranked.length,
      lookedAt,
    },
    look: { at: now, received },
  };
}

interface Rates {
  readonly perSecond: number;
  readonly bytesPerSecond: number;
}

/** The topics that a session is subscribed to, each once. */
function channelsOf(session: { readonly topicEvents: unknown } | undefined): Iterable<Channel> {
  const { topicEvents } = session ?? {};
  if (topicEvents === undefined) return [];
  return new Set([...(topicEvents as Iterable<Subscriber>)].map(({ channel }) => channel as Channel));
}

function rankOf(channel: Channel, order: TopicOrder, ratesOf: (channel: Channel) => Rates): number | string {
  switch (order) {
    case TopicOrder.NAME:
      return channel.topic.name;
    case TopicOrder.RATE:
      return ratesOf(channel).perSecond;
    case TopicOrder.KEPT:
      return channel.kept?.bytes ?? 0;
    default:
      return channel.subscribers.size;
  }
}

function topicOf(
  channel: Channel,
  sessions: InspectedServer["sessions"],
  rates: Rates,
): MessageInitShape<typeof TopicSchema> {
  const { topic, definition, spec, subscribers, live, epoch, head } = channel;
  const { history, conflates } = spec;
  // In memory, the broker answers at once and its offsets have no holes.
  const inMemory = history !== undefined && !conflates && sessions.settings.broker.bus === undefined;
  const before = inMemory ? channel.offsetBefore(history.size) : undefined;
  return {
    name: topic.name,
    subscribers: subscribers.size,
    behind: subscribers.size - live.length,
    received: channel.received,
    receivedBytes: channel.receivedBytes,
    ...rates,
    epoch,
    offset: head,
    historySize: history?.size ?? 0,
    historyTtlMs: finite(history?.ttlMs ?? 0),
    kept: typeof before === "number" ? head - before : (channel.kept?.size ?? 0),
    keptBytes: channel.kept?.bytes ?? 0,
    conflates,
    stale: channel.stale,
    presence: definition.presenceOf !== undefined,
  };
}

/** Of one topic what a list has no room for. */
export async function describeTopic(
  { sessions }: InspectedServer,
  { name, publications: count }: GetTopicRequest,
): Promise<MessageInitShape<typeof GetTopicResponseSchema>> {
  const channel = sessions.hub.channels.get(name);
  if (channel === undefined)
    throw new RpcError(`nobody here is subscribed to a topic "${name}"`, Code.NotFound);
  const wanted = Math.min(count, MAX_PUBLICATIONS);
  const shown = wanted === 0 ? [] : await newestOf(channel, wanted);
  const behindOf = ({ offset }: Subscriber) => Math.max(0, channel.head - offset);
  const ranked = [...channel.subscribers].map((item) => ({ item, rank: behindOf(item) }));
  const subscribers = pageOf(ranked, { ascending: false, offset: 0, limit: MAX_SUBSCRIBERS });
  return {
    topic: topicOf(channel, sessions, { perSecond: 0, bytesPerSecond: 0 }),
    type: channel.definition.schema.typeName,
    publications: shown.reverse(),
    subscribers: subscribers.map((subscriber) => ({
      session: subscriber.call.session.id,
      identity: subscriber.call.session.identity?.id ?? "",
      method: subscriber.call.name,
      state: STATES[subscriber.state],
      sent: subscriber.sent,
      behind: subscriber.state === "live" ? 0 : behindOf(subscriber),
    })),
  };
}

/** The newest publications, the oldest first; those that there is no room for without their payloads. */
async function newestOf(channel: Channel, count: number) {
  const shown: { offset: number; key: string; payload: Uint8Array<ArrayBuffer>; payloadBytes: number }[] = [];
  let held = 0;
  let emptied = 0;
  for await (const { offset, key, payload } of channel.newest(count)) {
    const bytes = payload.length <= MAX_PAYLOAD_BYTES ? new Uint8Array(payload) : new Uint8Array(0);
    shown.push({ offset, key, payload: bytes, payloadBytes: payload.length });
    held += bytes.length;
    // The newest have the first claim to the room.
    for (; held > MAX_ANSWER_BYTES; emptied++) {
      const oldest = shown[emptied];
      if (oldest === undefined) break;
      held -= oldest.payload.length;
      oldest.payload = new Uint8Array(0);
    }
  }
  return shown.slice(-count);
}

const STATES = {
  awaiting: SubscriberState.AWAITING,
  behind: SubscriberState.BEHIND,
  reading: SubscriberState.BEHIND,
  live: SubscriberState.LIVE,
  over: SubscriberState.UNSPECIFIED,
} as const satisfies Record<Subscriber["state"], SubscriberState>;

function finite(value: number): number {
  return Number.isFinite(value) ? value : 0;
}
