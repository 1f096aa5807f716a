import type { EncodedPacket } from "../../wire/encode.js";

/** Stands in for the session's outbox in the build without it: keeps nothing, and every packet has number 1. */
export class Outbox {
  readonly bytes = 0;
  readonly size = 0;
  readonly lastSeq: number = Number.MAX_SAFE_INTEGER;
  readonly ackedSeq: number = Number.MAX_SAFE_INTEGER;
  readonly oldestWrittenAt: number = Number.POSITIVE_INFINITY;
  readonly nextSeq = 1;
  readonly hasUnwritten = false;

  add(_packet: EncodedPacket, _now: number): void {
    // What is lost is lost.
  }

  takeUnwritten(_now: number): EncodedPacket | undefined {
    return undefined;
  }

  acknowledge(_seq: number): void {
    // See above.
  }

  rewind(): void {
    // See above.
  }

  clear(): void {
    // See above.
  }
}
