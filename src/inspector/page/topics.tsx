/** @jsxImportSource preact */

import { fromBinary, type Registry, toJsonString } from "@bufbuild/protobuf";
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import {
  type GetTopicResponse,
  type Publication,
  type Subscriber,
  SubscriberState,
  type Topic,
  TopicOrder,
} from "../../../gen/hawser/inspect/v1/inspect_pb.js";
import { bytes, count, short, time } from "../format.js";
import { type Column, Facts, Filter, Pager, SessionLink, type Sorting, Table } from "./parts.js";
import { loadSchema } from "./schema.js";
import { inspect, paused, useWatch } from "./server.js";

const PAGE = 50;
const LOOK_EVERY_MS = 1_000;

/** Names of topics that tell who is subscribed to another one begin with a character that is not to be seen. */
const nameOf = (name: string): string => name.replace("\u0000", "");

/** Columns for topics. */
export function topicColumns(): Column<Topic>[] {
  return [
    {
      title: "Topic",
      order: TopicOrder.NAME,
      cell: ({ name, stale }) => (
        <>
          <a class="long" href={`#/topics/${encodeURIComponent(name)}`}>
            {nameOf(name)}
          </a>{" "}
          {stale && <span class="badge bad">other nodes not heard</span>}
        </>
      ),
    },
    {
      title: "Subscribers",
      number: true,
      order: TopicOrder.UNSPECIFIED,
      cell: ({ subscribers }) => count(subscribers),
    },
    {
      title: "Behind",
      number: true,
      cell: ({ behind }) => (behind > 0 ? <span class="badge warn">{count(behind)}</span> : "0"),
    },
    { title: "per s", number: true, order: TopicOrder.RATE, cell: ({ perSecond }) => short(perSecond) },
    { title: "Bytes per s", number: true, wide: true, cell: ({ bytesPerSecond }) => bytes(bytesPerSecond) },
    { title: "Received", number: true, wide: true, cell: ({ received }) => count(received) },
    { title: "History", number: true, cell: (topic) => historyOf(topic) },
  ];
}

function historyOf({ historySize, historyTtlMs, kept, conflates, presence }: Topic): string {
  if (presence) return "members";
  const limits =
    historySize === 0
      ? ""
      : ` of ${count(historySize)}, ${historyTtlMs === 0 ? "no end" : time(historyTtlMs)}`;
  return `${count(kept)}${limits}${conflates ? ", by key" : ""}`;
}

/** All topics that the node follows. */
export function Topics(): JSX.Element {
  const [filter, setFilter] = useState("");
  const [sorting, setSorting] = useState<Sorting>({ order: TopicOrder.UNSPECIFIED, ascending: false });
  const [offset, setOffset] = useState(0);
  const list = useWatch({ topics: { filter, ...sorting, offset, limit: PAGE } })?.topics;
  return (
    <section class="card">
      <div class="row">
        <h1>Topics</h1>
        <Filter
          value={filter}
          onChange={(text) => {
            setFilter(text);
            setOffset(0);
          }}
          hint="name"
        />
      </div>
      <Table
        label="Topics"
        rows={list?.topics ?? []}
        columns={topicColumns()}
        id={({ name }) => name}
        none={filter === "" ? "Nobody is subscribed to anything." : "No topic fits."}
        sorting={sorting}
        onSort={(next) => {
          setSorting(next);
          setOffset(0);
        }}
      />
      {list !== undefined && list.lookedAt < list.total && (
        <p class="quiet">
          Of {count(list.total)} topics the first {count(list.lookedAt)} were looked at.
        </p>
      )}
      <Pager
        offset={offset}
        size={PAGE}
        matching={list?.matching ?? 0}
        total={list?.total ?? 0}
        onMove={setOffset}
      />
    </section>
  );
}

const STATES: Readonly<Record<SubscriberState, string>> = {
  [SubscriberState.UNSPECIFIED]: "over",
  [SubscriberState.AWAITING]: "awaited",
  [SubscriberState.BEHIND]: "catches up",
  [SubscriberState.LIVE]: "live",
};

const SUBSCRIBERS: readonly Column<Subscriber>[] = [
  { title: "Connection", cell: ({ session, identity }) => <SessionLink id={session} identity={identity} /> },
  { title: "Method", wide: true, cell: ({ method }) => method },
  {
    title: "State",
    cell: ({ state }) => (
      <span class={`badge ${state === SubscriberState.LIVE ? "good" : "warn"}`}>{STATES[state]}</span>
    ),
  },
  { title: "Behind by", number: true, cell: ({ behind }) => count(behind) },
  { title: "Got", number: true, cell: ({ sent }) => count(sent) },
];

/** One topic: its figures, subscribers and newest publications. */
export function TopicView({ name }: { readonly name: string }): JSX.Element {
  const [found, setFound] = useState<GetTopicResponse | string>();
  const [registry, setRegistry] = useState<Registry>();
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let over = false;
    const look = async () => {
      try {
        if (!paused.value)
          setFound(await inspect().getTopic({ name, publications: 20 }, { timeoutMs: 5_000 }));
      } catch (error) {
        setFound(error instanceof Error ? error.message : String(error));
      }
      if (!over) timer = setTimeout(() => void look(), LOOK_EVERY_MS);
    };
    void look();
    loadSchema().then(setRegistry, () => undefined);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [name]);
  const publications: readonly Column<Publication>[] = [
    { title: "Offset", number: true, cell: ({ offset }) => count(offset) },
    { title: "Key", wide: true, cell: ({ key }) => key },
    { title: "Size", number: true, wide: true, cell: ({ payloadBytes }) => bytes(payloadBytes) },
    {
      title: "Message",
      cell: (publication) => (
        <code class="json">
          {typeof found === "object" ? decoded(publication, found.type, registry) : ""}
        </code>
      ),
    },
  ];
  const topic = typeof found === "object" ? found.topic : undefined;
  return (
    <>
      <section class="card">
        <p>
          <a href="#/topics">← Topics</a>
        </p>
        <h1 class="long">{nameOf(name)}</h1>
        {typeof found === "string" && <p class="none">{found}</p>}
        {topic !== undefined && typeof found === "object" && (
          <Facts
            facts={[
              ["messages", <code key="type">{found.type}</code>],
              ["subscribers", count(topic.subscribers)],
              ["behind", count(topic.behind)],
              ["received", `${count(topic.received)}, ${bytes(topic.receivedBytes)}`],
              [
                "position",
                <code key="at">{topic.epoch === "" ? "–" : `${topic.epoch}:${topic.offset}`}</code>,
              ],
              ["history", historyOf(topic)],
              ["slow subscribers", topic.conflates ? "get the newest of each key" : "catch up"],
            ]}
          />
        )}
      </section>
      {typeof found === "object" && (
        <>
          <section class="card">
            <h2>Newest publications</h2>
            <Table
              label="Newest publications"
              rows={found.publications}
              columns={publications}
              id={({ offset }) => offset}
              none="None that is kept."
            />
          </section>
          <section class="card">
            <h2>Subscribers</h2>
            <Table
              label="Subscribers"
              rows={found.subscribers}
              columns={SUBSCRIBERS}
              id={({ session, method }) => `${session} ${method}`}
              none="None."
            />
          </section>
        </>
      )}
    </>
  );
}

function decoded(
  { payload, payloadBytes }: Publication,
  type: string,
  registry: Registry | undefined,
): string {
  const schema = registry?.getMessage(type);
  if (payload.length === 0 && payloadBytes > 0) return "too large to be shown";
  if (schema === undefined) return "the schema of the served services does not have this type";
  try {
    return toJsonString(schema, fromBinary(schema, payload), registry === undefined ? {} : { registry });
  } catch (error) {
    return String(error);
  }
}
