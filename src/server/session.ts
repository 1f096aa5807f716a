import { CloseCode } from "../base/close.js";
import { Code } from "../base/code.js";
import { hex } from "../base/hex.js";
import { Driver } from "../driver/driver.js";
import type { Link } from "../driver/link.js";
import type { TimerItem, Timers } from "../driver/timers.js";
import type { Guard } from "../idempotency/guard.js";
import type { Retrier } from "../retry/retrier.js";
import { createTransport } from "../retry/transport.js";
import type { Identity } from "../rpc/context.js";
import { Peer } from "../rpc/peer.js";
import type { Transport } from "../rpc/transport.js";
import type { PacketEncoder } from "../wire/encode.js";
import type { HelloFrame } from "../wire/frame.js";
import type { EndedBy } from "./events.js";
import type { ServerSettings } from "./options.js";

/** A session of a client, as the server's owner sees it. */
export interface ServerSession {
  /** 128 random bits in hexadecimal. */
  readonly id: string;
  readonly identity: Identity | undefined;
  /** Whether there is a link now. */
  readonly connected: boolean;
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

/** What a session costs in memory beside what it keeps, about (Node 24, measured). */
const SESSION_BYTES = 6 * 1024;

/** What a session tells the table of sessions. */
export interface SessionOwner {
  readonly settings: ServerSettings;
  readonly timers: Timers;
  readonly encoder: PacketEncoder;
  readonly epoch: Uint8Array;
  /** For calls to clients. A client that is lost is gone: nothing but what certainly did not run is attempted again. */
  readonly retrier: Retrier;
  readonly newKey: () => string;
  readonly guard: Guard | undefined;
  /** The link is gone; the session waits for another. */
  onDetached(session: LiveSession, code: number, reason: string): void;
  /** Nobody came back within the grace time. */
  onExpired(session: LiveSession): void;
  /** The session is over. */
  onEnded(session: LiveSession, by: EndedBy, message: string): void;
}

/** One session on the server: a peer, its driver, and the link it has at the moment. */
export class LiveSession implements ServerSession, TimerItem {
  dueAt: number = Number.POSITIVE_INFINITY;
  heapIndex = -1;
  readonly id: string;
  readonly identity: Identity | undefined;
  readonly #peer: Peer;
  readonly #driver: Driver;
  readonly #owner: SessionOwner;
  #ended = false;

  constructor(owner: SessionOwner, id: Uint8Array, identity: Identity | undefined) {
    const { settings, timers } = owner;
    this.#owner = owner;
    this.id = hex(id);
    this.identity = identity;
    this.#peer = new Peer({
      role: "server",
      settings: settings.session,
      clock: timers.clock,
      encoder: owner.encoder,
      routes: settings.routes,
      createTransport: (calls) =>
        createTransport({ calls, retrier: owner.retrier, newKey: owner.newKey }, settings.callInterceptors),
      handlerInterceptors: settings.interceptors,
      onHandlerError: (error, method) =>
        settings.logger.error(`hawser: the handler of ${method} failed:`, error),
      guard: owner.guard,
      maxWaitingCalls: settings.session.limits.calls,
      maxWaitMs: settings.graceMs,
      whyNotOpen: () => "the client has no link",
      id,
      epoch: owner.epoch,
      graceMs: settings.graceMs,
      identity,
      events: {
        onOpen: () => undefined,
        onLost: () => undefined,
        onGoAway: () => undefined,
        onCut: (code, reason, sessionOver) => this.#onCut(code, reason, sessionOver),
        onWake: (full) => this.#driver.wake(full),
        onDeadline: () => this.#driver.watch(),
      },
    });
    this.#driver = new Driver(this.#peer, timers, (task) => process.nextTick(task));
  }

  get connected(): boolean {
    return this.#driver.link !== undefined;
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

  get peer(): Transport {
    return this.#peer.transport;
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
  attach(link: Link, hello: HelloFrame, resumed: boolean): void {
    const old = this.#driver.link;
    if (old !== undefined) {
      this.#peer.linkDown();
      old.close(CloseCode.replaced, "the session went on over another link");
    }
    this.#owner.timers.delete(this);
    this.#driver.setLink(link);
    this.#peer.accept(hello, resumed, this.#owner.timers.clock());
    this.#driver.watch();
  }

  /** A binary message from a link; those of a link that was replaced are not heard. */
  receive(link: Link, bytes: Uint8Array): void {
    if (this.#driver.link === link) this.#driver.receive(bytes);
  }

  /** A text message from a link. */
  text(link: Link): void {
    if (this.#driver.link === link)
      this.#onCut(CloseCode.textMessage, "Hawser speaks binary messages only", false);
  }

  /** The link has room again. */
  drained(link: Link): void {
    if (this.#driver.link === link) this.#driver.flush();
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

  /** Whether nothing is lost by closing now: the client knows, and its calls are done; or it has no link. */
  get isDone(): boolean {
    return !this.connected || (this.#peer.session.goAwayHeard && this.callsInFlight === 0);
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
    this.#driver.dispose();
    this.#owner.timers.delete(this);
    this.#peer.close(message, code);
    this.#owner.onEnded(this, by, message);
  }

  /** Nobody came back within the grace time. */
  expire(): void {
    if (!this.connected) this.#owner.onExpired(this);
  }

  #onCut(code: number, reason: string, sessionOver: boolean): void {
    const { link } = this.#driver;
    if (sessionOver) this.end("violation", reason, Code.Unavailable);
    else this.#detach(code, reason);
    link?.close(code, reason);
  }

  #detach(code: number, reason: string): void {
    if (this.#ended) return;
    this.#driver.setLink(undefined);
    this.#peer.linkDown();
    const { timers, settings } = this.#owner;
    timers.atLatest(this, timers.clock() + settings.graceMs);
    // Calls of the server that wait for the client still have deadlines.
    this.#driver.watch();
    this.#owner.onDetached(this, code, reason);
  }
}
