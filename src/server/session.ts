import { CloseCode } from "../base/close.js";
import { Code } from "../base/code.js";
import { hex } from "../base/hex.js";
import type { LinkKind } from "../base/observer.js";
import { Driver } from "../driver/driver.js";
import type { BroadcastLink, Link } from "../driver/link.js";
import type { TimerItem } from "../driver/timers.js";
import type { EndRefusal } from "../rpc/call-table.js";
import type { Calls } from "../rpc/calls.js";
import type { Identity } from "../rpc/context.js";
import { Peer, type PeerEvents } from "../rpc/peer.js";
import type { TopicSink, TopicSinkEvents } from "../rpc/topic.js";
import type { Transport } from "../rpc/transport.js";
import type { HelloFrame, RefreshFrame } from "../wire/frame.js";
import type { UpgradeInfo } from "./authentication.js";
import type { EndedBy } from "./events.js";
import { isPlanned, LinkPlan } from "./link-plan.js";
import type { SessionOwner } from "./session-owner.js";

/** A session of a client, as the server's owner sees it. */
export interface ServerSession {
  /** 128 random bits in hexadecimal. */
  readonly id: string;
  readonly identity: Identity | undefined;
  /** Whether there is a link now. */
  readonly connected: boolean;
  /** What carries the link; `undefined` without one. */
  readonly linkKind: LinkKind | undefined;
  /** Round-trip time in milliseconds; `undefined` before the first ping. */
  readonly rtt: number | undefined;
  /** Calls of both directions that have no outcome yet. */
  readonly callsInFlight: number;
  /** Bytes kept for resending; at most `outboxBytes` and one packet. */
  readonly bufferedBytes: number;
  /** Calls services that the client serves: `createClient(Service, session.peer)`. */
  readonly peer: Transport;
  /** Ends the session: its calls fail, and the link is closed with this code and reason. Default 1008. */
  close(code?: number, reason?: string): void;
}

/** What a link says of itself to the session that it serves, which may be on another node. */
export interface LinkSession {
  /** A binary message. */
  receive(link: BroadcastLink, bytes: Uint8Array): void;
  /** A text message. */
  text(link: BroadcastLink): void;
  /** The link has room again. */
  drained(link: BroadcastLink): void;
  /** The link is gone. */
  linkClosed(link: BroadcastLink, code: number, reason: string): void;
}

/** What a session costs in memory beside what it keeps, about (Node 24, measured). */
const SESSION_BYTES = 6 * 1024;

/** One session on the server: a peer, its driver, and the link it has at the moment. */
export class LiveSession implements ServerSession, LinkSession, TimerItem, PeerEvents, TopicSink {
  dueAt: number = Number.POSITIVE_INFINITY;
  heapIndex = -1;
  readonly id: string;
  /** The link, for publications. */
  link: BroadcastLink | undefined;
  topicEvents: TopicSinkEvents | undefined;
  readonly #peer: Peer;
  readonly #driver: Driver;
  readonly #owner: SessionOwner;
  #ended = false;
  /** What is planned for the link, if anything ever was for one. */
  #plan: LinkPlan | undefined;

  constructor(owner: SessionOwner, id: Uint8Array, identity: Identity | undefined) {
    const { settings, timers } = owner;
    this.#owner = owner;
    this.id = hex(id);
    this.#peer = new Peer({
      role: "server",
      settings: settings.session,
      encoder: owner.encoder,
      calls: owner.calls,
      createTransport: owner.createTransport,
      outboxBudget: owner.outboxBudget,
      id,
      epoch: owner.epoch,
      graceMs: settings.graceMs,
      identity,
      events: this,
    });
    this.#driver = new Driver(this.#peer, timers, atEndOfTurn);
  }

  get topics(): TopicSink {
    return this;
  }

  // ---- for the peer --------------------------------------------------------------------------------------------

  onOpen(): void {
    // The server knows: it has just accepted the link.
  }

  onLost(): void {
    // A server's session is not lost; it ends.
  }

  onGoAway(): void {
    // A client that goes away closes.
  }

  onWake(full: boolean): void {
    this.#driver.wake(full);
  }

  onDeadline(): void {
    this.#driver.watch();
  }

  /** Fresh credentials came. Nobody looks at them where none expire. */
  onRefresh({ credentials }: RefreshFrame): void {
    this.#plan?.refreshed(credentials);
  }

  whyNotOpen(): string {
    return "the client has no link";
  }

  admit(): EndRefusal | undefined {
    return this.#owner.rates?.admit(this);
  }

  onLimit(limit: string): void {
    this.#owner.settings.observer?.limited?.({ limit, identity: this.identity?.id });
  }

  // ---- for its owner -------------------------------------------------------------------------------------------

  get identity(): Identity | undefined {
    return this.#peer.identity;
  }

  get connected(): boolean {
    return this.#driver.link !== undefined;
  }

  get linkKind(): LinkKind | undefined {
    return this.#driver.link?.kind;
  }

  get rtt(): number | undefined {
    const { rttMs } = this.#peer.session;
    return rttMs < 0 ? undefined : rttMs;
  }

  get callsInFlight(): number {
    return this.#peer.calls.size;
  }

  get bufferedBytes(): number {
    return this.#peer.session.bufferedBytes;
  }

  /** What the session takes in memory, in bytes, about: what is kept for resending, and messages that wait. */
  get heldBytes(): number {
    return SESSION_BYTES + this.#peer.session.bufferedBytes + this.#peer.calls.heldBytes;
  }

  /** Measures {@link LiveSession.rtt} anew. */
  measure(): void {
    this.#peer.session.measure(this.#owner.timers.clock());
  }

  /** Writers wait: the outbox is full. */
  get isFull(): boolean {
    return this.#peer.session.fullSince !== Number.POSITIVE_INFINITY;
  }

  /** Bytes that the link has not handed to the network yet; 0 without one. */
  get linkBytes(): number {
    return this.#driver.link?.bufferedBytes ?? 0;
  }

  /** Messages that wait for their readers, in bytes. */
  get waitingBytes(): number {
    return this.#peer.calls.heldBytes;
  }

  get peer(): Transport {
    return this.#peer.transport;
  }

  get calls(): Calls {
    return this.#peer.calls;
  }

  /** Whether a Hello with RESUME from this identity may take the session over. */
  canResume(hello: HelloFrame, identity: Identity | undefined): boolean {
    return !this.#ended && identity?.id === this.identity?.id && this.#peer.session.canResume(hello);
  }

  /** Whether a Hello comes from a link that its client has given up for a later one. */
  isOvertaken(hello: HelloFrame, identity: Identity | undefined): boolean {
    return identity?.id === this.identity?.id && this.#peer.session.isOvertaken(hello);
  }

  /** Takes a link over; an older one is closed. */
  attach(
    link: BroadcastLink,
    hello: HelloFrame,
    resumed: boolean,
    identity: Identity | undefined,
    info: UpgradeInfo,
  ): void {
    const old = this.#driver.link;
    if (old !== undefined) {
      this.#peer.linkDown();
      old.close(CloseCode.replaced, "the session went on over another link");
    }
    this.#owner.timers.delete(this);
    this.#plan?.clear();
    this.#peer.identity = identity;
    this.#driver.setLink(link);
    this.#peer.accept(hello, resumed, this.#owner.timers.clock());
    // Nothing may come before Welcome.
    this.#driver.flush();
    this.link = link;
    this.topicEvents?.linkUp();
    if (isPlanned(this.#owner, identity)) this.#planned().begin(info);
  }

  /** A binary message from a link; those of a link that was replaced are not heard. */
  receive(link: Link, bytes: Uint8Array): void {
    if (this.#driver.link === link) this.#driver.receive(bytes);
  }

  /** A text message from a link. */
  text(link: Link): void {
    if (this.#driver.link === link)
      this.onCut(CloseCode.textMessage, "Hawser speaks binary messages only", false);
  }

  /** The link has room again. */
  drained(link: Link): void {
    if (this.#driver.link !== link) return;
    this.#driver.flush();
    this.topicEvents?.drained();
  }

  /** The link is gone. A client that closes with 1000 ends its session. */
  linkClosed(link: Link, code: number, reason: string): void {
    if (this.#driver.link !== link) return;
    if (code === CloseCode.normal) this.end("client", "the client closed the connection", Code.Canceled);
    else this.#detach(code, reason);
  }

  /** Announces a close and asks the client to come back after a random part of this time. */
  goAway(reason: string, afterMs: number): void {
    const { timers } = this.#owner;
    const frame = { code: CloseCode.goingAway, reason, reconnect: true, afterMs };
    this.#peer.session.goAway(frame, timers.clock());
  }

  /**
   * Whether nothing is lost by closing now: the client knows, and its calls are done, but for those that get topics, which go
   * on elsewhere; or it has no link.
   */
  get isDone(): boolean {
    const waiting = this.callsInFlight - (this.topicEvents?.size ?? 0);
    return !this.connected || (this.#peer.session.goAwayHeard && waiting === 0);
  }

  /** Replaces the link: the client is asked to go, and its session goes on over the link that it comes back with. */
  rotate(reason: string): void {
    if (this.connected) this.#planned().rotate(reason);
  }

  close(code: number = CloseCode.policy, reason = "closed by the server"): void {
    const { link } = this.#driver;
    this.end("server", reason, Code.Unavailable);
    link?.close(code, reason);
  }

  /** Ends the session without a word to the link. */
  end(by: EndedBy, message: string, code: Code): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#plan?.clear();
    this.link = undefined;
    this.#driver.dispose();
    this.#owner.timers.delete(this);
    this.#peer.close(message, code);
    this.#owner.onEnded(this, by, message);
  }

  /** Nobody came back within the grace time. */
  expire(): void {
    if (!this.connected) this.#owner.onExpired(this);
  }

  /** For the peer: the link must be closed. */
  onCut(code: number, reason: string, sessionOver: boolean): void {
    const { link } = this.#driver;
    if (sessionOver) this.end("violation", reason, Code.Unavailable);
    else this.#detach(code, reason);
    link?.close(code, reason);
  }

  #planned(): LinkPlan {
    this.#plan ??= new LinkPlan(this.#owner, this, this.#peer);
    return this.#plan;
  }

  #detach(code: number, reason: string): void {
    if (this.#ended) return;
    this.#plan?.clear();
    this.link = undefined;
    this.#driver.setLink(undefined);
    this.#peer.linkDown();
    this.topicEvents?.linkDown();
    const { timers, settings } = this.#owner;
    timers.atLatest(this, timers.clock() + settings.graceMs);
    // Calls of the server that wait for the client still have deadlines.
    this.#driver.watch();
    this.#owner.onDetached(this, code, reason);
  }
}

/** Calls a function at the end of this turn of the event loop, before any I/O. */
export function atEndOfTurn(task: () => void): void {
  process.nextTick(task);
}
