/** An acknowledgement does not wait for a packet to ride on once this many packets or bytes are unacknowledged. */
const ACK_PACKETS = 64;
const ACK_BYTES = 128 * 1024;

/** What a packet number says. */
export type Arrival = "next" | "duplicate" | "gap";

/** What has been received, and what of it still has to be acknowledged. */
export class Inbox {
  readonly #delayMs: number;
  #received = 0;
  #owedPackets = 0;
  #owedBytes = 0;
  #dueAt: number = Number.POSITIVE_INFINITY;

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
