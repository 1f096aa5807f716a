/** A number in [0, 1), like `Math.random`, but the same row of numbers for the same seed. */
export type Random = () => number;

/** Seeds are whole numbers from 0 to this one. */
export const MAX_SEED = 0xffff_ffff;

/** A seed that nobody chose, to be printed so that it can be given again. */
export function freshSeed(): number {
  return Math.floor(Math.random() * (MAX_SEED + 1));
}

/** A generator of random numbers from a seed: the additive Weyl sequence with a mixing step known as mulberry32. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / (MAX_SEED + 1);
  };
}
