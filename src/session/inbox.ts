import { CloseCode } from "../base/close.js";
import { TokenBucket } from "../base/token-bucket.js";
import { WireError } from "../wire/error.js";
import type { Frame } from "../wire/frame.js";

/** An acknowledgement does not wait for a packet to ride on once this many packets or bytes are unacknowledged. */
const ACK_PACKETS = 64;
const ACK_BYTES = 128 * 1024;

/** What a packet number says. */
export type Arrival = "next" | "duplicate" | "gap";

/** What may come without a number: honest sides send one control frame per ping interval or go-away. */
const CONTROLS_PER_SECOND = 100;
const CONTROLS_AT_ONCE = 1_000;
/** One for each topic when a link comes back, and one for each half of a window that was consumed. */
const POSITIONS_PER_SECOND = 10_000;
const POSITIONS_AT_ONCE = 10_000;

/** What has been received: what of it still has to be acknowledged, and whether too much comes that needs no acknowledgement. */
export class Inbox {
  readonly #delayMs: number;
  #received = 0;
  #owedPackets = 0;
  #owedBytes = 0;
  #dueAt: number = Number.POSITIVE_INFINITY;
  /** What the other side may say without end, since it waits for nothing and costs it nothing. */
  #controls: TokenBucket | undefined;
  #positions: TokenBucket | undefined;

  constructor(ackDelayMs: number) {
    this.#delayMs = ackDelayMs;
  }

  /** Highest number received without a gap. */
  get received(): number {
    return this.#received;
  }

  /** When an acknowledgement must go out even if nothing else does; `Infinity` when none is owed. */
  get dueAt(): number {
    return this.#dueAt;
  }

  /** A numbered packet arrived. A duplicate is acknowledged again: the first acknowledgement was lost with its link. */
  arrive(seq: number, bytes: number, now: number): Arrival {
    if (seq > this.#received + 1) return "gap";
    if (this.#dueAt === Number.POSITIVE_INFINITY) this.#dueAt = now + this.#delayMs;
    this.#owedPackets++;
    this.#owedBytes += bytes;
    if (seq <= this.#received) return "duplicate";
    this.#received = seq;
    return "next";
  }

  /**
   * A packet without a number brought these. Publications are what the other side is asked for; all else costs something, and is
   * asked for by nobody.
   *
   * @throws WireError when there are too many
   */
  limit(frames: readonly Frame[], now: number): void {
    let controls = 0;
    let positions = 0;
    for (const { kind } of frames) {
      if (kind === "position" || kind === "attached") positions++;
      else if (kind !== "publication") controls++;
    }
    if (controls > 0) {
      this.#controls ??= new TokenBucket(CONTROLS_PER_SECOND, CONTROLS_AT_ONCE);
      charge(this.#controls, controls, now, `${CONTROLS_PER_SECOND} control`);
    }
    if (positions > 0) {
      this.#positions ??= new TokenBucket(POSITIONS_PER_SECOND, POSITIONS_AT_ONCE);
      charge(this.#positions, positions, now, `${POSITIONS_PER_SECOND} position`);
    }
  }

  /** Whether so much is unacknowledged that the other side should hear of it now. */
  get owesMuch(): boolean {
    return this.#owedPackets >= ACK_PACKETS || this.#owedBytes >= ACK_BYTES;
  }

  /** A packet with {@link Inbox.received} in it goes out, or the link is gone: a handshake acknowledges all there is. */
  acknowledged(): void {
    this.#owedPackets = 0;
    this.#owedBytes = 0;
    this.#dueAt = Number.POSITIVE_INFINITY;
  }

  /** A new session: numbers begin again. */
  clear(): void {
    this.#received = 0;
    this.acknowledged();
  }
}

function charge(bucket: TokenBucket, count: number, now: number, most: string): void {
  if (bucket.take(count, now) > 0)
    throw new WireError(`more than ${most} frames per second`, CloseCode.tooMany);
}
