/** A packet of call frames is written at this many frames at the latest, while the turn of the event loop goes on. */
export const BATCH_FRAMES = 16;

/** The same for the size of a packet: longer ones are slower, as docs/decisions/0009 has measured. */
export const BATCH_BYTES = 16_384;

/** With more calls in flight than this, full packets keep both sides busy. */
const MANY_CALLS = 48;

/** Fewer calls travel in about this many packets. */
const PACKETS_IN_FLIGHT = 6;

/** An answer that is not here within this time, in milliseconds, has a network to cross. */
const NEAR_MS = 1;

/** How slowly a fast answer is forgotten. */
const FORGETTING = 1 / 256;

/**
 * How many calls a packet takes before it is written: decided by how many calls of this process are in flight, on all
 * of its connections together.
 *
 * With few calls in one packet, two processes on one machine take turns: each works for less time than it takes to
 * wake the other, and sleeps while the other works. In more packets, one is worked on there while the next is made
 * here. Across a network that wins nothing, and costs what a packet costs.
 */
export class Pace {
  #calls = 0;
  /** Calls in flight of late: at the beginning of a turn all may have ended, only to be followed by as many. */
  #usual = 0;
  /** Time of the fastest answer of late, in milliseconds. */
  #fastest: number = Number.POSITIVE_INFINITY;

  /** A call was opened. */
  opened(): void {
    this.#calls++;
  }

  /** Calls have come to their ends. */
  closed(calls: number): void {
    this.#calls -= calls;
  }

  /** A packet was written. */
  written(): void {
    this.#usual = Math.max(this.#calls, this.#usual - 1);
  }

  /** A packet was acknowledged, in most cases by an answer, so many milliseconds after it was written. */
  acknowledged(ms: number): void {
    // Of a packet that was not written to this link, nobody knows.
    if (!(ms >= 0)) return;
    if (ms < this.#fastest) this.#fastest = ms;
    else if (this.#fastest < ms) this.#fastest += (ms - this.#fastest) * FORGETTING;
  }

  /** With so many frames a packet is written at once. */
  get frames(): number {
    const calls = this.#usual;
    if (calls === 0 || calls > MANY_CALLS || this.#fastest > NEAR_MS) return BATCH_FRAMES;
    return Math.max(1, Math.round(calls / PACKETS_IN_FLIGHT));
  }
}
