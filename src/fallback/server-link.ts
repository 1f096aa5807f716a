import type { IncomingMessage, ServerResponse } from "node:http";
import { CloseCode } from "../base/close.js";
import type { BroadcastLink, LinkEvents, LinkKind } from "../driver/link.js";
import { sendShared } from "../driver/link.js";
import type { TimerItem, Timers } from "../driver/timers.js";
import type { EncodedPacket } from "../wire/encode.js";
import type { SharedPacket } from "../wire/shared.js";
import { Downstream } from "./downstream.js";
import { CLOSE_TIMEOUT_MS, HOLD_MS } from "./protocol.js";
import { decodeClose, encodeClose, type HttpRecord, RecordKind } from "./records.js";
import { refuse, reply, Upstream } from "./upstream.js";

/** What a {@link ServerHttpLink} is made with. */
export interface ServerHttpLinkInit {
  readonly timers: Timers;
  readonly maxPacketBytes: number;
  /** Without a request to answer for this long, the link counts as gone, in milliseconds. */
  readonly silenceMs: number;
  readonly events: LinkEvents;
  /** Bytes have come in that are no message yet. */
  readonly onBytes: (bytes: number) => void;
  /** A request has come that brings nothing. */
  readonly onRequest: () => void;
  /** The link is gone: no request can reach it any more. */
  readonly onGone: () => void;
}

/** A server's link over HTTP: many requests of one client. */
export class ServerHttpLink implements BroadcastLink, TimerItem {
  dueAt: number = Number.POSITIVE_INFINITY;
  heapIndex = -1;
  readonly #init: ServerHttpLinkInit;
  readonly #up: Upstream;
  readonly #down: Downstream;
  /** Why it is being closed. */
  #closing: { readonly code: number; readonly reason: string; readonly giveUpAt: number } | undefined;
  #gone = false;
  /** When a request last came, or was answered. */
  #seenAt: number;
  #polledAt = 0;
  #streamSince: number | undefined;

  constructor(init: ServerHttpLinkInit) {
    this.#init = init;
    const { timers, maxPacketBytes, events, silenceMs, onBytes } = init;
    this.#up = new Upstream(maxPacketBytes, {
      onBytes,
      onRecord: (record) => this.#onRecord(record),
      onBroken: (code, reason) => this.close(code, reason),
    });
    this.#down = new Downstream(
      timers.clock,
      () => {
        if (!this.#gone) events.onDrain();
      },
      () => this.#onGap(),
    );
    this.#seenAt = timers.clock();
    timers.atLatest(this, this.#seenAt + Math.min(silenceMs, HOLD_MS));
  }

  get kind(): LinkKind {
    return this.#down.isStreamed ? "http-stream" : "http-poll";
  }

  get bufferedBytes(): number {
    return this.#down.bufferedBytes;
  }

  send(packet: EncodedPacket): void {
    if (!this.#gone && this.#closing === undefined) this.#down.send(packet);
  }

  broadcast(packet: SharedPacket, plain: boolean): void {
    sendShared(this, packet, plain);
  }

  cork(): void {
    this.#down.cork();
  }

  uncork(): void {
    this.#down.uncork();
  }

  close(code: number, reason: string): void {
    if (this.#gone || this.#closing !== undefined) return;
    const { timers } = this.#init;
    this.#closing = { code, reason, giveUpAt: timers.clock() + CLOSE_TIMEOUT_MS };
    timers.atLatest(this, this.#closing.giveUpAt);
    this.#up.stop();
    this.#down.record(encodeClose(code, reason));
    this.#down.end(() => this.#finish(code, reason));
  }

  /** Handles no more of what comes until {@link ServerHttpLink.resume}; the client waits for its answers. */
  pause(): void {
    this.#up.pause();
  }

  resume(): void {
    this.#up.resume();
  }

  // ---- requests ------------------------------------------------------------------------------------------------

  onSend(number: number, request: IncomingMessage, response: ServerResponse): void {
    this.#seen();
    if (this.#gone || this.#closing !== undefined) {
      // The client learns the reason by the answer to its `poll`, or in its stream.
      request.resume();
      return reply(response, 204);
    }
    this.#up.take(number, request, response);
  }

  onPoll(number: number, request: IncomingMessage, response: ServerResponse): void {
    this.#seen();
    this.#init.onRequest();
    this.#polledAt = this.#seenAt;
    this.#init.timers.atLatest(this, this.#polledAt + HOLD_MS);
    if (!this.#down.poll(number, response)) refuse(request, response, 409, "this is not the next poll");
  }

  onStream(request: IncomingMessage, response: ServerResponse): void {
    this.#seen();
    this.#init.onRequest();
    if (!this.#down.open(response)) return refuse(request, response, 409, "there is a stream already");
    const { timers } = this.#init;
    this.#streamSince = timers.clock();
    timers.atLatest(this, this.#streamSince + HOLD_MS);
  }

  // ---- time ----------------------------------------------------------------------------------------------------

  expire(now: number): void {
    if (this.#gone) return;
    const { timers, silenceMs } = this.#init;
    if (this.#closing !== undefined && now >= this.#closing.giveUpAt) {
      const { code, reason } = this.#closing;
      return this.#finish(code, reason);
    }
    let next = this.#closing?.giveUpAt ?? Number.POSITIVE_INFINITY;
    if (this.#streamSince !== undefined) {
      if (now >= this.#streamSince + HOLD_MS) {
        this.#streamSince = undefined;
        this.#down.tidy();
      } else next = Math.min(next, this.#streamSince + HOLD_MS);
    }
    const silentAt = this.#seenAt + silenceMs + this.#down.answerMs;
    if (this.#down.isPolled) {
      if (now >= this.#polledAt + HOLD_MS) this.#down.release();
      else next = Math.min(next, this.#polledAt + HOLD_MS);
    } else if (!this.#down.isAttended) {
      if (now >= silentAt)
        return this.#finish(CloseCode.abnormal, `no request came for ${Math.round(now - this.#seenAt)} ms`);
      next = Math.min(next, silentAt);
    }
    timers.atLatest(this, next);
  }

  #seen(): void {
    this.#seenAt = this.#init.timers.clock();
  }

  /** The request that answers went out by is gone; of a stream, for good. */
  #onGap(): void {
    if (this.#gone) return;
    if (this.#down.isStreamed && !this.#down.isAttended && this.#closing === undefined) {
      return this.#finish(CloseCode.abnormal, "the stream broke");
    }
    this.#seen();
    this.#init.timers.atLatest(this, this.#seenAt + this.#init.silenceMs + this.#down.answerMs);
  }

  #onRecord({ kind, content }: HttpRecord): void {
    if (this.#gone || this.#closing !== undefined) return;
    const { events } = this.#init;
    switch (kind) {
      case RecordKind.packet:
        return events.onMessage(content);
      case RecordKind.close: {
        const { code, reason } = decodeClose(content);
        return this.#finish(code, reason);
      }
      case RecordKind.move:
        return this.#down.move();
      default:
        // A later revision may have more kinds.
        return;
    }
  }

  #finish(code: number, reason: string): void {
    if (this.#gone) return;
    this.#gone = true;
    const { timers, events, onGone } = this.#init;
    timers.delete(this);
    this.#up.stop();
    this.#down.destroy();
    onGone();
    events.onClose(code, reason);
  }
}
