/**
 * What is not usual ends a codec's work at once, however deep it is. No stack is taken, for nobody ever sees this error: the
 * codec that was called answers NaN, -1 or `undefined`, and protobuf-es does the work.
 */
const UNUSUAL = new Error("not usual; protobuf-es does it");

/** Gives up. */
export function unusual(): never {
  throw UNUSUAL;
}

/** A value of a message, of which nothing is known until it has been looked at. */
// biome-ignore lint/suspicious/noExplicitAny: what comes from users' code is checked where it is written
export type Unchecked = any;
