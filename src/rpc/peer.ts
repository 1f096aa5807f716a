import { CloseCode } from "../base/close.js";
import type { Code } from "../base/code.js";
import { hex } from "../base/hex.js";
import type { OutboxBudget, SessionHost, SessionOpened } from "../session/host.js";
import { Session } from "../session/session.js";
import type { SessionSettings } from "../session/settings.js";
import type { EncodedPacket, PacketEncoder } from "../wire/encode.js";
import { WireError } from "../wire/error.js";
import type { CallFrame, GoAwayFrame, HelloFrame, RefreshFrame, TopicFrame } from "../wire/frame.js";
import type { CallsHost, CallsInit, EndRefusal } from "./call-table.js";
import { Calls } from "./calls.js";
import type { Identity, SessionInfo } from "./context.js";
import type { TopicSink } from "./topic.js";
import type { Transport } from "./transport.js";

/** What happens to a peer, for its driver. */
export interface PeerEvents {
  /** The handshake is done. */
  onOpen(opened: SessionOpened): void;
  /** The session is gone, and all calls that were opened in it have failed. */
  onLost(): void;
  onGoAway(frame: GoAwayFrame): void;
  /** Server: new credentials came. Client: they are asked for. */
  onRefresh(frame: RefreshFrame): void;
  /** The link must be closed. `sessionOver`: a rule was broken, the session must not be resumed. */
  onCut(code: number, reason: string, sessionOver: boolean): void;
  /** {@link Peer.transmit} has something: at once when `full`, else at the end of this turn. */
  onWake(full: boolean): void;
  /** {@link Peer.deadline} may be earlier than before, though nothing is to be transmitted. */
  onDeadline(): void;
  /** What is known about why there is no connection, for error messages. */
  whyNotOpen(): string;
  /** Asked before a call of the other side is begun: why it is turned away, if it is. */
  admit?(): EndRefusal | undefined;
  /** A limit was met, by the name of its option. */
  onLimit?(limit: string): void;
  /** Server: where publications are written. */
  readonly topics?: TopicSink | undefined;
}

/** Settings of a {@link Peer}. */
export interface PeerInit {
  readonly role: "client" | "server";
  readonly settings: SessionSettings;
  readonly encoder: PacketEncoder;
  readonly calls: CallsInit;
  /** Makes what calls of this side are made with; asked for at the first one. */
  readonly createTransport: (calls: Calls) => Transport;
  readonly outboxBudget?: OutboxBudget | undefined;
  readonly events: PeerEvents;
  readonly agent?: string;
  /** Server only. */
  readonly id?: Uint8Array;
  readonly epoch?: Uint8Array;
  readonly graceMs?: number;
  readonly identity?: Identity | undefined;
}

/**
 * One end of a session with its calls: the same on clients and servers, only the handshake differs. It does no I/O;
 * `src/driver` connects it to links and timers.
 */
export class Peer implements SessionHost, CallsHost {
  readonly session: Session;
  readonly calls: Calls;
  readonly #events: PeerEvents;
  readonly #createTransport: (calls: Calls) => Transport;
  #transport: Transport | undefined;
  #identity: Identity | undefined;
  #info: SessionInfo | undefined;

  constructor(init: PeerInit) {
    this.#events = init.events;
    this.#identity = init.identity;
    this.session = new Session({
      role: init.role,
      settings: init.settings,
      host: this,
      encoder: init.encoder,
      outboxBudget: init.outboxBudget,
      pace: init.calls.pace,
      ...(init.id === undefined ? {} : { id: init.id }),
      ...(init.epoch === undefined ? {} : { epoch: init.epoch }),
      ...(init.graceMs === undefined ? {} : { graceMs: init.graceMs }),
      ...(init.agent === undefined ? {} : { agent: init.agent }),
    });
    this.#createTransport = init.createTransport;
    this.calls = new Calls(init.calls, this.session, this);
  }

  /** Makes calls to the other side. */
  get transport(): Transport {
    this.#transport ??= this.#createTransport(this.calls);
    return this.#transport;
  }

  /** The session as handlers see it. */
  get info(): SessionInfo {
    this.#info ??= { id: hex(this.session.id), identity: this.#identity };
    return this.#info;
  }

  /** Who is at the other end, as far as is known. */
  get identity(): Identity | undefined {
    return this.#identity;
  }

  /** Calls that come from now on see this identity. */
  set identity(identity: Identity | undefined) {
    this.#identity = identity;
    this.#info = undefined;
  }

  // ---- for the driver ----------------------------------------------------------------------------------------

  /** Client: there is a link. */
  linkUp(now: number, credentials: string): void {
    this.session.linkUp(now, credentials);
  }

  /** Server: there is a link, and its Hello was checked. */
  accept(hello: HelloFrame, resumed: boolean, now: number): void {
    this.session.accept(hello, resumed, now);
  }

  /** A binary message arrived. What is wrong with it comes back through {@link PeerEvents.onCut}. */
  receive(bytes: Uint8Array, now: number): void {
    try {
      this.session.receive(bytes, now);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#events.onCut(error.closeCode, error.message, error.closeCode === CloseCode.protocolError);
    }
  }

  /** The next packet to write, if there is one. */
  transmit(now: number, bulk: boolean): EncodedPacket | undefined {
    return this.session.transmit(now, bulk);
  }

  /** The link is gone. */
  linkDown(): void {
    this.session.linkDown();
  }

  /** When {@link Peer.expire} has something to do; `Infinity` for never. */
  deadline(): number {
    return Math.min(this.session.deadline(), this.calls.deadline());
  }

  /** Does what is due. */
  expire(now: number): void {
    this.calls.expire(now);
    this.session.expire(now);
  }

  /** Ends session and calls; every call fails with this. */
  close(message: string, code: Code): void {
    this.session.end();
    this.calls.close(message, code);
  }

  // ---- for the session ---------------------------------------------------------------------------------------

  onFrame(frame: CallFrame): void {
    this.calls.onFrame(frame);
  }

  pullFrame(): CallFrame | undefined {
    return this.calls.pullFrame();
  }

  onOpen(opened: SessionOpened): void {
    this.#info = undefined;
    if (opened.resumed) this.calls.resumed();
    this.#events.onOpen(opened);
  }

  onLost(lastOpenWritten: number): void {
    this.calls.onLost(lastOpenWritten);
    this.#events.onLost();
  }

  onGoAway(frame: GoAwayFrame): void {
    this.#events.onGoAway(frame);
  }

  onRefresh(frame: RefreshFrame): void {
    this.#events.onRefresh(frame);
  }

  onTopic(frame: TopicFrame): void {
    this.calls.onTopic(frame);
  }

  onCut(code: number, reason: string): void {
    this.#events.onCut(code, reason, false);
  }

  onWake(full: boolean): void {
    this.#events.onWake(full);
  }

  // ---- for the calls -----------------------------------------------------------------------------------------

  whyNotOpen(): string {
    return this.#events.whyNotOpen();
  }

  onDeadline(): void {
    this.#events.onDeadline();
  }

  get topics(): TopicSink | undefined {
    return this.#events.topics;
  }

  admit(): EndRefusal | undefined {
    return this.#events.admit?.();
  }

  onLimit(limit: string): void {
    this.#events.onLimit?.(limit);
  }
}
