import { windowFull } from "./errors.js";

/** What a publication takes up beside its payload, about. */
const OVERHEAD = 256;

/** Bytes that all publications of a broker share while they are on their way. */
export class PublishBudget {
  readonly #maxBytes: number;
  #used = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Takes what a payload needs. One is let through however large it is, when nothing else is on its way.
   *
   * @throws RpcError RESOURCE_EXHAUSTED when there is not enough left.
   */
  take(payload: Uint8Array): number {
    const bytes = payload.byteLength + OVERHEAD;
    if (this.#used > 0 && this.#used + bytes > this.#maxBytes) throw windowFull(this.#maxBytes);
    this.#used += bytes;
    return bytes;
  }

  /** Gives back what {@link PublishBudget.take} took. */
  give(bytes: number): void {
    this.#used -= bytes;
  }
}
