/** Compressing has paid when this part of the bytes is left, or less. */
const WORTHWHILE = 0.9;
/** After so many packets in a row for which it has not, compressing stops for a while. */
const PATIENCE = 4;
/** Packets that go plain before it is tried again: this many at first, twice as many each time it was in vain. */
const FIRST_PAUSE = 16;
const LONGEST_PAUSE = 1_024;

/**
 * Decides packet by packet whether compressing is worth trying, by what has become of the packets before: images, archives
 * and what is encrypted do not get smaller, and finding that out for each of them costs more than sending them.
 */
export class Chooser {
  readonly #thresholdBytes: number;
  #failures = 0;
  #pause = FIRST_PAUSE;
  /** Packets that still go plain. */
  #plain = 0;

  constructor(thresholdBytes: number) {
    this.#thresholdBytes = thresholdBytes;
  }

  /** Whether to compress a packet of so many bytes. */
  shouldTry(bytes: number): boolean {
    if (bytes < this.#thresholdBytes) return false;
    if (this.#plain === 0) return true;
    this.#plain--;
    return false;
  }

  /** A packet was compressed. Gives whether the result is worth sending. */
  tried(before: number, after: number): boolean {
    if (after <= before * WORTHWHILE) {
      this.#failures = 0;
      this.#pause = FIRST_PAUSE;
      return true;
    }
    // Once it is in doubt, a single failure is enough.
    if (++this.#failures >= PATIENCE) {
      this.#plain = this.#pause;
      this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
      this.#failures = PATIENCE - 1;
    }
    return false;
  }
}
