import type { Arrival, Inbox as Real } from "../../session/inbox.js";

/** Stands in for the session's inbox in the build without it: takes every packet, and acknowledges none. */
export class Inbox implements Pick<Real, keyof Real> {
  readonly received = 0;
  readonly dueAt: number = Number.POSITIVE_INFINITY;
  readonly owesMuch = false;

  arrive(_seq: number, _bytes: number, _now: number): Arrival {
    return "next";
  }

  limit(): void {
    // Whoever is measured is honest.
  }

  acknowledged(): void {
    // Nothing is owed.
  }

  clear(): void {
    // Nothing is kept.
  }
}
