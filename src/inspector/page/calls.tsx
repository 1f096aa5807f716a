/** @jsxImportSource preact */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { type Call, MethodKind } from "../../../gen/hawser/inspect/v1/inspect_pb.js";
import { clock, codeText, count, shortMethod, time } from "../format.js";
import { CodeBadge, type Column, Facts, Filter, SessionLink, Table } from "./parts.js";
import { useWatch } from "./server.js";

const KINDS: Readonly<Record<MethodKind, string>> = {
  [MethodKind.UNSPECIFIED]: "",
  [MethodKind.UNARY]: "unary",
  [MethodKind.SERVER_STREAMING]: "server stream",
  [MethodKind.CLIENT_STREAMING]: "client stream",
  [MethodKind.BIDI_STREAMING]: "both stream",
};

/** Columns for calls. @param onSelect makes methods buttons that show a call */
export function callColumns(ended: boolean, onSelect?: (call: Call) => void): Column<Call>[] {
  return [
    {
      title: "Method",
      cell: (call) =>
        onSelect === undefined ? (
          <span title={call.method}>{shortMethod(call.method)}</span>
        ) : (
          <button type="button" class="plain" title={call.method} onClick={() => onSelect(call)}>
            {shortMethod(call.method)}
          </button>
        ),
    },
    {
      title: "Kind",
      wide: true,
      cell: ({ kind, toClient }) => `${KINDS[kind]}${toClient ? ", to the client" : ""}`,
    },
    ...(ended ? [{ title: "Status", cell: ({ code }: Call) => <CodeBadge code={code} /> }] : []),
    { title: ended ? "Duration" : "So far", number: true, cell: ({ durationMs }) => time(durationMs) },
    {
      title: "Connection",
      cell: ({ session, identity }) => <SessionLink id={session} identity={identity} />,
    },
    { title: "Began", number: true, wide: true, cell: ({ startedAt }) => clock(startedAt) },
    ...(ended
      ? [
          {
            title: "Messages",
            number: true,
            wide: true,
            cell: ({ sent, received }: Call) => `${count(received)} ↓ ${count(sent)} ↑`,
          },
        ]
      : []),
  ];
}

/** Calls in flight and those that have ended. */
export function Calls(): JSX.Element {
  const [filter, setFilter] = useState("");
  const [failedOnly, setFailedOnly] = useState(false);
  const [slowest, setSlowest] = useState(false);
  const [selected, setSelected] = useState<Call>();
  const list = useWatch({ calls: { filter, failedOnly, slowest, limit: 50 } })?.calls;
  return (
    <>
      <section class="card">
        <div class="row">
          <h1>Calls</h1>
          <div class="controls">
            <label>
              <input
                type="checkbox"
                checked={failedOnly}
                onChange={(event) => setFailedOnly(event.currentTarget.checked)}
              />{" "}
              not OK only
            </label>
            <label>
              <input
                type="checkbox"
                checked={slowest}
                onChange={(event) => setSlowest(event.currentTarget.checked)}
              />{" "}
              slowest first
            </label>
            <Filter value={filter} onChange={setFilter} hint="method, connection or identity" />
          </div>
        </div>
        {selected !== undefined && <Selected call={selected} onClose={() => setSelected(undefined)} />}
        <h2>
          In flight <span class="quiet">{shown(list?.inFlight.length, list?.inFlightMatching)}</span>
        </h2>
        <Table
          label="Calls in flight"
          rows={list?.inFlight ?? []}
          columns={callColumns(false, setSelected)}
          id={({ number }) => number}
          none="No call is in flight."
        />
      </section>
      <section class="card">
        <h2>
          Ended{" "}
          <span class="quiet">
            {shown(list?.ended.length, list?.endedMatching)}, of {count(list?.endedKept ?? 0)} that are kept
          </span>
        </h2>
        <Table
          label="Ended calls"
          rows={list?.ended ?? []}
          columns={callColumns(true, setSelected)}
          id={({ number }) => number}
          none="No call that has ended fits."
        />
      </section>
    </>
  );
}

function shown(rows = 0, matching = 0): string {
  return rows === matching ? count(matching) : `${count(rows)} of ${count(matching)}`;
}

function Selected({ call, onClose }: { readonly call: Call; readonly onClose: () => void }) {
  const ended = call.code !== 0 || call.sent > 0 || call.received > 0;
  return (
    <div class="selected" role="status">
      <div class="row">
        <h2 class="long">{call.method}</h2>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
      <Facts
        facts={[
          ["call", `${count(call.number)}, ${KINDS[call.kind]}`],
          ["connection", <SessionLink key="session" id={call.session} identity={call.identity} />],
          ["began", clock(call.startedAt)],
          ["duration", time(call.durationMs)],
          ["status", ended ? codeText(call.code) : "in flight"],
          ["messages", `${count(call.received)} received, ${count(call.sent)} sent`],
        ]}
      />
      {call.message !== "" && <p class="message">{call.message}</p>}
      <p>
        <a href={`#/call/${call.method}`}>Call this method</a>
      </p>
    </div>
  );
}
