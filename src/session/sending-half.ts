import type { EncodedPacket, MessageWriter, PacketEncoder, PacketOwner } from "../wire/encode.js";
import type { CallFrame, ControlFrame, DataFrame, EndFrame, OpenFrame } from "../wire/frame.js";
import { CHUNK_BYTES } from "../wire/limits.js";
import type { SessionHost, SessionInit } from "./host.js";
import { Inbox } from "./inbox.js";
import { Outbox, unpinned } from "./outbox.js";
import { BATCH_BYTES, BATCH_FRAMES, type Pace } from "./pace.js";
import type { SessionState } from "./state.js";
import { violation } from "./violation.js";

/** From the so manieth full packet on that nothing was received between, packets are longer. */
const MANY_PACKETS = 3;
const LONG_BATCH_FRAMES = 64;
/** A packet that is not flushed early holds this many frames at most. */
const MAX_BATCH_FRAMES = 256;
/** Stands for the frames that wait as long as there are none. */
const NO_CONTROL: ControlFrame[] = [];

/**
 * What a session sends: packets of call frames, which wait in its {@link Outbox}, and packets without a number, of control
 * frames and bare acknowledgements. A class that the session extends, since an object of its own would be memory for each.
 */
export abstract class SendingHalf implements PacketOwner {
  protected readonly host: SessionHost;
  protected readonly inbox: Inbox;
  protected readonly outbox: Outbox;
  readonly #encoder: PacketEncoder;
  readonly #pace: Pace | undefined;
  #control: ControlFrame[] = NO_CONTROL;
  #transmitting = false;
  /** Packets that were written at once, being full, since anything was received. */
  protected early = 0;
  /** Calls in the packet that brought the last ones: answers go out in packets like those that the calls came in. */
  protected together: number = BATCH_FRAMES;
  /** Number of the last call that this side has opened. */
  #lastOpen = 0;

  constructor({ settings, host, encoder, pace, outboxBudget }: SessionInit) {
    this.host = host;
    this.inbox = new Inbox(settings.ackDelayMs);
    this.outbox = new Outbox(settings.outboxBytes, outboxBudget);
    this.#encoder = encoder;
    this.#pace = pace;
  }

  /** Where the session stands. */
  abstract get state(): SessionState;

  /** Bytes kept for resending, and of the packet that is being made. */
  get bufferedBytes(): number {
    return this.outbox.bytes + (this.#encoder.isOwnedBy(this) ? this.#encoder.bytes : 0);
  }

  /** Since when the outbox has been full without a break; `Infinity` when it is not. */
  get fullSince(): number {
    return this.outbox.fullSince;
  }

  /** Packets kept for resending. */
  get unackedPackets(): number {
    return this.outbox.size;
  }

  /** Whether a frame with a payload may be sent now; otherwise it waits to be pulled. */
  get writable(): boolean {
    return this.state === "open" && this.bufferedBytes < this.outbox.limit;
  }

  // ---- call frames --------------------------------------------------------------------------------------------

  /**
   * Puts a call frame into the packet that is being made. Frames with a payload are sent only while
   * {@link SendingHalf.writable}; those without one may always go, their number is bounded by the number of calls; without a
   * link they wait for the next one.
   */
  send(frame: CallFrame): void {
    if (this.state === "ended") return;
    this.#begin();
    this.#encoder.add(frame);
    this.#added(frame);
  }

  /**
   * The same with a payload that is written straight into the packet; only while {@link SendingHalf.writable}.
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

  /** Asks for {@link SendingHalf.transmit}, because frames wait to be pulled. */
  wake(): void {
    if (this.state === "open" && !this.#transmitting) this.host.onWake(false);
  }

  #added(frame: CallFrame): void {
    if (frame.kind === "open") this.#lastOpen = frame.call;
    if (this.#transmitting || this.state !== "open") return;
    const { frames, bytes } = this.#encoder;
    if (frames >= this.#fullAt(frame) || bytes >= BATCH_BYTES) {
      this.early++;
      this.host.onWake(true);
    } else if (frames === 1) this.host.onWake(false);
  }

  /** Frames with which the packet that is being made is full, after one like this. */
  #fullAt({ kind }: CallFrame): number {
    // Who goes on and on is in no hurry to be heard.
    if (this.early >= MANY_PACKETS) return LONG_BATCH_FRAMES;
    switch (kind) {
      case "open":
        return this.#pace === undefined ? BATCH_FRAMES : this.#pace.frames;
      case "end":
        return this.together;
      default:
        return BATCH_FRAMES;
    }
  }

  /**
   * The other side has received packets up to this one.
   *
   * @throws WireError when there was no such packet
   */
  protected acknowledged(seq: number, now: number): void {
    const { outbox } = this;
    if (seq <= outbox.ackedSeq) return;
    if (seq > outbox.lastSeq)
      throw violation(`an acknowledgement of packet ${seq}; sent are ${outbox.lastSeq}`);
    this.#pace?.acknowledged(now - outbox.oldestWrittenAt);
    const wasFull = outbox.isFull;
    outbox.acknowledge(seq);
    if (wasFull) this.host.onWake(false);
  }

  // ---- control frames -----------------------------------------------------------------------------------------

  /** Sends a frame that may be lost with the link. */
  protected sendControl(frame: ControlFrame): void {
    // Only the newest pong matters; a flood of pings on a slow link must not pile up answers.
    if (frame.kind === "pong" && this.#control.length > 0)
      this.#control = this.#control.filter((queued) => queued.kind !== "pong");
    if (this.#control === NO_CONTROL) this.#control = [frame];
    else this.#control.push(frame);
    this.host.onWake(false);
  }

  // ---- packets ------------------------------------------------------------------------------------------------

  /**
   * The next packet to write, or `undefined`. `bulk: false` leaves out frames that wait for room: used when the link
   * has much to write already, so that heartbeats and small calls do not wait behind large messages.
   */
  transmit(now: number, bulk: boolean): EncodedPacket | undefined {
    if (this.#control.length > 0 && (bulk || this.#control.some(isUrgent))) return this.#transmitControl();
    if (this.state !== "open") return undefined;
    if (!this.outbox.hasUnwritten) {
      if (bulk) this.#pull();
      this.yieldEncoder();
    }
    const packet = this.outbox.takeUnwritten(now);
    if (packet !== undefined) return packet;
    // What the other side can ask for without end waits while the link is full, or a peer that never reads fills it.
    if ((bulk && this.inbox.owesMuch) || now >= this.inbox.dueAt) {
      this.inbox.acknowledged();
      this.#encoder.claim(this);
      return this.#encoder.finish(0, this.inbox.received);
    }
    return undefined;
  }

  #transmitControl(): EncodedPacket {
    this.yieldEncoder();
    this.#encoder.claim(this);
    for (const frame of this.#control) this.#encoder.add(frame);
    this.#control = NO_CONTROL;
    const ack = this.state === "open" ? this.inbox.received : 0;
    if (ack > 0) this.inbox.acknowledged();
    return this.#encoder.finish(0, ack);
  }

  /** Fills the packet with frames that wait for room. */
  #pull(): void {
    const encoder = this.#encoder;
    const room = this.outbox.limit - this.outbox.bytes;
    this.#transmitting = true;
    for (;;) {
      if (encoder.isOwnedBy(this)) {
        const { bytes, frames } = encoder;
        if (encoder.full || frames >= MAX_BATCH_FRAMES || bytes >= CHUNK_BYTES || bytes >= room) break;
      } else if (room <= 0) break;
      const frame = this.host.pullFrame();
      if (frame === undefined) break;
      this.send(frame);
    }
    this.#transmitting = false;
  }

  /** Sees to it that the packet that is being made is this session's, and has room. */
  #begin(): void {
    const encoder = this.#encoder;
    if (encoder.isOwnedBy(this)) {
      if (!encoder.full && encoder.frames < MAX_BATCH_FRAMES && encoder.bytes < CHUNK_BYTES) return;
      this.yieldEncoder();
    }
    encoder.claim(this);
  }

  /** Ends the packet that is being made, if it is this session's. It waits in the outbox for its turn. */
  yieldEncoder(): void {
    const encoder = this.#encoder;
    if (!encoder.isOwnedBy(this)) return;
    if (encoder.frames === 0) return encoder.discard();
    this.inbox.acknowledged();
    const packet = encoder.finish(this.outbox.nextSeq, this.inbox.received);
    // Without a link it may wait for long, and must not pin the buffer it shares with others.
    this.outbox.add(this.state === "open" ? packet : unpinned(packet), this.#lastOpen);
    this.#pace?.written();
  }

  // ---- ends ---------------------------------------------------------------------------------------------------

  /** The link is gone, and with it what was said over it in passing. Nothing stands outside the outbox. */
  protected detach(): void {
    this.#control = NO_CONTROL;
    this.yieldEncoder();
    this.outbox.rewind();
    this.inbox.acknowledged();
  }

  /** Nothing of the session is left to be sent or acknowledged. */
  protected reset(): void {
    if (this.#encoder.isOwnedBy(this)) this.#encoder.discard();
    this.outbox.clear();
    this.#lastOpen = 0;
    this.inbox.clear();
  }

  protected finish(): void {
    this.#control = NO_CONTROL;
    this.reset();
  }
}

/** Whether a control frame goes out though the link is full. A pong says that this side lives; so do the bytes before it. */
function isUrgent(frame: ControlFrame): boolean {
  return frame.kind !== "pong";
}
