/** How long a link may be silent; see `SessionSettings`. */
export interface LivenessSettings {
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
}

/**
 * Whether the other side is alive: any inbound bytes count; silence is questioned with a ping, and silence after that
 * means that the link is dead.
 */
export class Liveness {
  readonly #timeoutMs: number;
  #intervalMs: number;
  #heardAt = 0;
  /** When the ping that is unanswered was sent; -1 when there is none, or something was heard since. */
  #questionedAt = -1;
  #pingId = 0;
  /** When the ping numbered `#pingId` was sent; -1 when its pong has come. */
  #measuredFrom = -1;
  #rttMs = -1;

  constructor(settings: LivenessSettings) {
    this.#intervalMs = settings.pingIntervalMs;
    this.#timeoutMs = settings.pingTimeoutMs;
  }

  /** Last measured round-trip time in milliseconds; -1 before the first. */
  get rttMs(): number {
    return this.#rttMs;
  }

  /** The other side announced how often it pings; pinging more seldom than that would be of no use. */
  atMost(intervalMs: number): void {
    if (intervalMs > 0) this.#intervalMs = Math.min(this.#intervalMs, intervalMs);
  }

  /** Bytes arrived, or a link came up. */
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
    this.#measuredFrom = now;
    return ++this.#pingId;
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

  /** Whether a ping stayed without any sign of life for too long. */
  isDead(now: number): boolean {
    return this.#questionedAt >= 0 && now >= this.#questionedAt + this.#timeoutMs;
  }

  /** When {@link Liveness.ping} or {@link Liveness.isDead} has something to say. */
  get deadline(): number {
    return this.#questionedAt < 0 ? this.#heardAt + this.#intervalMs : this.#questionedAt + this.#timeoutMs;
  }
}
