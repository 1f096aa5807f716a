import { create, toBinary } from "@bufbuild/protobuf";
import { type Pipe as PipeMessage, PipePacketSchema, PipeSchema } from "../../../gen/hawser/v1/cluster_pb.js";
import { CloseCode } from "../../base/close.js";
import type { Bus } from "../../broker/bus.js";
import { type BroadcastLink, type LinkEvents, sendShared } from "../../driver/link.js";
import type { EncodedPacket } from "../../wire/encode.js";
import type { SharedPacket } from "../../wire/shared.js";
import { atEndOfTurn } from "../session.js";

/** What a pipe says to its owner beside what links say. */
export interface PipeEvents extends Omit<LinkEvents, "onMessage" | "onText"> {
  /** A packet. Its bytes count as on their way until {@link Pipe.take} was called for them. */
  onMessage(bytes: Uint8Array, plain: boolean): void;
}

/** What a pipe needs of the table it stands in. */
export interface PipeOwner {
  readonly bus: Bus;
  now(): number;
  onClosed(pipe: Pipe): void;
}

/** A batch is sent when it has this many bytes, else at the end of the turn. */
const BATCH_BYTES = 256 * 1024;
/** A message that is not acknowledged within this time is lost. */
const ACK_MS = 4_000;
/** Room that a message needs beside its packets, about. */
const OVERHEAD_BYTES = 1_024;
/** What was taken is told at once when it is this much; else with the next message, or in a moment. */
const TAKEN_BYTES = 64 * 1024;

/**
 * A link between two nodes: packets in order, over the bus. Nothing is sent again: when a message is lost, the pipe is
 * broken, and whoever stands behind it begins anew, as with any link.
 */
export class Pipe implements BroadcastLink {
  readonly kind = "node";
  readonly id: string;
  /** The node at the other end. */
  readonly node: string;
  readonly #owner: PipeOwner;
  #events: PipeEvents | undefined;
  #waiting: PipeMessage["packets"] = [];
  #waitingBytes = 0;
  #scheduled = false;
  #sentSeq = 0;
  #receivedSeq = 0;
  #toldSeq = 0;
  #ackedSeq = 0;
  /** Since when messages wait to be acknowledged. */
  #waitsSince = Number.POSITIVE_INFINITY;
  /** Bytes sent, and bytes of those that the other end has taken. */
  #sent = 0;
  #takenByOther = 0;
  #taken = 0;
  #told = 0;
  #closed = false;
  #full = false;
  /** What came before somebody listened, */
  #early: PipeMessage["packets"] = [];
  /** and that it has ended since. */
  #ended: { readonly code: number; readonly reason: string } | undefined;

  constructor(owner: PipeOwner, id: string, node: string) {
    this.#owner = owner;
    this.id = id;
    this.node = node;
  }

  /** Whoever stands at this end; called once. Tells at once of what came before, and of the end. */
  listen(events: PipeEvents): void {
    this.#events = events;
    const early = this.#early;
    this.#early = [];
    const ended = this.#ended;
    // The last words of a pipe that has ended are heard.
    for (const { data, plain } of early)
      if (ended !== undefined || !this.#closed) events.onMessage(data, plain);
    if (ended !== undefined) events.onClose(ended.code, ended.reason);
  }

  // ---- a link --------------------------------------------------------------------------------------------------

  get bufferedBytes(): number {
    return this.#sent - this.#takenByOther;
  }

  send({ head, body, plain }: EncodedPacket): void {
    const data = body === undefined ? new Uint8Array(head) : Buffer.concat([head, body]);
    this.pass(data, plain);
  }

  broadcast(packet: SharedPacket, plain: boolean): void {
    sendShared(this, packet, plain);
  }

  cork(): void {
    // Packets of a turn go together anyway.
  }

  uncork(): void {
    // See above.
  }

  close(code: number, reason: string): void {
    if (this.#closed) return;
    this.#flush({ code, reason });
    this.#end(code, reason);
  }

  // ---- a pipe --------------------------------------------------------------------------------------------------

  /** Sends a packet whose bytes nobody changes any more. */
  pass(data: Uint8Array, plain: boolean): void {
    if (this.#closed) return;
    if (data.length + OVERHEAD_BYTES > this.#owner.bus.maxPayload) {
      const reason = `a packet of ${data.length} bytes does not go from node to node (max_payload)`;
      return this.close(CloseCode.tooBig, reason);
    }
    const most = Math.min(BATCH_BYTES, this.#owner.bus.maxPayload - OVERHEAD_BYTES);
    if (this.#waitingBytes + data.length > most) this.#flush();
    this.#waiting.push(create(PipePacketSchema, { data, plain }));
    this.#waitingBytes += data.length + 8;
    this.#sent += data.length;
    this.#full ||= this.bufferedBytes > BATCH_BYTES / 2;
    this.#schedule();
  }

  /** Bytes of packets have gone on to where they belong. */
  take(bytes: number): void {
    this.#taken += bytes;
    if (this.#taken - this.#told >= TAKEN_BYTES) this.#flush();
    else this.#schedule();
  }

  /** A message from the other end. */
  receive(message: PipeMessage): void {
    if (this.#closed) return;
    const seq = Number(message.seq);
    // What the other end says of a pipe that it does not know has no number.
    if (seq !== 0 && seq !== this.#receivedSeq + 1) {
      return this.close(CloseCode.abnormal, "a message between two nodes was lost");
    }
    if (seq !== 0) {
      this.#receivedSeq++;
      this.#schedule();
    }
    this.#takenByOther = Math.max(this.#takenByOther, Number(message.taken));
    this.#acknowledged(Number(message.received));
    if (this.#events === undefined) this.#early.push(...message.packets);
    else
      for (const { data, plain } of message.packets) if (!this.#closed) this.#events.onMessage(data, plain);
    if (message.close !== undefined) return this.#end(message.close.code, message.close.reason);
    if (this.#full && this.bufferedBytes === 0) {
      this.#full = false;
      this.#events?.onDrain();
    }
  }

  #acknowledged(seq: number): void {
    if (seq <= this.#ackedSeq) return;
    this.#ackedSeq = seq;
    this.#waitsSince = seq === this.#sentSeq ? Number.POSITIVE_INFINITY : this.#owner.now();
  }

  /** The bus may lose a message and tell nobody; when it was the last one, no later one shows it. */
  check(now: number): void {
    if (now - this.#waitsSince > ACK_MS)
      this.close(CloseCode.abnormal, "a message between two nodes was lost");
  }

  /** The other end cannot be reached any more. */
  broken(reason: string): void {
    this.#end(CloseCode.restart, reason);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    atEndOfTurn(() => {
      this.#scheduled = false;
      const owes = this.#taken > this.#told || this.#receivedSeq > this.#toldSeq;
      if (this.#waiting.length > 0 || owes) this.#flush();
    });
  }

  #flush(close?: { readonly code: number; readonly reason: string }): void {
    if (this.#closed) return;
    const packets = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#told = this.#taken;
    this.#toldSeq = this.#receivedSeq;
    const counts = packets.length > 0 || close !== undefined;
    if (counts && this.#sentSeq++ === this.#ackedSeq) this.#waitsSince = this.#owner.now();
    const message = create(PipeSchema, {
      id: this.id,
      from: this.#owner.bus.node,
      seq: BigInt(counts ? this.#sentSeq : 0),
      received: BigInt(this.#receivedSeq),
      taken: BigInt(this.#taken),
      packets,
      ...(close === undefined ? {} : { close }),
    });
    try {
      this.#owner.bus.send(["node", this.node, "pipe"], toBinary(PipeSchema, message));
    } catch {
      // Other nodes cannot be reached at the moment, and what was to be sent is lost.
      this.broken("the other node cannot be reached");
    }
  }

  #end(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting = [];
    this.#owner.onClosed(this);
    if (this.#events === undefined) this.#ended = { code, reason };
    else this.#events.onClose(code, reason);
  }
}
