import { CloseCode } from "../base/close.js";
import { TokenBucket } from "../base/token-bucket.js";
import { decodePacket } from "../wire/decode.js";
import type { EncodedPacket, MessageWriter, PacketEncoder, PacketOwner } from "../wire/encode.js";
import { WireError } from "../wire/error.js";
import {
  type CallFrame,
  type ControlFrame,
  type DataFrame,
  type EndFrame,
  type Frame,
  type GoAwayFrame,
  type HelloFrame,
  HelloMode,
  type OpenFrame,
  type Packet,
  type PositionFrame,
  type WelcomeFrame,
  type WireLimits,
} from "../wire/frame.js";
import { CHUNK_BYTES, DEFAULT_LIMITS, effectiveLimits } from "../wire/limits.js";
import type { OutboxBudget, SessionHost, SessionInit } from "./host.js";
import { Inbox } from "./inbox.js";
import { Liveness } from "./liveness.js";
import { Outbox, unpinned } from "./outbox.js";
import { BATCH_FRAMES, type Pace } from "./pace.js";
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
export class Session implements PacketOwner {
  readonly #role: "client" | "server";
  readonly #settings: SessionSettings;
  readonly #host: SessionHost;
  readonly #encoder: PacketEncoder;
  readonly #graceMs: number;
  readonly #agent: string;
  readonly #outbox: Outbox;
  readonly #budget: OutboxBudget;
  /** What the other side may say without end, since it waits for nothing and costs it nothing. */
  #controls: TokenBucket | undefined;
  #positions: TokenBucket | undefined;
  readonly #inbox: Inbox;
  readonly #liveness: Liveness;

  #state: SessionState = "detached";
  #id: Uint8Array;
  #epoch: Uint8Array;
  #peerLimits: WireLimits = DEFAULT_LIMITS;

  #control: ControlFrame[] = NO_CONTROL;
  #transmitting = false;
  readonly #pace: Pace | undefined;
  /** Packets that were written at once, being full, since anything was received. */
  #early = 0;
  /** Calls in the packet that brought the last ones: answers go out in packets like those that the calls came in. */
  #together: number = BATCH_FRAMES;
  /** Number of the last call that this side has opened. */
  #lastOpen = 0;

  #greetedAt = 0;
  #fullSince: number = Number.POSITIVE_INFINITY;
  /** Client: links so far. Server: number of the link that the session was taken over by last. */
  #link = 0;

  constructor(init: SessionInit) {
    this.#role = init.role;
    this.#settings = init.settings;
    this.#host = init.host;
    this.#encoder = init.encoder;
    this.#id = init.id ?? EMPTY;
    this.#epoch = init.epoch ?? EMPTY;
    this.#graceMs = init.graceMs ?? 0;
    this.#agent = init.agent ?? "";
    this.#budget = init.outboxBudget ?? NO_BUDGET;
    this.#outbox = new Outbox(this.#budget);
    this.#inbox = new Inbox(init.settings.ackDelayMs);
    this.#liveness = new Liveness(init.settings);
    this.#pace = init.pace;
  }

  /** Where the session stands. */
  get state(): SessionState {
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

  /** Bytes kept for resending, and of the packet that is being made. */
  get bufferedBytes(): number {
    return this.#outbox.bytes + this.#packetBytes;
  }

  get #packetBytes(): number {
    return this.#encoder.isOwnedBy(this) ? this.#encoder.bytes : 0;
  }

  /** Since when the outbox has been full without a break; `Infinity` when it is not. */
  get fullSince(): number {
    return this.#fullSince;
  }

  /** Packets kept for resending. */
  get unackedPackets(): number {
    return this.#outbox.size;
  }

  /** Highest packet number received. */
  get receivedSeq(): number {
    return this.#inbox.received;
  }

  /** Whether a frame with a payload may be sent now; otherwise it waits to be pulled. */
  get writable(): boolean {
    return this.#state === "open" && this.bufferedBytes < this.#outboxLimit;
  }

  // ---- inputs -------------------------------------------------------------------------------------------------

  /** Client: there is a link; greets. */
  linkUp(now: number, credentials: string): void {
    this.#step("linkUp");
    this.#greetedAt = now;
    this.#liveness.heard(now);
    const resume = this.#id.length > 0;
    this.#sendControl({
      kind: "hello",
      version: PROTOCOL_VERSION,
      mode: resume ? HelloMode.resume : HelloMode.begin,
      session: this.#id,
      epoch: this.#epoch,
      received: this.#inbox.received,
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
    return (
      this.#state !== "ended" &&
      hello.received >= this.#outbox.ackedSeq &&
      hello.received <= this.#outbox.lastSeq
    );
  }

  /** Server: whether a Hello was overtaken on its way by one that the same client sent later. */
  isOvertaken(hello: HelloFrame): boolean {
    return hello.link !== 0 && hello.link <= this.#link;
  }

  /** Server: takes over a link whose Hello was checked; `resumed` when the session existed before. */
  accept(hello: HelloFrame, resumed: boolean, now: number): void {
    this.#step("accept");
    this.#liveness.heard(now);
    this.#peerLimits = effectiveLimits(hello.limits);
    this.#link = hello.link;
    if (resumed) this.#acknowledge(hello.received);
    this.#sendControl({
      kind: "welcome",
      session: this.#id,
      epoch: this.#epoch,
      resumed,
      received: this.#inbox.received,
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
    this.#early = 0;
    this.#liveness.heard(now);
    if (packet.seq === 0 && packet.frames.length > 0) {
      this.#limitControls(packet.frames, now);
      for (const frame of packet.frames) this.#receiveControl(frame, now);
      if (this.#state === "open") this.#acknowledged(packet.ack, now);
      return;
    }
    this.#step("packet");
    this.#acknowledged(packet.ack, now);
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
    if (this.#state === "greeting" && now >= this.#greetedAt + this.#settings.handshakeTimeoutMs) {
      this.#host.onCut(
        CloseCode.handshakeTimeout,
        `no Welcome within ${this.#settings.handshakeTimeoutMs} ms`,
      );
      return;
    }
    if (this.#state !== "open") return;
    if (now >= this.#outbox.oldestWrittenAt + this.#settings.ackTimeoutMs) {
      this.#host.onCut(
        CloseCode.silent,
        `a packet was not acknowledged within ${this.#settings.ackTimeoutMs} ms`,
      );
      return;
    }
    if (this.#liveness.isDead(now)) {
      this.#host.onCut(
        CloseCode.silent,
        `nothing was heard within ${this.#settings.pingTimeoutMs} ms of a ping`,
      );
      return;
    }
    const ping = this.#liveness.ping(now);
    if (ping !== undefined) this.#sendControl({ kind: "ping", id: ping });
    if (now >= this.#inbox.dueAt) this.#host.onWake(true);
  }

  /** Time at which {@link Session.expire} has something to do; `Infinity` for never. All timers of the session: */
  deadline(): number {
    if (this.#state === "greeting") {
      // The handshake must end.
      return this.#greetedAt + this.#settings.handshakeTimeoutMs;
    }
    if (this.#state !== "open") return Number.POSITIVE_INFINITY;
    return Math.min(
      // What was received must be acknowledged, with or without a packet to ride on.
      this.#inbox.dueAt,
      // What was sent must be acknowledged, or the link is broken without saying so.
      this.#outbox.oldestWrittenAt + this.#settings.ackTimeoutMs,
      // Silence must be questioned, and the question answered.
      this.#liveness.deadline,
    );
  }

  // ---- commands -----------------------------------------------------------------------------------------------

  /**
   * Puts a call frame into the packet that is being made. Frames with a payload are sent only while
   * {@link Session.writable}; those without one may always go, their number is bounded by the number of calls; without a
   * link they wait for the next one.
   */
  send(frame: CallFrame): void {
    if (this.#state === "ended") return;
    this.#begin();
    this.#encoder.add(frame);
    this.#added(frame);
  }

  /**
   * The same with a payload that is written straight into the packet; only while {@link Session.writable}.
   *
   * @param frame without a payload
   * @returns the length of the payload; -1 when it cannot be written, and nothing was sent
   */
  sendMessage(frame: OpenFrame | DataFrame | EndFrame, message: MessageWriter): number {
    this.#begin();
    const length = this.#encoder.addMessage(frame, message);
    if (length >= 0) this.#added(frame);
    return length;
  }

  /** @throws Error while a message is being written: nothing can be sent then. */
  check(): void {
    this.#encoder.check();
  }

  #added(frame: CallFrame): void {
    if (frame.kind === "open") this.#lastOpen = frame.call;
    if (this.#transmitting || this.#state !== "open") return;
    const { frames, bytes } = this.#encoder;
    if (frames >= this.#fullAt(frame) || bytes >= CHUNK_BYTES) {
      this.#early++;
      this.#host.onWake(true);
    } else if (frames === 1) this.#host.onWake(false);
  }

  /** Frames with which the packet that is being made is full, after one like this. */
  #fullAt({ kind }: CallFrame): number {
    // Who goes on and on is in no hurry to be heard.
    if (this.#early >= MANY_PACKETS) return LONG_BATCH_FRAMES;
    switch (kind) {
      case "open":
        return this.#pace === undefined ? BATCH_FRAMES : this.#pace.frames;
      case "end":
        return this.#together;
      default:
        return BATCH_FRAMES;
    }
  }

  /** Sees to it that the packet that is being made is this session's, and has room. */
  #begin(): void {
    const encoder = this.#encoder;
    if (encoder.isOwnedBy(this)) {
      if (!encoder.full && encoder.frames < MAX_BATCH_FRAMES && encoder.bytes < CHUNK_BYTES) return;
      this.#seal();
    }
    encoder.claim(this);
  }

  /** Ends the packet that is being made, if it is this session's. It waits in the outbox for its turn. */
  #seal(): void {
    const encoder = this.#encoder;
    if (!encoder.isOwnedBy(this)) return;
    if (encoder.frames === 0) return encoder.discard();
    this.#inbox.acknowledged();
    const packet = encoder.finish(this.#outbox.nextSeq, this.#inbox.received);
    // Without a link it may wait for long, and must not pin the buffer it shares with others.
    this.#outbox.add(this.#state === "open" ? packet : unpinned(packet), this.#lastOpen);
    this.#pace?.written();
  }

  yieldEncoder(): void {
    this.#seal();
  }

  /**
   * Client: gives the session up after a rule was broken in it; the next link begins a new one. Only without a link.
   */
  forget(): void {
    if (this.#state !== "detached") throw new Error(`forget() while the session is ${this.#state}`);
    this.#id = EMPTY;
    this.#epoch = EMPTY;
    this.#lose();
  }

  /** Asks for {@link Session.transmit}, because frames wait to be pulled. */
  wake(): void {
    if (this.#state === "open" && !this.#transmitting) this.#host.onWake(false);
  }

  /**
   * Announces that the link will be closed, and pings: once {@link Session.goAwayHeard}, nothing is on its way that the
   * other side sent without knowing of it.
   */
  goAway(frame: Omit<GoAwayFrame, "kind">, now: number): void {
    if (this.#state !== "open") return;
    this.#sendControl({ kind: "goAway", ...frame });
    this.#sendControl({ kind: "ping", id: this.#liveness.question(now) });
  }

  /** Server: asks for new credentials, to come within this time. Client: brings them. Lost with the link, as all is that it says. */
  refresh(credentials: string, withinMs: number): void {
    if (this.#state === "open") this.#sendControl({ kind: "refresh", credentials, withinMs });
  }

  /** Measures the round-trip time anew, unless that is under way. A link on which much comes is never pinged otherwise. */
  measure(now: number): void {
    if (this.#state !== "open" || this.#liveness.isUnanswered) return;
    this.#sendControl({ kind: "ping", id: this.#liveness.measure(now) });
  }

  /** Says where a subscriber is. Lost with the link, as all is that topics say. */
  position(frame: PositionFrame): void {
    if (this.#state === "open") this.#sendControl(frame);
  }

  /** Whether the other side has answered since {@link Session.goAway}, or has no link to do so. */
  get goAwayHeard(): boolean {
    return this.#state !== "open" || !this.#liveness.isUnanswered;
  }

  // ---- output -------------------------------------------------------------------------------------------------

  /**
   * The next packet to write, or `undefined`. `bulk: false` leaves out frames that wait for room: used when the link
   * has much to write already, so that heartbeats and small calls do not wait behind large messages.
   */
  transmit(now: number, bulk: boolean): EncodedPacket | undefined {
    if (this.#control.length > 0 && (bulk || this.#control.some(isUrgent))) return this.#transmitControl();
    if (this.#state !== "open") return undefined;
    if (!this.#outbox.hasUnwritten) {
      if (bulk) this.#pull();
      this.#seal();
    }
    const packet = this.#outbox.takeUnwritten(now);
    if (packet !== undefined) {
      if (this.#fullSince === Number.POSITIVE_INFINITY && this.#isFull) this.#fullSince = now;
      return packet;
    }
    // What the other side can ask for without end waits while the link is full, or a peer that never reads fills it.
    if ((bulk && this.#inbox.owesMuch) || now >= this.#inbox.dueAt) {
      this.#inbox.acknowledged();
      this.#encoder.claim(this);
      return this.#encoder.finish(0, this.#inbox.received);
    }
    return undefined;
  }

  #transmitControl(): EncodedPacket {
    this.#seal();
    this.#encoder.claim(this);
    for (const frame of this.#control) this.#encoder.add(frame);
    this.#control = NO_CONTROL;
    const ack = this.#state === "open" ? this.#inbox.received : 0;
    if (ack > 0) this.#inbox.acknowledged();
    return this.#encoder.finish(0, ack);
  }

  /** Fills the packet with frames that wait for room. */
  #pull(): void {
    const encoder = this.#encoder;
    const room = this.#outboxLimit - this.#outbox.bytes;
    this.#transmitting = true;
    for (;;) {
      if (encoder.isOwnedBy(this)) {
        const { bytes, frames } = encoder;
        if (encoder.full || frames >= MAX_BATCH_FRAMES || bytes >= CHUNK_BYTES || bytes >= room) break;
      } else if (room <= 0) break;
      const frame = this.#host.pullFrame();
      if (frame === undefined) break;
      this.send(frame);
    }
    this.#transmitting = false;
  }

  // ---- the rest -----------------------------------------------------------------------------------------------

  /** Publications are what the other side is asked for; all else costs something, and is asked for by nobody. */
  #limitControls(frames: readonly Frame[], now: number): void {
    let controls = 0;
    let positions = 0;
    for (const { kind } of frames) {
      if (kind === "position" || kind === "attached") positions++;
      else if (kind !== "publication") controls++;
    }
    if (controls > 0) {
      this.#controls ??= new TokenBucket(CONTROLS_PER_SECOND, CONTROLS_AT_ONCE);
      if (this.#controls.take(controls, now) > 0) throw tooManyFrames(CONTROLS_PER_SECOND, "control");
    }
    if (positions > 0) {
      this.#positions ??= new TokenBucket(POSITIONS_PER_SECOND, POSITIONS_AT_ONCE);
      if (this.#positions.take(positions, now) > 0) throw tooManyFrames(POSITIONS_PER_SECOND, "position");
    }
  }

  #receiveControl(frame: Frame, now: number): void {
    switch (frame.kind) {
      case "publication":
      case "attached":
      case "position":
        this.#step("topic");
        this.#host.onTopic(frame);
        return;
      case "welcome":
        this.#step("welcome");
        this.#welcomed(frame);
        return;
      case "ping":
        this.#step("ping");
        this.#sendControl({ kind: "pong", id: frame.id });
        return;
      case "pong":
        this.#step("pong");
        this.#liveness.pong(frame.id, now);
        return;
      case "goAway":
        this.#step("goAway");
        this.#host.onGoAway(frame);
        return;
      case "refresh":
        this.#step("refresh");
        this.#host.onRefresh(frame);
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
      if (!had || welcome.received < this.#outbox.ackedSeq || welcome.received > this.#outbox.lastSeq) {
        throw violation(
          `the server says it received packet ${welcome.received}; sent are ${this.#outbox.lastSeq}, acknowledged ${this.#outbox.ackedSeq}`,
        );
      }
      this.#acknowledge(welcome.received);
    } else {
      if (had) this.#lose();
      else this.#reset();
    }
    this.#id = new Uint8Array(welcome.session);
    this.#epoch = new Uint8Array(welcome.epoch);
    this.#opened(welcome.resumed);
  }

  #opened(resumed: boolean): void {
    const resent = this.#outbox.writtenOnce;
    this.#host.onOpen({ resumed, resent });
    this.#host.onWake(false);
  }

  #deliver(packet: Packet, bytes: number, now: number): void {
    const arrival = this.#inbox.arrive(packet.seq, bytes, now);
    if (arrival === "gap") throw violation(`packet ${packet.seq} after packet ${this.#inbox.received}`);
    if (arrival === "next") {
      const { frames } = packet;
      if (frames[0]?.kind === "open") this.#together = Math.min(frames.length, BATCH_FRAMES);
      for (const frame of frames) {
        switch (frame.kind) {
          case "data":
          case "open":
          case "end":
          case "cancel":
          case "credit":
            this.#host.onFrame(frame);
            break;
          case "unknown":
            throw violation("a call frame of a kind that this version does not know");
          default:
            throw violation(`a ${frame.kind} frame in a packet with a sequence number`);
        }
      }
    }
    if (this.#inbox.owesMuch) this.#host.onWake(false);
  }

  #acknowledged(seq: number, now: number): void {
    if (seq <= this.#outbox.ackedSeq) return;
    if (seq > this.#outbox.lastSeq) {
      throw violation(`an acknowledgement of packet ${seq}; sent are ${this.#outbox.lastSeq}`);
    }
    this.#pace?.acknowledged(now - this.#outbox.oldestWrittenAt);
    const wasFull = this.#isFull;
    this.#acknowledge(seq);
    if (wasFull) this.#host.onWake(false);
  }

  get #isFull(): boolean {
    return this.#outbox.bytes >= this.#outboxLimit;
  }

  /** When the outboxes of all sessions hold too much together, each may go on with a little: nobody waits for somebody else. */
  get #outboxLimit(): number {
    const { used, limit } = this.#budget;
    return used < limit ? this.#settings.outboxBytes : Math.min(this.#settings.outboxBytes, SCARCE_BYTES);
  }

  #acknowledge(seq: number): void {
    this.#outbox.acknowledge(seq);
    if (!this.#isFull) this.#fullSince = Number.POSITIVE_INFINITY;
  }

  #sendControl(frame: ControlFrame): void {
    // Only the newest pong matters; a flood of pings on a slow link must not pile up answers.
    if (frame.kind === "pong" && this.#control.length > 0)
      this.#control = this.#control.filter((queued) => queued.kind !== "pong");
    if (this.#control === NO_CONTROL) this.#control = [frame];
    else this.#control.push(frame);
    this.#host.onWake(false);
  }

  #step(input: SessionInput): void {
    const transition = SESSION_TABLE[this.#state][input];
    if (transition === undefined) {
      throw violation(`${input} while the session is ${this.#state} (${this.#role})`);
    }
    const [effect, next] = transition;
    this.#state = next;
    if (effect === "detach") this.#detach();
    else if (effect === "finish") this.#finish();
  }

  #detach(): void {
    this.#control = NO_CONTROL;
    // Nothing stands outside the outbox.
    this.#seal();
    this.#outbox.rewind();
    this.#inbox.acknowledged();
  }

  #finish(): void {
    this.#control = NO_CONTROL;
    this.#reset();
  }

  /** The other side does not have this session any more. */
  #lose(): void {
    const { lastOpenWritten } = this.#outbox;
    this.#reset();
    this.#host.onLost(lastOpenWritten);
  }

  #reset(): void {
    this.#fullSince = Number.POSITIVE_INFINITY;
    if (this.#encoder.isOwnedBy(this)) this.#encoder.discard();
    this.#outbox.clear();
    this.#lastOpen = 0;
    this.#inbox.clear();
  }
}

/** Outboxes of a process may hold this much each when they hold too much together: a full piece. */
const SCARCE_BYTES = CHUNK_BYTES;
/** Stands for the frames that wait as long as there are none. */
const NO_CONTROL: ControlFrame[] = [];
const NO_BUDGET: OutboxBudget = { used: 0, limit: Number.POSITIVE_INFINITY };
/** Honest sides send one per ping interval or go-away. */
const CONTROLS_PER_SECOND = 100;
const CONTROLS_AT_ONCE = 1_000;
/** One for each topic when a link comes back, and one for each half of a window that was consumed. */
const POSITIONS_PER_SECOND = 10_000;
const POSITIONS_AT_ONCE = 10_000;
/** An outbox that has grown to so many times its bound is not being acknowledged. */
const MAX_OUTBOX_FACTOR = 2;
/** From the so manieth full packet on that nothing was received between, packets are longer. */
const MANY_PACKETS = 3;
const LONG_BATCH_FRAMES = 64;
/** A packet that is not flushed early holds this many frames at most. */
const MAX_BATCH_FRAMES = 256;

function tooManyFrames(perSecond: number, kind: string): WireError {
  return new WireError(`more than ${perSecond} ${kind} frames per second`, CloseCode.tooMany);
}

/** Whether a control frame goes out though the link is full. A pong says that this side lives; so do the bytes before it. */
function isUrgent(frame: ControlFrame): boolean {
  return frame.kind !== "pong";
}
