import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type SessionListSchema,
  SessionOrder,
  type SessionQuery,
  type SessionSchema,
} from "../../gen/hawser/inspect/v1/inspect_pb.js";
import type { LinkInfo } from "../base/observer.js";
import type { InspectedServer } from "../server/inspection.js";
import type { LiveSession } from "../server/session.js";
import { matcher, pageOf, type Ranked } from "./page-of.js";
import { type SessionLog, trafficOf } from "./session-log.js";

/**
 * The sessions that a query asks for.
 *
 * @param measures whether their round-trip times are measured anew, for the next time
 */
export function listSessions(
  { sessions, settings }: InspectedServer,
  log: SessionLog,
  query: SessionQuery,
  measures: boolean,
): MessageInitShape<typeof SessionListSchema> {
  const links = log.linksBySession();
  const describe = (session: LiveSession) => {
    if (measures) session.measure();
    return sessionOf(session, links.get(session.id), log, settings);
  };
  if (query.id !== "") {
    const session = sessions.get(query.id);
    const found = session === undefined ? [] : [describe(session)];
    return { sessions: found, total: sessions.size, matching: found.length };
  }
  const matches = matcher(query.filter);
  const addressOf = ({ id }: LiveSession) => links.get(id)?.address ?? log.of(id)?.address ?? "";
  const ranked: Ranked<LiveSession>[] = [];
  let age = 0;
  for (const item of sessions) {
    // They come in the order in which they were opened.
    age++;
    if (query.filter !== "" && !matches(item.id, item.identity?.id ?? "", addressOf(item))) continue;
    ranked.push({ item, rank: rankOf(item, query.order, links.get(item.id), log, age) });
  }
  return {
    sessions: pageOf(ranked, query).map(describe),
    total: sessions.size,
    matching: ranked.length,
  };
}

function rankOf(
  session: LiveSession,
  order: SessionOrder,
  link: LinkInfo | undefined,
  log: SessionLog,
  age: number,
): number | string {
  switch (order) {
    case SessionOrder.IDENTITY:
      return session.identity?.id ?? "";
    case SessionOrder.ROUND_TRIP:
      return session.rtt ?? -1;
    case SessionOrder.RESUMES:
      return log.of(session.id)?.resumes ?? 0;
    case SessionOrder.CALLS:
      return session.callsInFlight;
    case SessionOrder.TOPICS:
      return session.topicEvents?.size ?? 0;
    case SessionOrder.OUTBOX:
      return session.bufferedBytes + session.linkBytes;
    case SessionOrder.TRAFFIC: {
      const { bytesIn, bytesOut } = trafficOf(log.of(session.id), link);
      return bytesIn + bytesOut;
    }
    default:
      return age;
  }
}

function sessionOf(
  session: LiveSession,
  link: LinkInfo | undefined,
  log: SessionLog,
  settings: InspectedServer["settings"],
): MessageInitShape<typeof SessionSchema> {
  const record = log.of(session.id);
  const { rtt } = session;
  return {
    id: session.id,
    identity: session.identity?.id ?? "",
    address: link?.address ?? record?.address ?? "",
    transport: !session.connected ? "" : (link?.transport ?? "shared"),
    connected: session.connected,
    openedAt: timestampFromMs(record?.openedAt ?? 0),
    ...(rtt === undefined ? {} : { roundTripMs: rtt }),
    resumes: record?.resumes ?? 0,
    downMs: record?.downMs ?? 0,
    callsInFlight: session.callsInFlight,
    topics: session.topicEvents?.size ?? 0,
    outboxBytes: session.bufferedBytes,
    outboxLimit: settings.session.outboxBytes,
    linkBytes: session.linkBytes,
    heldBytes: session.waitingBytes,
    heldLimit: settings.maxHeldBytes,
    writersWait: session.isFull,
    ...trafficOf(record, link),
  };
}
