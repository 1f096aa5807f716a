// What a look at a node is as text.
import { stripVTControlCharacters, styleText } from "node:util";
import type {
  GetNodeResponse,
  MethodFigures,
  Sample,
  Session,
  Topic,
  WatchResponse,
} from "../../../gen/hawser/inspect/v1/inspect_pb.js";
import {
  age,
  bytes,
  clock,
  codeText,
  count,
  percent,
  short,
  shortMethod,
  time,
} from "../../inspector/format.js";
import type { Order } from "./orders.js";

/** All that a picture is made of. */
export interface Scene {
  readonly url: string;
  readonly node: GetNodeResponse;
  /** Of the connection. */
  readonly state: string;
  readonly response: WatchResponse;
  /** The oldest first. */
  readonly samples: readonly Sample[];
  readonly order: Order;
}

/** The size of a terminal. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** Lines above and below the lists, and those that lists have beside their rows. */
const FRAME_LINES = 7;
const LIST_LINES = 2;
const LEAST_ROWS = 2;

/** A look in one line, for logs and pipes. */
export function summaryOf({ at, samples, sessions, calls, topics }: WatchResponse): string {
  const sample = samples.at(-1);
  const parts = [
    clock(at),
    `connections ${count(sessions?.total ?? 0)}`,
    `in flight ${count(calls?.inFlightTotal ?? 0)}`,
  ];
  if (sample !== undefined) {
    parts.push(
      `calls/s ${short(per(sample, sample.callsEnded))}`,
      `failed/s ${short(per(sample, sample.callsFailed))}`,
    );
    parts.push(`p99 ${time(sample.p99Ms)}`);
    parts.push(`in ${bytes(per(sample, sample.bytesIn))}/s`, `out ${bytes(per(sample, sample.bytesOut))}/s`);
    parts.push(`published/s ${short(per(sample, sample.published))}`);
    parts.push(`event loop ${percent(sample.eventLoop)}`, `memory ${bytes(sample.memoryBytes)}`);
  }
  parts.push(`topics ${count(topics?.total ?? 0)}`);
  return parts.join("  ");
}

/** A picture that fits a terminal. */
export function pictureOf(scene: Scene, { columns, rows }: Size): string {
  const { response, order } = scene;
  const { sessions, topics, methods } = response;
  const lists: readonly List[] = [
    listOf("Methods", METHODS, methods?.methods ?? [], methods?.methods.length ?? 0),
    listOf(
      `Connections by ${order.name}`,
      connectionColumns(response),
      sessions?.sessions ?? [],
      sessions?.total ?? 0,
    ),
    listOf("Topics", TOPICS, topics?.topics ?? [], topics?.total ?? 0),
  ];
  const room = share(
    lists.map(({ lines }) => lines.length),
    rows - FRAME_LINES - LIST_LINES * lists.length - 1,
  );
  const lines = [...headOf(scene, columns)];
  for (const [index, { title, head, lines: all }] of lists.entries()) {
    lines.push("", `${styleText("bold", title)}`);
    lines[lines.length - 1] += styleText("dim", head);
    lines.push(...all.slice(0, room[index]));
  }
  lines.push("", styleText("dim", "q ends, s sorts connections by something else"));
  return lines.map((line) => cut(line, columns)).join("\n");
}

function headOf({ url, node, state, response, samples }: Scene, columns: number): string[] {
  const sample = samples.at(-1);
  const { sessions, calls } = response;
  const open = state === "open" ? styleText("green", "● open") : styleText("yellow", `● ${state}`);
  const title = `${styleText("bold", "hawser")}  ${safe(url)}  ${safe(node.host)}, process ${node.process}, up ${age(node.startedAt, response.at)}  ${open}`;
  if (sample === undefined) return [title, "", styleText("dim", "waiting for the first second …"), ""];
  const failed = per(sample, sample.callsFailed);
  const figures = [
    [
      "connections",
      `${count(sessions?.total ?? 0)}${sample.detached > 0 ? ` (${count(sample.detached)} without a link)` : ""}`,
    ],
    ["in flight", count(calls?.inFlightTotal ?? 0)],
    ["calls/s", short(per(sample, sample.callsEnded))],
    ["failed/s", failed > 0 ? styleText("red", short(failed)) : "0"],
    ["p50", time(sample.p50Ms)],
    ["p99", time(sample.p99Ms)],
  ];
  const more = [
    ["in", `${bytes(per(sample, sample.bytesIn))}/s`],
    ["out", `${bytes(per(sample, sample.bytesOut))}/s`],
    ["delivered/s", short(per(sample, sample.delivered))],
    ["outboxes", bytes(sample.outboxBytes)],
    ["event loop", percent(sample.eventLoop)],
    ["processor", percent(sample.cpu)],
    ["memory", bytes(sample.memoryBytes)],
  ];
  const row = (pairs: readonly (readonly string[])[]) =>
    pairs.map(([name = "", value = ""]) => `${styleText("dim", name)} ${value}`).join("   ");
  const width = Math.max(10, columns - 24);
  const rates = samples.slice(-width).map((each) => per(each, each.callsEnded));
  const most = Math.max(...rates);
  return [
    title,
    "",
    row(figures),
    row(more),
    `${styleText("dim", "calls/s")} ${styleText("cyan", blocks(rates, most))} ${styleText("dim", `up to ${short(most)}`)}`,
  ];
}

const BLOCKS = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

function blocks(values: readonly number[], most: number): string {
  return values.map((value) => BLOCKS[most === 0 ? 0 : Math.min(7, Math.floor((value / most) * 8))]).join("");
}

/** A column of a list. */
interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  /** Numbers stand on the right; texts have this width at most. */
  readonly width?: number;
}

interface List {
  readonly title: string;
  readonly head: string;
  readonly lines: readonly string[];
}

const METHODS: readonly Column<MethodFigures>[] = [
  {
    title: "",
    width: 40,
    cell: ({ method, toClient }) => `${shortMethod(method)}${toClient ? " (to clients)" : ""}`,
  },
  { title: "calls", cell: ({ started }) => count(started) },
  { title: "per s", cell: ({ perSecond }) => short(perSecond) },
  { title: "in flight", cell: ({ inFlight }) => count(inFlight) },
  { title: "p50", cell: ({ p50Ms }) => known(p50Ms) },
  { title: "p99", cell: ({ p99Ms }) => known(p99Ms) },
  {
    title: "not OK",
    width: 40,
    cell: ({ codes }) =>
      codes
        .filter(({ code }) => code !== 0)
        .map(({ code, count: times }) => `${codeText(code)} ${count(times)}`)
        .join(", "),
  },
];

function connectionColumns({ at }: WatchResponse): readonly Column<Session>[] {
  return [
    {
      title: "",
      width: 40,
      cell: ({ id, identity, connected }) =>
        `${connected ? "●" : "○"} ${identity === "" ? id.slice(0, 8) : identity}`,
    },
    { title: "address", width: 24, cell: ({ address }) => address },
    { title: "round trip", cell: ({ roundTripMs }) => (roundTripMs === undefined ? "–" : time(roundTripMs)) },
    { title: "resumes", cell: ({ resumes }) => count(resumes) },
    { title: "calls", cell: ({ callsInFlight }) => count(callsInFlight) },
    { title: "topics", cell: ({ topics }) => count(topics) },
    {
      title: "outbox",
      cell: ({ outboxBytes, writersWait }) => `${writersWait ? "FULL " : ""}${bytes(outboxBytes)}`,
    },
    { title: "in", cell: ({ bytesIn }) => bytes(bytesIn) },
    { title: "out", cell: ({ bytesOut }) => bytes(bytesOut) },
    { title: "age", cell: ({ openedAt }) => age(openedAt, at) },
  ];
}

const TOPICS: readonly Column<Topic>[] = [
  { title: "", width: 40, cell: ({ name }) => name },
  { title: "subscribers", cell: ({ subscribers }) => count(subscribers) },
  { title: "behind", cell: ({ behind }) => count(behind) },
  { title: "per s", cell: ({ perSecond }) => short(perSecond) },
  { title: "bytes/s", cell: ({ bytesPerSecond }) => bytes(bytesPerSecond) },
  { title: "received", cell: ({ received }) => count(received) },
  { title: "kept", cell: ({ kept }) => count(kept) },
];

function listOf<Row>(
  title: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  total: number,
): List {
  const cells = rows.map((row) => columns.map(({ cell, width }) => cut(safe(cell(row)), width ?? 20)));
  const whole = `${title} (${count(total)})`;
  const widths = columns.map(({ title: name }, index) =>
    Math.max(index === 0 ? whole.length : name.length, ...cells.map((row) => row[index]?.length ?? 0)),
  );
  const align = (texts: readonly string[]) =>
    texts
      .map((text, index) => {
        const width = widths[index] ?? 0;
        return columns[index]?.width === undefined ? text.padStart(width) : text.padEnd(width);
      })
      .join("  ");
  const titles = align([whole, ...columns.slice(1).map(({ title: name }) => name)]);
  return { title: whole, head: titles.slice(whole.length), lines: cells.map(align) };
}

/** Shares lines between lists: each gets some, and what one does not need goes to the others. */
function share(wanted: readonly number[], lines: number): number[] {
  const given = wanted.map((want) => Math.min(want, LEAST_ROWS));
  let left = lines - given.reduce((sum, each) => sum + each, 0);
  while (left > 0 && given.some((each, index) => each < (wanted[index] ?? 0))) {
    for (const [index, want] of wanted.entries()) {
      if (left <= 0 || (given[index] ?? 0) >= want) continue;
      given[index] = (given[index] ?? 0) + 1;
      left--;
    }
  }
  return given;
}

/** Names come from clients: what a terminal takes for a command is not shown. */
function safe(text: string): string {
  return stripVTControlCharacters(text).replace(/\p{Cc}/gu, "·");
}

/** No longer than that, on a terminal. */
function cut(text: string, width: number): string {
  const plain = stripVTControlCharacters(text);
  return plain.length <= width ? text : `${plain.slice(0, Math.max(0, width - 1))}…`;
}

function known(ms: number): string {
  return ms === 0 ? "–" : time(ms);
}

/** Per second, whatever time a sample covers. */
function per({ spanMs }: Sample, value: number): number {
  return spanMs === 0 ? 0 : (value * 1_000) / spanMs;
}
