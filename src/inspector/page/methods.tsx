/** @jsxImportSource preact */
import type { JSX } from "preact";
import type { MethodFigures } from "../../../gen/hawser/inspect/v1/inspect_pb.js";
import { codeText, codeTone, count, short, shortMethod, time } from "../format.js";
import { type Column, Table } from "./parts.js";

const COLUMNS: readonly Column<MethodFigures>[] = [
  {
    title: "Method",
    cell: ({ method, toClient }) => (
      <a href={`#/call/${method}`} title={method}>
        {shortMethod(method)}
        {toClient ? " (to clients)" : ""}
      </a>
    ),
  },
  { title: "Calls", number: true, cell: ({ started }) => count(started) },
  { title: "per s", number: true, cell: ({ perSecond }) => short(perSecond) },
  { title: "In flight", number: true, cell: ({ inFlight }) => count(inFlight) },
  { title: "p50", number: true, cell: ({ p50Ms }) => known(p50Ms) },
  { title: "p90", number: true, wide: true, cell: ({ p90Ms }) => known(p90Ms) },
  { title: "p99", number: true, cell: ({ p99Ms }) => known(p99Ms) },
  { title: "Longest", number: true, wide: true, cell: ({ maxMs }) => known(maxMs) },
  {
    title: "Not OK",
    wide: true,
    cell: ({ codes }) =>
      codes
        .filter(({ code }) => code !== 0)
        .map(({ code, count: times }) => (
          <span key={code} class={`badge ${codeTone(code)}`}>
            {codeText(code)} {count(times)}
          </span>
        )),
  },
];

/** Of a method of which no call has ended of late, nothing is known. */
function known(ms: number): string {
  return ms === 0 ? "–" : time(ms);
}

/** Methods with their rates and durations. */
export function MethodTable({ methods }: { readonly methods: readonly MethodFigures[] }): JSX.Element {
  return (
    <Table
      label="Methods"
      rows={methods}
      columns={COLUMNS}
      id={({ method, toClient }) => `${method} ${toClient}`}
      none="No method was called so far."
    />
  );
}
