import type { SessionSettings } from "./settings.js";
import type { SessionState } from "./state.js";

/**
 * Whether the other side is alive: any inbound bytes count; silence is questioned with a ping, and silence after that means that
 * the link is dead. So does a handshake that does not end, and a packet that is not acknowledged.
 */
export class Liveness {
  readonly #settings: SessionSettings;
  #intervalMs: number;
  #greetedAt = 0;
  #heardAt = 0;
  /** When the ping that is unanswered was sent; -1 when there is none, or something was heard since. */
  #questionedAt = -1;
  #pingId = 0;
  /** When the ping numbered `#pingId` was sent; -1 when its pong has come. */
  #measuredFrom = -1;
  #rttMs = -1;

  constructor(settings: SessionSettings) {
    this.#intervalMs = settings.pingIntervalMs;
    this.#settings = settings;
  }

  /** Last measured round-trip time in milliseconds; -1 before the first. */
  get rttMs(): number {
    return this.#rttMs;
  }

  /** The other side announced how often it pings; pinging more seldom than that would be of no use. */
  atMost(intervalMs: number): void {
    if (intervalMs > 0) this.#intervalMs = Math.min(this.#intervalMs, intervalMs);
  }

  /** A link came up, and the handshake begins. */
  greeted(now: number): void {
    this.#greetedAt = now;
    this.began(now);
  }

  /** A link came up, or was taken over. What was asked over the one before is not answered any more. */
  began(now: number): void {
    this.heard(now);
    this.#measuredFrom = -1;
  }

  /** Bytes arrived. */
  heard(now: number): void {
    this.#heardAt = now;
    this.#questionedAt = -1;
  }

  /** The number of a ping to send now, or `undefined` when it is not time. */
  ping(now: number): number | undefined {
    if (this.#questionedAt >= 0 || now < this.#heardAt + this.#intervalMs) return undefined;
    return this.question(now);
  }

  /** The number of a ping to send now, whatever the time. */
  question(now: number): number {
    this.#questionedAt = now;
    return this.measure(now);
  }

  /** The number of a ping that measures only: silence after it means nothing. */
  measure(now: number): number {
    this.#measuredFrom = now;
    return ++this.#pingId;
  }

  /** Whether the last ping is still to be answered. */
  get isUnanswered(): boolean {
    return this.#measuredFrom >= 0;
  }

  /** A pong arrived. */
  pong(id: number, now: number): void {
    if (id !== this.#pingId || this.#measuredFrom < 0) return;
    this.#rttMs = now - this.#measuredFrom;
    this.#measuredFrom = -1;
  }

  /**
   * Why the link must be cut, if it must.
   *
   * @param oldestWrittenAt when the oldest packet that is not acknowledged was written
   */
  verdict(state: SessionState, oldestWrittenAt: number, now: number): string | undefined {
    const { handshakeTimeoutMs, ackTimeoutMs, pingTimeoutMs } = this.#settings;
    if (state === "greeting" && now >= this.#greetedAt + handshakeTimeoutMs)
      return `no Welcome within ${handshakeTimeoutMs} ms`;
    if (state !== "open") return undefined;
    if (now >= oldestWrittenAt + ackTimeoutMs)
      return `a packet was not acknowledged within ${ackTimeoutMs} ms`;
    if (this.#questionedAt >= 0 && now >= this.#questionedAt + pingTimeoutMs)
      return `nothing was heard within ${pingTimeoutMs} ms of a ping`;
    return undefined;
  }

  /** When {@link Liveness.verdict} or {@link Liveness.ping} has something to say; `Infinity` for never. */
  deadline(state: SessionState, oldestWrittenAt: number): number {
    const { handshakeTimeoutMs, ackTimeoutMs, pingTimeoutMs } = this.#settings;
    // The handshake must end.
    if (state === "greeting") return this.#greetedAt + handshakeTimeoutMs;
    if (state !== "open") return Number.POSITIVE_INFINITY;
    return Math.min(
      // What was sent must be acknowledged, or the link is broken without saying so.
      oldestWrittenAt + ackTimeoutMs,
      // Silence must be questioned, and the question answered.
      this.#questionedAt < 0 ? this.#heardAt + this.#intervalMs : this.#questionedAt + pingTimeoutMs,
    );
  }
}
