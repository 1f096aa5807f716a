import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import { violation } from "../session/violation.js";
import { type AttachedFrame, Gap, type PositionFrame, type PublicationFrame } from "../wire/frame.js";
import { PAYLOAD_COST } from "../wire/limits.js";
import type { CallingCall } from "./call-table.js";
import { tooLarge } from "./limit-errors.js";
import type { Tracker } from "./receiver.js";
import { type GapReason, type TopicGap, topicToken } from "./topic.js";

/** What a {@link Subscription} needs of the table it stands in. */
export interface SubscriptionOwner {
  /** Bytes that may wait for their reader. */
  readonly window: number;
  readonly messageBytes: number;
  /** Publications with this number are for it. */
  numbered(subscription: Subscription, topic: number): void;
  send(frame: PositionFrame): void;
  left(subscription: Subscription, topic: number): void;
}

/** What is new from a message on. */
interface Mark {
  readonly epoch: string;
  readonly gap: TopicGap | undefined;
  /** The listener was called already: there was nothing to be read before the gap. */
  readonly told: boolean;
}

/** A message that arrives in pieces. */
interface Pieces {
  readonly offset: number;
  readonly whole: Uint8Array;
  filled: number;
}

/** Stands for the offset of a message that came aside of the topic. */
const ASIDE = -1;

/**
 * A call that gets its messages from a topic: takes in each publication once and in order, and says where it is when that
 * is not certain.
 */
export class Subscription implements Tracker {
  /** Publications are missing before the message that was consumed last. */
  gap: TopicGap | undefined;
  readonly #owner: SubscriptionOwner;
  readonly #call: CallingCall;
  #topic = 0;
  /** Of what has arrived. */
  #epoch = "";
  #offset = 0;
  /** Of what was consumed. */
  #readEpoch = "";
  #readOffset = 0;
  /** Offsets of the messages that wait for their reader. */
  #offsets: number[] = [];
  #head = 0;
  #marks: Map<number, Mark> | undefined;
  #arrived = 0;
  #taken = 0;
  #pieces: Pieces | undefined;
  /** Offset of a publication that was had before, whose later pieces may follow. */
  #dropped = 0;
  /** Id of the Position that was not answered yet; 0: none. */
  #asked = 0;
  #lastId = 0;
  /** Bytes that wait for their reader, and bytes consumed that the other side was not told of. */
  #held = 0;
  #freed = 0;
  #stale = false;

  constructor(owner: SubscriptionOwner, call: CallingCall) {
    this.#owner = owner;
    this.#call = call;
  }

  /** A gap that the reader has come to, and no message behind it yet. */
  get openGap(): TopicGap | undefined {
    const mark = this.#marks?.get(this.#taken);
    return mark?.told === true ? mark.gap : undefined;
  }

  /** Where another call has to begin that goes on behind what the reader has consumed. */
  get token(): string {
    return topicToken(this.#readEpoch, this.#readOffset);
  }

  // ---- from the other side -------------------------------------------------------------------------------------

  attached(frame: AttachedFrame): void {
    if (frame.epoch === "") throw violation("an Attached without an epoch");
    const isNew = this.#epoch === "";
    if (isNew) this.#begin(frame);
    if (frame.asks) {
      if (this.#asked === 0) this.locate();
      return;
    }
    // What was said before the other side knew where this one is does not count any more.
    if (frame.answers !== this.#asked) return;
    this.#asked = 0;
    this.#topic = frame.topic;
    this.#owner.numbered(this, frame.topic);
    if (frame.gap !== Gap.none) {
      this.#onGap(frame);
      this.#epoch = frame.epoch;
      this.#offset = frame.offset;
    }
    // What was consumed while nothing could be said.
    this.giveRoom();
    if (frame.stale !== this.#stale) {
      this.#stale = frame.stale;
      this.#tell(() => this.#call.topic?.onStale?.(frame.stale));
    }
  }

  publication({ offset, step, size, payload }: PublicationFrame): void {
    if (this.#asked !== 0) return;
    const pieces = this.#pieces;
    if (pieces !== undefined && pieces.offset === offset && size === 0) return this.#piece(pieces, payload);
    // What was not complete will not be: it was replaced, or is no longer kept.
    this.#pieces = undefined;
    if (offset <= this.#offset) return this.#hadBefore(offset, Math.max(size, payload.length));
    if (step !== 0 && offset - step > this.#offset) return this.locate();
    if (Math.max(size, payload.length) > this.#owner.messageBytes) {
      return this.#call.starved(tooLarge(size, this.#owner.messageBytes).rawMessage);
    }
    if (size > payload.length) {
      this.#pieces = { offset, whole: new Uint8Array(size), filled: 0 };
      return this.#piece(this.#pieces, payload);
    }
    this.#take(payload, offset);
  }

  /** Its reader got it, but the other side has counted it. */
  #hadBefore(offset: number, bytes: number): void {
    if (this.#dropped === offset) return;
    this.#dropped = offset;
    this.#freed += bytes + PAYLOAD_COST;
    this.giveRoom();
  }

  #piece(pieces: Pieces, payload: Uint8Array): void {
    const { whole, filled, offset } = pieces;
    if (filled + payload.length > whole.length)
      throw violation(`publication ${offset} is longer than it said`);
    whole.set(payload, filled);
    pieces.filled += payload.length;
    if (pieces.filled < whole.length) return;
    this.#pieces = undefined;
    this.#take(whole, offset);
  }

  #take(payload: Uint8Array, offset: number): void {
    this.#offset = offset;
    this.#held += payload.length + PAYLOAD_COST;
    this.#arrived++;
    this.#offsets.push(offset);
    this.#call.receiver.deliver(payload);
    this.#call.received();
  }

  #begin({ epoch, offset }: AttachedFrame): void {
    this.#epoch = epoch;
    this.#offset = offset;
    const { resumeToken } = this.#call;
    // What the reader has is what it has said, until it reads on; a gap in front of the first message is told from there.
    const [from = "", read = "0"] = resumeToken.split(":");
    this.#readEpoch = from === "" ? epoch : from;
    this.#readOffset = from === "" ? offset : Number(read);
    const gap = this.#call.openGap;
    if (this.#readEpoch !== epoch || gap !== undefined) this.#mark({ epoch, gap, told: true });
  }

  // ---- gaps ----------------------------------------------------------------------------------------------------

  #onGap({ gap: number, epoch, offset }: AttachedFrame): void {
    this.#pieces = undefined;
    const waits = this.#arrived > this.#taken;
    const from = waits ? topicToken(this.#epoch, this.#offset) : this.token;
    const gap: TopicGap = { reason: REASONS[number] ?? "unknown", from, to: topicToken(epoch, offset) };
    this.#mark({ epoch, gap, told: !waits });
    if (waits) return;
    // With nothing before it, the reader has come to it.
    this.#readEpoch = epoch;
    this.#readOffset = offset;
    this.#tell(() => this.#call.topic?.onGap?.(gap));
  }

  /** Something is new from the next message on. Two gaps without a message in between are one. */
  #mark({ epoch, gap, told }: Mark): void {
    this.#marks ??= new Map();
    const before = this.#marks.get(this.#arrived)?.gap;
    const whole = before === undefined ? gap : { ...(gap ?? before), from: before.from };
    this.#marks.set(this.#arrived, { epoch, gap: whole, told });
  }

  // ---- for the reader ------------------------------------------------------------------------------------------

  pass(): void {
    this.#arrived++;
    this.#offsets.push(ASIDE);
  }

  consumed(bytes: number): boolean {
    const offset = this.#offsets[this.#head++] as number;
    if (this.#head === this.#offsets.length) {
      this.#offsets.length = 0;
      this.#head = 0;
    } else if (this.#head > 1024) {
      this.#offsets = this.#offsets.slice(this.#head);
      this.#head = 0;
    }
    const ordinal = this.#taken++;
    this.gap = undefined;
    if (this.#marks !== undefined && this.#marks.size > 0) this.#pastMark(ordinal, offset);
    if (offset === ASIDE) return false;
    this.#readOffset = offset;
    this.#held -= bytes + PAYLOAD_COST;
    this.#freed += bytes + PAYLOAD_COST;
    const { topic } = this.#call;
    if (topic?.onPosition !== undefined) this.#tell(() => topic.onPosition?.(this.token));
    return true;
  }

  #pastMark(ordinal: number, offset: number): void {
    const mark = this.#marks?.get(ordinal);
    if (mark === undefined) return;
    this.#marks?.delete(ordinal);
    // A message aside has no place in the topic: what is new begins behind it.
    if (offset === ASIDE) {
      if (this.#marks?.has(ordinal + 1) !== true) this.#marks?.set(ordinal + 1, mark);
      return;
    }
    this.#readEpoch = mark.epoch;
    this.gap = mark.gap;
    const { gap } = mark;
    if (gap !== undefined && !mark.told) this.#tell(() => this.#call.topic?.onGap?.(gap));
  }

  /** Tells the application. What it throws ends its call: what it was told is lost. */
  #tell(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.#call.cancel(Code.Canceled, RpcError.from(error, Code.Unknown));
    }
  }

  giveRoom(): void {
    if (this.#asked !== 0 || this.#freed * 2 < this.#owner.window) return;
    const room = this.#freed;
    this.#freed = 0;
    this.#owner.send({ ...this.#position(room), id: 0 });
  }

  close(): void {
    this.#owner.left(this, this.#topic);
  }

  /** Says where this one is, and asks for what comes behind it. */
  locate(): void {
    this.#pieces = undefined;
    this.#freed = 0;
    this.#lastId = (this.#lastId % MAX_ID) + 1;
    this.#asked = this.#lastId;
    this.#owner.send(this.#position(Math.max(0, this.#owner.window - this.#held)));
  }

  #position(room: number): PositionFrame {
    return {
      kind: "position",
      call: this.#call.sender.id,
      epoch: this.#epoch,
      offset: this.#offset,
      id: this.#asked,
      room,
    };
  }
}

const MAX_ID = 0xffff_ffff;
const REASONS: readonly (GapReason | undefined)[] = [
  undefined,
  "noHistory",
  "historyTooShort",
  "newEpoch",
  "brokerLoss",
];
