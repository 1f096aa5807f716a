/** @jsxImportSource preact */
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { type Session, SessionOrder, type WatchResponse } from "../../../gen/hawser/inspect/v1/inspect_pb.js";
import { age, bytes, count, time } from "../format.js";
import { callColumns } from "./calls.js";
import { EventList } from "./events.js";
import { type Column, Facts, Filter, Gauge, Pager, SessionLink, type Sorting, Table } from "./parts.js";
import { useWatch } from "./server.js";
import { topicColumns } from "./topics.js";

const PAGE = 50;

function columns(response: WatchResponse | undefined): Column<Session>[] {
  return [
    {
      title: "Connection",
      cell: ({ id, connected }) => (
        <>
          <span
            class={`dot ${connected ? "good" : "warn"}`}
            title={connected ? "has a link" : "waits for its client"}
          />
          <SessionLink id={id} />
        </>
      ),
    },
    {
      title: "Identity",
      order: SessionOrder.IDENTITY,
      cell: ({ identity }) => identity || <span class="quiet">–</span>,
    },
    { title: "Address", wide: true, cell: ({ address }) => address },
    {
      title: "Round trip",
      number: true,
      order: SessionOrder.ROUND_TRIP,
      cell: ({ roundTripMs }) => (roundTripMs === undefined ? "–" : time(roundTripMs)),
    },
    { title: "Resumes", number: true, order: SessionOrder.RESUMES, cell: ({ resumes }) => count(resumes) },
    {
      title: "Calls",
      number: true,
      order: SessionOrder.CALLS,
      cell: ({ callsInFlight }) => count(callsInFlight),
    },
    {
      title: "Topics",
      number: true,
      wide: true,
      order: SessionOrder.TOPICS,
      cell: ({ topics }) => count(topics),
    },
    {
      title: "Outbox",
      number: true,
      order: SessionOrder.OUTBOX,
      cell: ({ outboxBytes, outboxLimit, writersWait }) => (
        <>
          {writersWait && <span class="badge bad">full</span>}
          <Gauge value={outboxBytes} limit={outboxLimit} text={bytes(outboxBytes)} />
        </>
      ),
    },
    {
      title: "Traffic",
      number: true,
      wide: true,
      order: SessionOrder.TRAFFIC,
      cell: ({ bytesIn, bytesOut }) => `${bytes(bytesIn)} ↓ ${bytes(bytesOut)} ↑`,
    },
    {
      title: "Age",
      number: true,
      order: SessionOrder.UNSPECIFIED,
      cell: ({ openedAt }) => age(openedAt, response?.at),
    },
  ];
}

/** All sessions of the node. */
export function Connections(): JSX.Element {
  const [filter, setFilter] = useState("");
  const [sorting, setSorting] = useState<Sorting>({ order: SessionOrder.UNSPECIFIED, ascending: false });
  const [offset, setOffset] = useState(0);
  const response = useWatch({ sessions: { filter, ...sorting, offset, limit: PAGE } });
  const list = response?.sessions;
  const change = (what: () => void) => {
    what();
    setOffset(0);
  };
  return (
    <section class="card">
      <div class="row">
        <h1>Connections</h1>
        <Filter
          value={filter}
          onChange={(text) => change(() => setFilter(text))}
          hint="id, identity or address"
        />
      </div>
      <Table
        label="Connections"
        rows={list?.sessions ?? []}
        columns={columns(response)}
        id={({ id }) => id}
        none={filter === "" ? "Nobody is connected." : "No connection fits."}
        sorting={sorting}
        onSort={(next) => change(() => setSorting(next))}
      />
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

/** One session: what is known of it, its calls, topics and what has happened to it. */
export function Connection({ id }: { readonly id: string }): JSX.Element {
  const response = useWatch({
    sessions: { id },
    calls: { session: id },
    topics: { session: id },
    events: { session: id, last: 100 },
  });
  if (response === undefined) return <p class="quiet loading">looking …</p>;
  const session = response.sessions?.sessions[0];
  const { calls, topics } = response;
  return (
    <>
      <section class="card">
        <p>
          <a href="#/connections">← Connections</a>
        </p>
        <h1 class="long">{session?.identity || "Connection"}</h1>
        <p class="quiet long">
          <code>{id}</code>
        </p>
        {session === undefined ? (
          <p class="none">It is over.</p>
        ) : (
          <Facts facts={factsOf(session, response)} />
        )}
      </section>
      <section class="card">
        <h2>Calls in flight</h2>
        <Table
          label="Calls in flight"
          rows={calls?.inFlight ?? []}
          columns={callColumns(false)}
          id={({ number }) => number}
          none="None."
        />
      </section>
      <section class="card">
        <h2>Ended calls</h2>
        <Table
          label="Ended calls"
          rows={calls?.ended ?? []}
          columns={callColumns(true)}
          id={({ number }) => number}
          none="None that is kept."
        />
      </section>
      <section class="card">
        <h2>Topics</h2>
        <Table
          label="Topics"
          rows={topics?.topics ?? []}
          columns={topicColumns()}
          id={({ name }) => name}
          none="None."
        />
      </section>
      <section class="card">
        <h2>What happened to it</h2>
        <EventList response={response} />
      </section>
    </>
  );
}

function factsOf(session: Session, { at }: WatchResponse): [string, ComponentChildren][] {
  return [
    [
      "state",
      session.connected ? (
        <span key="state" class="badge good">
          connected
        </span>
      ) : (
        <span key="state" class="badge warn">
          waits for its client
        </span>
      ),
    ],
    ["address", session.address || "–"],
    ["transport", session.transport || "–"],
    ["age", age(session.openedAt, at)],
    ["round trip", session.roundTripMs === undefined ? "–" : time(session.roundTripMs)],
    ["resumes", count(session.resumes)],
    ["without a link", time(session.downMs)],
    ["calls in flight", count(session.callsInFlight)],
    [
      "outbox",
      <Gauge
        key="outbox"
        value={session.outboxBytes}
        limit={session.outboxLimit}
        text={`${bytes(session.outboxBytes)} of ${bytes(session.outboxLimit)}`}
      />,
    ],
    [
      "writers",
      session.writersWait ? (
        <span key="writers" class="badge bad">
          wait for the client
        </span>
      ) : (
        "go on"
      ),
    ],
    ["in the socket", bytes(session.linkBytes)],
    [
      "messages that wait",
      <Gauge
        key="held"
        value={session.heldBytes}
        limit={session.heldLimit}
        text={bytes(session.heldBytes)}
      />,
    ],
    ["received", `${bytes(session.bytesIn)} in ${count(session.packetsIn)} packets`],
    ["sent", `${bytes(session.bytesOut)} in ${count(session.packetsOut)} packets`],
  ];
}
