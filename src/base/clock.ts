/**
 * Milliseconds that only go forward, from any origin. The shells hand one in (`performance.now`); tests hand in a
 * virtual one.
 */
export type Clock = () => number;

/** A number in [0, 1), as `Math.random` gives it; tests hand in a seeded one. */
export type Random = () => number;

/** Fills a new array of this many random bytes, from a source fit for secrets. */
export type RandomBytes = (length: number) => Uint8Array;
