import { CloseCode } from "../base/close.js";
import type { Peer } from "../rpc/peer.js";
import type { Link } from "./link.js";
import type { TimerItem, Timers } from "./timers.js";

/**
 * While the link has more than this to write, large messages wait: what is in the socket can no longer be overtaken by
 * heartbeats and small calls.
 */
export const BULK_MARK_BYTES: number = 128 * 1024;

/** An item that is due but cannot act yet (a link that does not drain) is asked again after this time. */
const RETRY_MS = 20;

/** Connects a {@link Peer} to a link and to the timers: writes what it has to write, at the right moment. */
export class Driver implements TimerItem {
  dueAt: number = Number.POSITIVE_INFINITY;
  heapIndex = -1;
  readonly #peer: Peer;
  readonly #timers: Timers;
  readonly #defer: (flush: () => void) => void;
  #link: Link | undefined;
  #scheduled = false;
  #flushing = false;

  /**
   * @param defer Calls a function at the end of this turn of the event loop, before any I/O.
   */
  constructor(peer: Peer, timers: Timers, defer: (flush: () => void) => void) {
    this.#peer = peer;
    this.#timers = timers;
    this.#defer = defer;
  }

  /** The link in use. */
  get link(): Link | undefined {
    return this.#link;
  }

  /** From now on packets are written to this link. The peer learns of it from its owner, who knows which side it is. */
  setLink(link: Link | undefined): void {
    this.#link = link;
  }

  /** A binary message arrived on the link. */
  receive(bytes: Uint8Array): void {
    this.#peer.receive(bytes, this.#timers.clock());
    this.watch();
  }

  /** Peer events: something to transmit. */
  wake(full: boolean): void {
    if (full) {
      this.flush();
      return;
    }
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#defer(this.#onTurnEnd);
  }

  /** Writes what there is. */
  flush(): void {
    const link = this.#link;
    if (link === undefined || this.#flushing) return;
    this.#flushing = true;
    const now = this.#timers.clock();
    try {
      let packet = this.#peer.transmit(now, link.bufferedBytes < BULK_MARK_BYTES);
      if (packet !== undefined) {
        const second = this.#peer.transmit(now, link.bufferedBytes + packet.bytes < BULK_MARK_BYTES);
        if (second === undefined) link.send(packet);
        else {
          link.cork();
          link.send(packet);
          packet = second;
          while (packet !== undefined) {
            link.send(packet);
            packet = this.#peer.transmit(now, link.bufferedBytes < BULK_MARK_BYTES);
          }
          link.uncork();
        }
      }
    } finally {
      this.#flushing = false;
    }
    this.watch();
  }

  /** Sees to it that the peer is called when its next deadline comes. */
  watch(): void {
    this.#timers.atLatest(this, this.#peer.deadline());
  }

  expire(now: number): void {
    this.#peer.expire(now);
    const next = this.#peer.deadline();
    this.#timers.atLatest(this, next <= now ? now + RETRY_MS : next);
  }

  /** Closes the link, if there is one. */
  cut(code: number, reason: string): void {
    this.#link?.close(code, reason);
  }

  /** A text message arrived. */
  text(): void {
    this.cut(CloseCode.textMessage, "Hawser speaks binary messages only");
  }

  /** No timer is left after this. */
  dispose(): void {
    this.#link = undefined;
    this.#timers.delete(this);
  }

  readonly #onTurnEnd = (): void => {
    this.#scheduled = false;
    this.flush();
  };
}
