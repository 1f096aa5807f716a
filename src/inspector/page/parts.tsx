/** @jsxImportSource preact */
// Parts that several views have.
import type { ComponentChildren, JSX } from "preact";
import { useEffect } from "preact/hooks";
import { codeText, codeTone } from "../format.js";

/** A column of a {@link Table}. */
export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => ComponentChildren;
  /** Numbers stand on the right. */
  readonly number?: boolean;
  /** Left out on narrow screens. */
  readonly wide?: boolean;
  /** What the server calls the order by this column; without one, it cannot be sorted by. */
  readonly order?: number;
}

/** How a table is sorted. */
export interface Sorting {
  readonly order: number;
  readonly ascending: boolean;
}

interface TableProps<Row> {
  readonly label: string;
  readonly rows: readonly Row[];
  readonly columns: readonly Column<Row>[];
  readonly id: (row: Row) => string | number;
  /** What is said when there are no rows. */
  readonly none: string;
  readonly sorting?: Sorting;
  readonly onSort?: (sorting: Sorting) => void;
}

/** A table, whose columns may be sorted by. */
export function Table<Row>({
  label,
  rows,
  columns,
  id,
  none,
  sorting,
  onSort,
}: TableProps<Row>): JSX.Element {
  return (
    // Whoever has no mouse scrolls it with the arrows.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by the keyboard (WCAG 2.1.1)
    <section class="scroll" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {columns.map((column) => (
              <Head key={column.title} column={column} sorting={sorting} onSort={onSort} />
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={id(row)}>
              {columns.map((column) => (
                <td key={column.title} class={classOf(column)}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
          {rows.length === 0 && (
            <tr>
              <td class="none" colSpan={columns.length}>
                {none}
              </td>
            </tr>
          )}
        </tbody>
      </table>
    </section>
  );
}

function Head<Row>({
  column,
  sorting,
  onSort,
}: {
  readonly column: Column<Row>;
  readonly sorting: Sorting | undefined;
  readonly onSort: ((sorting: Sorting) => void) | undefined;
}) {
  const { order, title } = column;
  if (order === undefined || sorting === undefined)
    return (
      <th scope="col" class={classOf(column)}>
        {title}
      </th>
    );
  const isSorted = sorting.order === order;
  const direction = sorting.ascending ? "ascending" : "descending";
  return (
    <th scope="col" class={classOf(column)} aria-sort={isSorted ? direction : "none"}>
      <button
        type="button"
        class="sort"
        onClick={() => onSort?.({ order, ascending: isSorted && !sorting.ascending })}
      >
        {title}
        <span aria-hidden="true">{isSorted ? (sorting.ascending ? " ↑" : " ↓") : ""}</span>
      </button>
    </th>
  );
}

function classOf({ number, wide }: Pick<Column<never>, "number" | "wide">): string {
  return [number === true ? "number" : "", wide === true ? "wide" : ""].join(" ").trim();
}

/** A status code in its colour. */
export function CodeBadge({ code }: { readonly code: number }): JSX.Element {
  return <span class={`badge ${codeTone(code)}`}>{codeText(code)}</span>;
}

/** A session's id, as a link to it; only its beginning is shown. */
export function SessionLink({
  id,
  identity,
}: {
  readonly id: string;
  readonly identity?: string;
}): JSX.Element {
  if (id === "") return <span class="quiet">–</span>;
  return (
    <a href={`#/connections/${id}`} title={id}>
      {identity === undefined || identity === "" ? <code>{id.slice(0, 8)}</code> : identity}
    </a>
  );
}

/** How full something is. */
export function Gauge({
  value,
  limit,
  text,
}: {
  readonly value: number;
  readonly limit: number;
  readonly text: string;
}): JSX.Element {
  const part = limit > 0 && Number.isFinite(limit) ? Math.min(1, value / limit) : 0;
  return (
    <span class="gauge">
      <meter
        min={0}
        max={1}
        low={0.5}
        high={0.9}
        optimum={0}
        value={part}
        aria-label={`${Math.round(part * 100)} % of the limit`}
      />
      {text}
    </span>
  );
}

/** Names and what goes with them. */
export function Facts({
  facts,
}: {
  readonly facts: readonly (readonly [string, ComponentChildren])[];
}): JSX.Element {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A field that filters a list. */
export function Filter({
  value,
  onChange,
  hint,
}: {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly hint: string;
}): JSX.Element {
  return (
    <input
      type="search"
      class="filter"
      value={value}
      placeholder={hint}
      aria-label={hint}
      onInput={(event) => onChange(event.currentTarget.value)}
    />
  );
}

/** Goes through a long list part by part. */
export function Pager({
  offset,
  size,
  matching,
  total,
  onMove,
}: {
  readonly offset: number;
  readonly size: number;
  readonly matching: number;
  readonly total: number;
  readonly onMove: (offset: number) => void;
}): JSX.Element {
  const last = Math.min(offset + size, matching);
  const lastPart = Math.max(0, Math.ceil(matching / size) - 1) * size;
  useEffect(() => {
    // The list has become shorter than where one was in it.
    if (offset > lastPart) onMove(lastPart);
  }, [offset, lastPart, onMove]);
  const all = total === matching ? "" : ` (${total.toLocaleString("en")} in all)`;
  return (
    <nav class="pager" aria-label="Parts of the list">
      <button type="button" disabled={offset === 0} onClick={() => onMove(Math.max(0, offset - size))}>
        Previous
      </button>
      <span>
        {matching <= offset
          ? matching.toLocaleString("en")
          : `${(offset + 1).toLocaleString("en")}–${last.toLocaleString("en")} of ${matching.toLocaleString("en")}`}
        {all}
      </span>
      <button type="button" disabled={last >= matching} onClick={() => onMove(offset + size)}>
        Next
      </button>
    </nav>
  );
}
