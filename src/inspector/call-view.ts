import type { DescMethod, MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type CallListSchema,
  type CallQuery,
  type CallSchema,
  type MethodFiguresSchema,
  MethodKind,
  type MethodListSchema,
  type MethodQuery,
} from "../../gen/hawser/inspect/v1/inspect_pb.js";
import type { CallLog, CallRecord, MethodRecord } from "./call-log.js";
import { matcher, pageOf, type Ranked } from "./page-of.js";

/** A moment, by the clock of the calls and by that of the world. */
export interface Moment {
  readonly clock: number;
  /** Milliseconds since the epoch. */
  readonly wallClock: number;
}

/** Kind of a method, as it travels. */
export function kindOf({ methodKind }: DescMethod): MethodKind {
  switch (methodKind) {
    case "unary":
      return MethodKind.UNARY;
    case "server_streaming":
      return MethodKind.SERVER_STREAMING;
    case "client_streaming":
      return MethodKind.CLIENT_STREAMING;
    case "bidi_streaming":
      return MethodKind.BIDI_STREAMING;
  }
}

/** The calls that a query asks for. */
export function listCalls(
  log: CallLog,
  query: CallQuery,
  now: Moment,
): MessageInitShape<typeof CallListSchema> {
  const matches = matcher(query.filter);
  const fits = ({ of, session, identity }: CallRecord) =>
    (query.session === "" || session === query.session) && matches(of.name, session, identity);
  const pick = (
    calls: Iterable<CallRecord>,
    rankOf: (call: CallRecord, place: number) => number,
  ): { readonly chosen: CallRecord[]; readonly matching: number } => {
    const ranked: Ranked<CallRecord>[] = [];
    let place = 0;
    for (const item of calls) if (fits(item)) ranked.push({ item, rank: rankOf(item, place++) });
    return {
      chosen: pageOf(ranked, { ascending: true, offset: 0, limit: query.limit }),
      matching: ranked.length,
    };
  };
  // They come with the newest first; the oldest of those in flight has taken longest.
  const inFlight = pick(log.running(), (_, place) => (query.slowest ? -place : place));
  const kept = query.failedOnly ? failed(log.ended()) : log.ended();
  const ended = pick(kept, ({ durationMs }, place) => (query.slowest ? -durationMs : place));
  return {
    inFlight: inFlight.chosen.map((call) => callOf(call, now, true)),
    ended: ended.chosen.map((call) => callOf(call, now, false)),
    inFlightTotal: log.inFlight,
    inFlightMatching: inFlight.matching,
    endedKept: log.keptCount,
    endedMatching: ended.matching,
  };
}

function* failed(calls: Iterable<CallRecord>): Generator<CallRecord> {
  for (const call of calls) if (call.code !== 0) yield call;
}

function callOf(call: CallRecord, now: Moment, inFlight: boolean): MessageInitShape<typeof CallSchema> {
  const { of, number, session, identity, startedAt, code, message, sent, received } = call;
  return {
    number,
    method: of.name,
    kind: kindOf(of.method),
    toClient: of.toClient,
    session,
    identity,
    startedAt: timestampFromMs(Math.round(now.wallClock - (now.clock - startedAt))),
    durationMs: inFlight ? now.clock - startedAt : call.durationMs,
    code,
    message,
    sent,
    received,
  };
}

/** How often each method was called when it was looked at last, and when that was. */
export interface MethodLook {
  readonly at: number;
  readonly started: ReadonlyMap<MethodRecord, number>;
}

/**
 * Figures of the methods that a query asks for.
 *
 * @param last what the last look has given; `undefined` for the first
 */
export function listMethods(
  log: CallLog,
  query: MethodQuery,
  now: Moment,
  last: MethodLook | undefined,
): { readonly list: MessageInitShape<typeof MethodListSchema>; readonly look: MethodLook } {
  const matches = matcher(query.filter);
  const ranked: Ranked<MessageInitShape<typeof MethodFiguresSchema>>[] = [];
  const started = new Map<MethodRecord, number>();
  const seconds = last === undefined ? 0 : (now.clock - last.at) / 1_000;
  for (const record of log.methods()) {
    started.set(record, record.started);
    if (!matches(record.name)) continue;
    const since = record.started - (last?.started.get(record) ?? 0);
    const [p50Ms = 0, p90Ms = 0, p99Ms = 0] = record.durations.percentiles([50, 90, 99], now.clock);
    ranked.push({
      rank: record.started,
      item: {
        method: record.name,
        kind: kindOf(record.method),
        toClient: record.toClient,
        started: record.started,
        inFlight: record.started - record.ended,
        codes: record.codes.flatMap((count, code) => (count > 0 ? [{ code, count }] : [])),
        perSecond: seconds === 0 ? 0 : since / seconds,
        p50Ms,
        p90Ms,
        p99Ms,
        maxMs: record.durations.max(now.clock),
      },
    });
  }
  const methods = pageOf(ranked, { ascending: false, offset: 0, limit: 500 });
  return { list: { methods }, look: { at: now.clock, started } };
}
