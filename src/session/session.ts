import { CloseCode } from "../base/close.js";
import { decodePacket } from "../wire/decode.js";
import {
  type Frame,
  type GoAwayFrame,
  type HelloFrame,
  HelloMode,
  type Packet,
  type PositionFrame,
  type WelcomeFrame,
  type WireLimits,
} from "../wire/frame.js";
import { DEFAULT_LIMITS, effectiveLimits } from "../wire/limits.js";
import type { SessionInit } from "./host.js";
import { Liveness } from "./liveness.js";
import { BATCH_FRAMES } from "./pace.js";
import { SendingHalf } from "./sending-half.js";
import type { SessionSettings } from "./settings.js";
import { SESSION_TABLE, type SessionInput, type SessionState } from "./state.js";
import { violation } from "./violation.js";

/** Version of the protocol that this package speaks. */
export const PROTOCOL_VERSION = 1;

const EMPTY = new Uint8Array(0);

/**
 * One session: sequence numbers, acknowledgements, resending, resuming, liveness. It does no I/O and takes no clock.
 *
 * The driver's order of calls: `linkUp` (client) or `accept` (server) when there is a link; `receive` for each binary
 * message; `transmit` until it gives nothing, whenever `onWake` asked and the link has room; `expire` when the time of
 * `deadline` has come; `linkDown` when the link is gone; `end` to finish.
 */
export class Session extends SendingHalf {
  readonly #role: "client" | "server";
  readonly #settings: SessionSettings;
  readonly #graceMs: number;
  readonly #agent: string;
  readonly #liveness: Liveness;

  #state: SessionState = "detached";
  #id: Uint8Array;
  #epoch: Uint8Array;
  #peerLimits: WireLimits = DEFAULT_LIMITS;

  /** Client: links so far. Server: number of the link that the session was taken over by last. */
  #link = 0;

  constructor(init: SessionInit) {
    super(init);
    this.#role = init.role;
    this.#settings = init.settings;
    this.#id = init.id ?? EMPTY;
    this.#epoch = init.epoch ?? EMPTY;
    this.#graceMs = init.graceMs ?? 0;
    this.#agent = init.agent ?? "";
    this.#liveness = new Liveness(init.settings);
  }

  /** Where the session stands. */
  override get state(): SessionState {
    return this.#state;
  }

  /** The session's id; empty on a client that was never welcomed. */
  get id(): Uint8Array {
    return this.#id;
  }

  /** What the other side is ready to receive; the protocol's defaults until the handshake. */
  get peerLimits(): WireLimits {
    return this.#peerLimits;
  }

  /** Last measured round-trip time in milliseconds; -1 before the first. */
  get rttMs(): number {
    return this.#liveness.rttMs;
  }

  /** Highest packet number received. */
  get receivedSeq(): number {
    return this.inbox.received;
  }

  // ---- inputs -------------------------------------------------------------------------------------------------

  /** Client: there is a link; greets. */
  linkUp(now: number, credentials: string): void {
    this.#step("linkUp");
    this.#liveness.greeted(now);
    const resume = this.#id.length > 0;
    this.sendControl({
      kind: "hello",
      version: PROTOCOL_VERSION,
      mode: resume ? HelloMode.resume : HelloMode.begin,
      session: this.#id,
      epoch: this.#epoch,
      received: this.inbox.received,
      credentials,
      limits: this.#settings.limits,
      agent: this.#agent,
      link: ++this.#link,
    });
  }

  /**
   * Server: whether a Hello with RESUME fits this session, that is, whether what it says it has received is something
   * that was sent and is either kept or known to have arrived.
   */
  canResume(hello: HelloFrame): boolean {
    return this.#state !== "ended" && this.outbox.canGoOnAfter(hello.received);
  }

  /** Server: whether a Hello was overtaken on its way by one that the same client sent later. */
  isOvertaken(hello: HelloFrame): boolean {
    return hello.link !== 0 && hello.link <= this.#link;
  }

  /** Server: takes over a link whose Hello was checked; `resumed` when the session existed before. */
  accept(hello: HelloFrame, resumed: boolean, now: number): void {
    this.#step("accept");
    this.#liveness.began(now);
    this.#peerLimits = effectiveLimits(hello.limits);
    this.#link = hello.link;
    if (resumed) this.outbox.acknowledge(hello.received);
    this.sendControl({
      kind: "welcome",
      session: this.#id,
      epoch: this.#epoch,
      resumed,
      received: this.inbox.received,
      limits: this.#settings.limits,
      pingIntervalMs: this.#settings.pingIntervalMs,
      pingTimeoutMs: this.#settings.pingTimeoutMs,
      graceMs: this.#graceMs,
    });
    this.#opened(resumed);
  }

  /**
   * One binary message from the link.
   *
   * @throws WireError when it breaks a rule; the link must be closed with its code, and unless the code is
   * 1007 (nothing of the packet was used) the session must be ended too.
   */
  receive(bytes: Uint8Array, now: number): void {
    const packet = decodePacket(bytes);
    this.early = 0;
    this.#liveness.heard(now);
    if (packet.seq === 0 && packet.frames.length > 0) {
      this.inbox.limit(packet.frames, now);
      for (const frame of packet.frames) this.#receiveControl(frame, now);
      if (this.#state === "open") this.acknowledged(packet.ack, now);
      return;
    }
    this.#step("packet");
    this.acknowledged(packet.ack, now);
    if (packet.seq === 0) return;
    // Frames without a payload do not wait for room: a side that goes on without acknowledging would fill the memory.
    if (this.bufferedBytes > MAX_OUTBOX_FACTOR * this.#settings.outboxBytes) {
      throw violation(`${this.bufferedBytes} bytes were sent and not acknowledged`);
    }
    this.#deliver(packet, bytes.length, now);
  }

  /** The link is gone. */
  linkDown(): void {
    this.#step("linkDown");
  }

  /** Ends the session; nothing more goes in or out. */
  end(): void {
    this.#step("end");
  }

  /** Called when the time of {@link Session.deadline} has come; calling it earlier does no harm. */
  expire(now: number): void {
    const fault = this.#liveness.verdict(this.#state, this.outbox.oldestWrittenAt, now);
    const isOpen = this.#state === "open";
    if (fault !== undefined)
      return this.host.onCut(isOpen ? CloseCode.silent : CloseCode.handshakeTimeout, fault);
    if (!isOpen) return;
    const ping = this.#liveness.ping(now);
    if (ping !== undefined) this.sendControl({ kind: "ping", id: ping });
    if (now >= this.inbox.dueAt) this.host.onWake(true);
  }

  /** Time at which {@link Session.expire} has something to do; `Infinity` for never. All timers of the session: */
  deadline(): number {
    return Math.min(
      // What was received must be acknowledged, with or without a packet to ride on.
      this.inbox.dueAt,
      // The other side must show that it lives.
      this.#liveness.deadline(this.#state, this.outbox.oldestWrittenAt),
    );
  }

  // ---- commands -----------------------------------------------------------------------------------------------

  /**
   * Client: gives the session up after a rule was broken in it; the next link begins a new one. Only without a link.
   */
  forget(): void {
    if (this.#state !== "detached") throw new Error(`forget() while the session is ${this.#state}`);
    this.#id = EMPTY;
    this.#epoch = EMPTY;
    this.#lose();
  }

  /**
   * Announces that the link will be closed, and pings: once {@link Session.goAwayHeard}, nothing is on its way that the
   * other side sent without knowing of it.
   */
  goAway(frame: Omit<GoAwayFrame, "kind">, now: number): void {
    if (this.#state !== "open") return;
    this.sendControl({ kind: "goAway", ...frame });
    this.sendControl({ kind: "ping", id: this.#liveness.question(now) });
  }

  /** Server: asks for new credentials, to come within this time. Client: brings them. Lost with the link, as all is that it says. */
  refresh(credentials: string, withinMs: number): void {
    if (this.#state === "open") this.sendControl({ kind: "refresh", credentials, withinMs });
  }

  /** Measures the round-trip time anew, unless that is under way. A link on which much comes is never pinged otherwise. */
  measure(now: number): void {
    if (this.#state !== "open" || this.#liveness.isUnanswered) return;
    this.sendControl({ kind: "ping", id: this.#liveness.measure(now) });
  }

  /** Says where a subscriber is. Lost with the link, as all is that topics say. */
  position(frame: PositionFrame): void {
    if (this.#state === "open") this.sendControl(frame);
  }

  /** Whether the other side has answered since {@link Session.goAway}, or has no link to do so. */
  get goAwayHeard(): boolean {
    return this.#state !== "open" || !this.#liveness.isUnanswered;
  }

  // ---- the rest -----------------------------------------------------------------------------------------------

  #receiveControl(frame: Frame, now: number): void {
    switch (frame.kind) {
      case "publication":
      case "attached":
      case "position":
        this.#step("topic");
        this.host.onTopic(frame);
        return;
      case "welcome":
        this.#step("welcome");
        this.#welcomed(frame);
        return;
      case "ping":
        this.#step("ping");
        this.sendControl({ kind: "pong", id: frame.id });
        return;
      case "pong":
        this.#step("pong");
        this.#liveness.pong(frame.id, now);
        return;
      case "goAway":
        this.#step("goAway");
        this.host.onGoAway(frame);
        return;
      case "refresh":
        this.#step("refresh");
        this.host.onRefresh(frame);
        return;
      case "hello":
        this.#step("hello");
        return;
      case "unknown":
        // A later revision's control frame; losing one is allowed, so not knowing one is too.
        return;
      default:
        throw violation(`a ${frame.kind} frame in a packet without a sequence number`);
    }
  }

  #welcomed(welcome: WelcomeFrame): void {
    if (welcome.session.length !== 16) throw violation("a Welcome without a session id of 16 bytes");
    this.#peerLimits = effectiveLimits(welcome.limits);
    this.#liveness.atMost(welcome.pingIntervalMs);
    const had = this.#id.length > 0;
    if (welcome.resumed) {
      if (!had || !this.outbox.canGoOnAfter(welcome.received)) {
        throw violation(
          `the server says it received packet ${welcome.received}; sent are ${this.outbox.lastSeq}, acknowledged ${this.outbox.ackedSeq}`,
        );
      }
      this.outbox.acknowledge(welcome.received);
    } else {
      if (had) this.#lose();
      else this.reset();
    }
    this.#id = new Uint8Array(welcome.session);
    this.#epoch = new Uint8Array(welcome.epoch);
    this.#opened(welcome.resumed);
  }

  #opened(resumed: boolean): void {
    const resent = this.outbox.writtenOnce;
    this.host.onOpen({ resumed, resent });
    this.host.onWake(false);
  }

  #deliver(packet: Packet, bytes: number, now: number): void {
    const arrival = this.inbox.arrive(packet.seq, bytes, now);
    if (arrival === "gap") throw violation(`packet ${packet.seq} after packet ${this.inbox.received}`);
    if (arrival === "next") {
      const { frames } = packet;
      if (frames[0]?.kind === "open") this.together = Math.min(frames.length, BATCH_FRAMES);
      for (const frame of frames) {
        switch (frame.kind) {
          case "data":
          case "open":
          case "end":
          case "cancel":
          case "credit":
            this.host.onFrame(frame);
            break;
          case "unknown":
            throw violation("a call frame of a kind that this version does not know");
          default:
            throw violation(`a ${frame.kind} frame in a packet with a sequence number`);
        }
      }
    }
    if (this.inbox.owesMuch) this.host.onWake(false);
  }

  #step(input: SessionInput): void {
    const transition = SESSION_TABLE[this.#state][input];
    if (transition === undefined) {
      throw violation(`${input} while the session is ${this.#state} (${this.#role})`);
    }
    const [effect, next] = transition;
    this.#state = next;
    if (effect === "detach") this.detach();
    else if (effect === "finish") this.finish();
  }

  /** The other side does not have this session any more. */
  #lose(): void {
    const { lastOpenWritten } = this.outbox;
    this.reset();
    this.host.onLost(lastOpenWritten);
  }
}

/** An outbox that has grown to so many times its bound is not being acknowledged. */
const MAX_OUTBOX_FACTOR = 2;
