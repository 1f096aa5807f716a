import type { Outbox as Real } from "../../session/outbox.js";
import type { EncodedPacket } from "../../wire/encode.js";

/** Stands in for the session's outbox in the build without it: keeps nothing that was written, and every packet has number 1. */
export class Outbox implements Pick<Real, keyof Real> {
  readonly bytes = 0;
  readonly limit: number = Number.POSITIVE_INFINITY;
  readonly isFull = false;
  readonly fullSince: number = Number.POSITIVE_INFINITY;
  readonly size = 0;
  readonly lastSeq: number = Number.MAX_SAFE_INTEGER;
  readonly ackedSeq: number = Number.MAX_SAFE_INTEGER;
  readonly oldestWrittenAt: number = Number.POSITIVE_INFINITY;
  readonly nextSeq = 1;
  readonly writtenOnce = 0;
  readonly lastOpenWritten: number = Number.POSITIVE_INFINITY;
  readonly #unwritten: EncodedPacket[] = [];

  get hasUnwritten(): boolean {
    return this.#unwritten.length > 0;
  }

  canGoOnAfter(_seq: number): boolean {
    return false;
  }

  add(packet: EncodedPacket, _lastOpen: number): void {
    this.#unwritten.push(packet);
  }

  /** What is lost afterwards is lost. */
  takeUnwritten(_now: number): EncodedPacket | undefined {
    return this.#unwritten.shift();
  }

  acknowledge(_seq: number): void {
    // See above.
  }

  rewind(): void {
    // See above.
  }

  clear(): void {
    this.#unwritten.length = 0;
  }
}

/** Nothing is kept, so nothing is pinned. */
export function unpinned(packet: EncodedPacket): EncodedPacket {
  return packet;
}
