import { CloseCode } from "../base/close.js";
import type { BroadcastLink } from "../driver/link.js";
import type { TimerItem } from "../driver/timers.js";
import type { Peer } from "../rpc/peer.js";
import { authenticate, refusalOf, type UpgradeInfo } from "./authentication.js";
import type { LiveSession } from "./session.js";
import type { SessionOwner } from "./session-owner.js";

const NEVER = Number.POSITIVE_INFINITY;
const MAX_UINT32 = 0xffff_ffff;

/** A client that was asked to go has this long to hear of it. */
const ROTATION_MS = 5_000;
/** Whether it has heard is looked at this often. */
const POLL_MS = 20;
/** Links of one age are not replaced at one time: give or take this part of it, as gRPC does with `MAX_CONNECTION_AGE`. */
const AGE_JITTER = 0.1;

/** What is to happen to a link at some time. */
type LinkEvent =
  /** Fresh credentials are asked for. */
  | "refresh"
  /** The credentials at hand are no longer good. */
  | "expire"
  /** The link is old enough to be replaced. */
  | "rotate"
  /** Whether the client has heard that it is to go. */
  | "look"
  /** Whether there was a call of late. */
  | "idle";

/**
 * All that is planned for a session's link, as one item of the timers: fresh credentials before the present ones expire, its
 * replacement at some age, its end for want of calls. Servers have many sessions, so there is one only where anything is
 * planned; see {@link isPlanned}.
 */
export class LinkPlan implements TimerItem {
  dueAt: number = NEVER;
  heapIndex = -1;
  readonly #owner: SessionOwner;
  readonly #session: LiveSession;
  readonly #peer: Peer;
  /** When each is to happen; never, as long as it is not there. */
  #times: { -readonly [Event in LinkEvent]?: number } = {};
  /** The request that the link came from, packed, where it may be asked for again. */
  #info: string | undefined;
  /** The link whose fresh credentials are being looked at. */
  #refreshing: BroadcastLink | undefined;
  /** What the link has to be rid of: since when it is asked to go, and why. */
  #rotation: { readonly reason: string; readonly giveUpAt: number } | undefined;
  /** How many calls there had been when the link was looked at. */
  #callsSeen = 0;

  constructor(owner: SessionOwner, session: LiveSession, peer: Peer) {
    this.#owner = owner;
    this.#session = session;
    this.#peer = peer;
  }

  /** Plans for a link that the session has just got. */
  begin(info: UpgradeInfo): void {
    const { settings, random } = this.#owner;
    if (this.#peer.identity?.expiresAt !== undefined) this.#info = JSON.stringify(info);
    this.#planExpiry();
    const { maxConnectionAgeMs, idleTimeoutMs } = settings;
    if (maxConnectionAgeMs !== NEVER)
      this.#in(maxConnectionAgeMs * (1 + AGE_JITTER * (2 * random() - 1)), "rotate");
    if (idleTimeoutMs === NEVER) return;
    this.#callsSeen = this.#peer.calls.opened;
    this.#in(idleTimeoutMs, "idle");
  }

  /** Replaces the link: the client is asked to go, and its session goes on over the link that it comes back with. */
  rotate(reason: string): void {
    this.#session.goAway(reason, 0);
    this.#rotation = { reason, giveUpAt: this.#owner.timers.clock() + ROTATION_MS };
    this.#in(POLL_MS, "look");
  }

  /** Fresh credentials came, asked for or not. */
  refreshed(credentials: string): void {
    const session = this.#session;
    const { link } = session;
    const info = this.#info;
    const { settings, wallClock } = this.#owner;
    // One at a time: whoever sends many has the first one looked at.
    if (link === undefined || this.#refreshing === link) return;
    if (info === undefined || settings.authenticate === undefined) return;
    this.#refreshing = link;
    const done = () => {
      if (this.#refreshing === link) this.#refreshing = undefined;
    };
    authenticate(settings, wallClock(), JSON.parse(info) as UpgradeInfo, credentials, "refresh").then(
      (identity) => {
        done();
        if (session.link !== link) return;
        if (identity?.id !== this.#peer.identity?.id) {
          const reason = "the fresh credentials are those of somebody else";
          session.onCut(CloseCode.permissionDenied, reason, false);
          return;
        }
        this.#peer.identity = identity;
        this.#planExpiry();
      },
      (error: unknown) => {
        done();
        const { closeCode, reason } = refusalOf(error, settings);
        // What cannot be found out now may be later: the credentials at hand are good until they expire.
        if (closeCode === CloseCode.tryLater || session.link !== link) return;
        session.onCut(closeCode, reason, false);
      },
    );
  }

  /** Calls everything off: the link is gone, or another one takes its place. */
  clear(): void {
    this.#times = {};
    this.#rotation = undefined;
    this.#info = undefined;
    this.#owner.timers.delete(this);
  }

  expire(now: number): void {
    for (const [event, at] of Object.entries(this.#times) as [LinkEvent, number][]) {
      if (at > now || this.#times[event] !== at) continue;
      delete this.#times[event];
      this.#happen(event);
    }
    const next = Math.min(...Object.values(this.#times));
    if (next !== NEVER) this.#owner.timers.atLatest(this, next);
  }

  /** Plans an event for a time from now, in milliseconds, instead of the time it had. */
  #in(delayMs: number, event: LinkEvent): void {
    const { timers } = this.#owner;
    const at = timers.clock() + delayMs;
    this.#times[event] = at;
    timers.atLatest(this, at);
  }

  /** Asks for fresh credentials ahead of the time at which the present ones are no longer good. */
  #planExpiry(): void {
    const expiresAt = this.#peer.identity?.expiresAt;
    if (expiresAt === undefined) {
      delete this.#times.refresh;
      delete this.#times.expire;
      return;
    }
    const leftMs = this.#leftMs(expiresAt);
    // Credentials that are good for less than twice that time are asked for at half of it.
    this.#in(Math.max(leftMs / 2, leftMs - this.#owner.settings.refreshBeforeMs), "refresh");
    this.#in(leftMs, "expire");
  }

  #leftMs(expiresAt: number): number {
    return Math.max(0, expiresAt - this.#owner.wallClock());
  }

  #happen(event: LinkEvent): void {
    const session = this.#session;
    const { settings, timers } = this.#owner;
    const { calls, identity } = this.#peer;
    const { expiresAt = NEVER } = identity ?? {};
    switch (event) {
      case "refresh": {
        const withinMs = Math.min(Math.ceil(this.#leftMs(expiresAt)), MAX_UINT32);
        return this.#peer.session.refresh("", Math.max(1, withinMs));
      }
      case "expire":
        // The machine's clock may have been set meanwhile.
        if (this.#leftMs(expiresAt) > 0) this.#planExpiry();
        else session.onCut(CloseCode.unauthenticated, "the credentials have expired", false);
        return;
      case "rotate":
        return this.rotate("the connection is old enough to be replaced");
      case "look": {
        const rotation = this.#rotation;
        if (rotation === undefined) return;
        if (this.#peer.session.goAwayHeard || timers.clock() >= rotation.giveUpAt)
          session.onCut(CloseCode.goingAway, rotation.reason, false);
        else this.#in(POLL_MS, "look");
        return;
      }
      case "idle": {
        const isIdle = calls.size === 0 && calls.opened === this.#callsSeen;
        this.#callsSeen = calls.opened;
        if (isIdle) session.onCut(CloseCode.idle, `no call for ${settings.idleTimeoutMs} ms`, false);
        else this.#in(settings.idleTimeoutMs, "idle");
      }
    }
  }
}

/** Whether anything is planned for each link of somebody with this identity. */
export function isPlanned({ settings }: SessionOwner, identity: Peer["identity"]): boolean {
  const { maxConnectionAgeMs, idleTimeoutMs } = settings;
  return identity?.expiresAt !== undefined || maxConnectionAgeMs !== NEVER || idleTimeoutMs !== NEVER;
}
