/** Seeds are whole numbers from 0 to this one. */
export const MAX_SEED = 0xffff_ffff;

/** A seed that nobody chose, to be printed so that it can be given again. */
export function freshSeed(): number {
  return Math.floor(Math.random() * (MAX_SEED + 1));
}
