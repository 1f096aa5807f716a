import type { Clock } from "../base/clock.js";
import type { LimitEvent, LinkInfo, Refused, SessionEvent, Traffic } from "../base/observer.js";

/** What is kept of a session beside what the server knows of it. */
export interface SessionRecord {
  /** Milliseconds since the epoch. */
  readonly openedAt: number;
  resumes: number;
  /** Without a link, in milliseconds, over all resumes. */
  downMs: number;
  /** Of the last link that is gone. */
  address: string;
  /** Of all links that are gone. */
  readonly traffic: { -readonly [Name in keyof Traffic]: Traffic[Name] };
}

/** Something that happened. */
export interface EventRecord {
  readonly number: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly what: string;
  readonly session: string;
  readonly identity: string;
  readonly address: string;
  readonly reason: string;
  readonly downMs: number;
}

/** Counts of what happened to sessions and links since the log began. */
export interface SessionTotals {
  opened: number;
  resumed: number;
  ended: number;
  refused: number;
  limited: number;
}

const EVENTS_KEPT = 500;
/** Of what was turned away, which strangers bring about as often as they like: it must not push out the others. */
const TURNED_AWAY_KEPT = 100;

/** Links and sessions of a node, and what has happened to them of late. */
export class SessionLog {
  readonly totals: SessionTotals = { opened: 0, resumed: 0, ended: 0, refused: 0, limited: 0 };
  readonly links: Set<LinkInfo> = new Set();
  detached = 0;
  readonly #wallClock: Clock;
  readonly #sessions = new Map<string, SessionRecord>();
  readonly #gone = newTraffic();
  #events: EventRecord[] = [];
  #turnedAway: EventRecord[] = [];
  #number = 0;

  /** @param wallClock milliseconds since the epoch */
  constructor(wallClock: Clock) {
    this.#wallClock = wallClock;
  }

  linkOpened(link: LinkInfo): void {
    this.links.add(link);
  }

  linkClosed(link: LinkInfo): void {
    this.links.delete(link);
    addTraffic(this.#gone, link.traffic);
    const session = link.sessionId === undefined ? undefined : this.#sessions.get(link.sessionId);
    if (session === undefined) return;
    addTraffic(session.traffic, link.traffic);
    session.address = link.address ?? "";
  }

  session(event: SessionEvent): void {
    const { sessionId, what, downMs = 0, hadLink } = event;
    const record = this.#sessions.get(sessionId);
    if (what === "opened") {
      this.totals.opened++;
      const openedAt = this.#wallClock();
      this.#sessions.set(sessionId, { openedAt, resumes: 0, downMs: 0, address: "", traffic: newTraffic() });
    } else if (what === "detached") this.detached++;
    else if (what === "resumed") {
      this.totals.resumed++;
      if (hadLink !== true) this.detached--;
      if (record !== undefined) {
        record.resumes++;
        record.downMs += downMs;
      }
    } else if (what === "ended") {
      this.totals.ended++;
      if (hadLink !== true) this.detached--;
      this.#sessions.delete(sessionId);
    }
    this.#add({
      what,
      session: sessionId,
      identity: event.identity ?? "",
      reason: event.reason ?? "",
      address: record?.address ?? "",
      downMs,
    });
  }

  refused({ address = "", status, reason }: Refused): void {
    this.totals.refused++;
    this.#add({
      what: "refused",
      session: "",
      identity: "",
      address,
      reason: `${status} ${reason}`,
      downMs: 0,
    });
  }

  limited({ limit, identity = "", address = "" }: LimitEvent): void {
    this.totals.limited++;
    const last = this.#turnedAway.at(-1);
    // Whoever meets a limit meets it a thousand times, and would push out the others.
    if (last?.what === "limited" && last.reason === limit && last.identity === identity) return;
    this.#add({ what: "limited", session: "", identity, address, reason: limit, downMs: 0 });
  }

  /** What is kept of a session. */
  of(sessionId: string): SessionRecord | undefined {
    return this.#sessions.get(sessionId);
  }

  /** Links by the sessions that they serve. */
  linksBySession(): Map<string, LinkInfo> {
    const found = new Map<string, LinkInfo>();
    for (const link of this.links) if (link.sessionId !== undefined) found.set(link.sessionId, link);
    return found;
  }

  /** Over all links, those that are gone too. */
  traffic(): Traffic {
    const sum = newTraffic();
    addTraffic(sum, this.#gone);
    for (const { traffic } of this.links) addTraffic(sum, traffic);
    return sum;
  }

  /** Events behind this number that are kept, the oldest first. */
  events(after: number): EventRecord[] {
    return [...this.#events, ...this.#turnedAway]
      .filter(({ number }) => number > after)
      .sort((a, b) => a.number - b.number);
  }

  /**
   * The number behind which the newest events are: so many of those of sessions, and what was turned away in that time. By
   * numbers alone, an attack would be all that somebody sees who comes while it goes on.
   */
  before(count: number): number {
    if (count === 0) return this.#number;
    const first = this.#events.at(-Math.min(count, this.#events.length));
    return Math.min(this.#number - count, first === undefined ? this.#number : first.number - 1);
  }

  /** Number of the newest event. */
  get lastEvent(): number {
    return this.#number;
  }

  #add(event: Omit<EventRecord, "number" | "at">): void {
    const record = { number: ++this.#number, at: this.#wallClock(), ...event };
    if (event.what === "refused" || event.what === "limited")
      this.#turnedAway = withNewest(this.#turnedAway, record, TURNED_AWAY_KEPT);
    else this.#events = withNewest(this.#events, record, EVENTS_KEPT);
  }
}

/** The records with one more; the older ones go once they are twice as many as are kept. */
function withNewest(records: EventRecord[], record: EventRecord, kept: number): EventRecord[] {
  records.push(record);
  return records.length >= 2 * kept ? records.slice(-kept) : records;
}

/** The sum of what went over a session's links. */
export function trafficOf(record: SessionRecord | undefined, link: LinkInfo | undefined): Traffic {
  const sum = newTraffic();
  if (record !== undefined) addTraffic(sum, record.traffic);
  if (link !== undefined) addTraffic(sum, link.traffic);
  return sum;
}

function newTraffic(): SessionRecord["traffic"] {
  return { bytesIn: 0, bytesOut: 0, packetsIn: 0, packetsOut: 0 };
}

function addTraffic(
  sum: SessionRecord["traffic"],
  { bytesIn, bytesOut, packetsIn, packetsOut }: Traffic,
): void {
  sum.bytesIn += bytesIn;
  sum.bytesOut += bytesOut;
  sum.packetsIn += packetsIn;
  sum.packetsOut += packetsOut;
}
