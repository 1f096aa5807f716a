import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import { readTopicToken, type TopicCall, type TopicLink, type TopicSubscriber } from "../rpc/topic.js";
import { Gap, type PositionFrame } from "../wire/frame.js";
import { attachedPacket, type TopicPacket } from "./packets.js";

/**
 * While a subscriber's link has more than this to write, the subscriber falls behind: what is in the socket cannot be
 * overtaken by small calls, nor be conflated.
 */
const MARK_BYTES = 128 * 1024;

/** Room never counts for more than this: it keeps hostile sums exact. */
const MAX_ROOM = 2 ** 48;

/** What a {@link Subscriber} needs of its topic. */
export interface SubscriberChannel {
  readonly number: number;
  readonly epoch: string;
  /** Of the newest publication that subscribers who keep up have got. */
  readonly head: number;
  readonly stale: boolean;
  /** Whoever comes begins with everybody's state, and whatever was missed is made good by it. */
  readonly tellsPresence: boolean;
  /** It is to get what comes from now on. */
  keepsUp(subscriber: Subscriber): void;
  /** It does not, until it has caught up. */
  fallsBehind(subscriber: Subscriber): void;
  /** Brings it on, as far as its link has room. */
  catchUp(subscriber: Subscriber): void;
  /** Where somebody begins who asks for the newest. */
  offsetBefore(count: number): number | Promise<number>;
  left(subscriber: Subscriber): void;
  began(): void;
  gapTold(): void;
}

/** How a subscriber stands to its topic. */
export type SubscriberState =
  /** It was never told that it is attached, or its client has to say first where it is. */
  | "awaiting"
  /** It has to catch up, when its link and its reader have room. */
  | "behind"
  /** What it has to catch up with is being read. */
  | "reading"
  /** It gets what is published. */
  | "live"
  | "over";

/** A call that gets its messages from a topic. */
export class Subscriber implements TopicSubscriber {
  readonly call: TopicCall;
  readonly channel: SubscriberChannel;
  /** What its publications are numbered with; not that of the topic when its session has another call attached to it. */
  readonly number: number;
  readonly plain: boolean;
  state: SubscriberState = "awaiting";
  /** Place among those that keep up; -1: not there. */
  index = -1;
  link: TopicLink | undefined;
  sent = 0;
  /** Of the last publication that it has got whole. */
  offset = 0;
  /** Pieces of the next publication that it has got. */
  pieces = 0;
  #pieceOf = 0;
  #epoch = "";
  /** Where it began: what has been written since may be lost, as long as its client has not said where it is. */
  #origin = { epoch: "", offset: 0 };
  #room: number;
  #maxRoom: number;
  #started = false;
  /** It was told on some link that it is attached. */
  #told = false;
  /** Its client has said that it knows. */
  #confirmed = false;

  constructor(channel: SubscriberChannel, call: TopicCall, number: number) {
    this.channel = channel;
    this.call = call;
    this.number = number;
    this.plain = call.plain;
    this.#room = call.window;
    this.#maxRoom = call.window;
    this.link = call.sink.link;
  }

  /** The topic can be followed: begins where the caller wants to. */
  async start(): Promise<void> {
    const { call, channel } = this;
    const token = call.resumeToken === "" ? undefined : readTopicToken(call.resumeToken);
    if (call.resumeToken !== "" && token === undefined) {
      const text = `"${call.resumeToken}" is no position in a topic`;
      return call.endTopic(new RpcError(text, Code.InvalidArgument, { executed: "no" }));
    }
    if (channel.tellsPresence && token?.epoch !== channel.epoch)
      return this.#begin(channel.epoch, 0, Gap.none);
    if (token === undefined) return this.#begin(channel.epoch, channel.head, Gap.none);
    if (token.epoch !== "") return this.#goTo(token.epoch, token.offset, 0);
    const offset = await channel.offsetBefore(token.offset);
    if (this.state !== "over") this.#begin(channel.epoch, offset, Gap.none);
  }

  /** Writes packets, as far as link and reader have room. Whether all were written. */
  write(packets: readonly TopicPacket[]): boolean {
    const { link } = this;
    if (link === undefined) return false;
    // The first ones may hold pieces that it has got; unless what those belong to was replaced meanwhile.
    if (this.pieces > 0 && packets[0]?.pieceOf !== this.#pieceOf) this.pieces = 0;
    for (let i = this.pieces; i < packets.length; i++) {
      const packet = packets[i] as TopicPacket;
      if ((this.pieces === 0 && this.#room <= 0) || link.bufferedBytes > MARK_BYTES) return false;
      link.broadcast(packet.shared, this.plain);
      this.#room -= packet.cost;
      this.offset = packet.last;
      this.pieces = packet.pieces;
      this.#pieceOf = packet.pieceOf;
      this.sent += packet.count;
    }
    return true;
  }

  /** It has its place in the topic. */
  get started(): boolean {
    return this.#started;
  }

  /** Whether something may be written to it now. */
  get hasRoom(): boolean {
    const { link } = this;
    return link !== undefined && this.#room > 0 && link.bufferedBytes <= MARK_BYTES;
  }

  /** Publications are missing; it goes on behind an offset. */
  skip(epoch: string, offset: number, gap: number): void {
    this.#epoch = epoch;
    this.offset = offset;
    this.pieces = 0;
    if (gap !== Gap.none) this.channel.gapTold();
    this.#tell({ gap });
  }

  /** Says again how things stand. */
  announce(): void {
    if (this.state !== "awaiting") this.#tell({});
  }

  // ---- from the client -----------------------------------------------------------------------------------------

  position({ id, epoch, offset, room }: PositionFrame): void {
    if (!this.#started || this.state === "over") return;
    this.#confirmed = true;
    if (id === 0) {
      this.#room = Math.min(this.#room + room, MAX_ROOM);
      if (this.state === "behind") this.channel.catchUp(this);
      return;
    }
    this.#room = Math.min(room, this.#maxRoom);
    this.#goTo(epoch, offset, id);
  }

  closed(): void {
    if (this.state === "over") return;
    this.channel.fallsBehind(this);
    this.state = "over";
    this.channel.left(this);
  }

  // ---- from the session ----------------------------------------------------------------------------------------

  linkUp(): void {
    this.linkDown();
    this.link = this.call.sink.link;
    // A client that knows says by itself where it is.
    if (!this.#started || this.#confirmed) return;
    if (this.#told) this.#tell({ asks: true });
    else this.#goTo(this.#epoch, this.offset, 0);
  }

  linkDown(): void {
    this.channel.fallsBehind(this);
    this.link = undefined;
    this.pieces = 0;
    this.state = "awaiting";
    if (this.#confirmed) return;
    this.#epoch = this.#origin.epoch;
    this.offset = this.#origin.offset;
    this.#room = this.#maxRoom;
  }

  drained(): void {
    if (this.state === "behind") this.channel.catchUp(this);
  }

  // ---- where it goes on ----------------------------------------------------------------------------------------

  #goTo(epoch: string, offset: number, answers: number): void {
    const { channel } = this;
    // It may be ahead of this node, which has not heard everything yet; what comes twice then, the client drops.
    if (epoch === channel.epoch) return this.#begin(epoch, offset, Gap.none, answers);
    this.#origin = { epoch, offset };
    // Another numbering: all that is kept of this one is new to it.
    const oldest = channel.offsetBefore(Number.MAX_SAFE_INTEGER);
    const gap = channel.tellsPresence ? Gap.none : Gap.newEpoch;
    if (typeof oldest === "number") return this.#begin(channel.epoch, oldest, gap, answers);
    this.channel.fallsBehind(this);
    this.state = "awaiting";
    const { link } = this;
    oldest.then(
      (found) => {
        // Before it has started, no other link has asked for anything.
        if (this.state === "awaiting" && (this.link === link || !this.#started))
          this.#begin(channel.epoch, found, Gap.newEpoch, answers);
      },
      (error: unknown) => this.call.endTopic(RpcError.from(error, Code.Unavailable)),
    );
  }

  #begin(epoch: string, offset: number, gap: number, answers = 0): void {
    this.channel.fallsBehind(this);
    if (!this.#started) this.channel.began();
    this.#started = true;
    // With a gap it began elsewhere; that is told again, should this be lost.
    if (gap === Gap.none) this.#origin = { epoch, offset };
    this.#epoch = epoch;
    this.offset = offset;
    this.pieces = 0;
    if (gap !== Gap.none) this.channel.gapTold();
    if (this.link === undefined) return;
    this.#tell({ gap, answers });
    this.#proceed();
  }

  #proceed(): void {
    this.#told = true;
    this.state = "behind";
    this.channel.catchUp(this);
  }

  #tell({ gap = 0, answers = 0, asks = false }: { gap?: number; answers?: number; asks?: boolean }): void {
    const { stale } = this.channel;
    const attached = { call: this.call.id, topic: this.number, epoch: this.#epoch, offset: this.offset };
    this.link?.broadcast(attachedPacket({ ...attached, answers, gap, asks, stale }), false);
  }
}
