/** What a query gives at most. */
const MAX_LIMIT = 500;
const DEFAULT_LIMIT = 50;

/** How many a query wants, within bounds. */
export function limitOf(limit: number): number {
  return limit === 0 ? DEFAULT_LIMIT : Math.min(limit, MAX_LIMIT);
}

/** Things with what they are sorted by. */
export interface Ranked<T> {
  readonly item: T;
  readonly rank: number | string;
}

/**
 * A part of a list in its order. Things of one rank stay in the order in which they came.
 *
 * @param ascending smallest first
 */
export function pageOf<T>(
  ranked: Ranked<T>[],
  {
    ascending,
    offset,
    limit,
  }: { readonly ascending: boolean; readonly offset: number; readonly limit: number },
): T[] {
  const sign = ascending ? 1 : -1;
  ranked.sort((a, b) => (a.rank === b.rank ? 0 : a.rank < b.rank ? -sign : sign));
  return ranked.slice(offset, offset + limitOf(limit)).map(({ item }) => item);
}

/** A test for texts that hold this one, in any case; everything holds `""`. */
export function matcher(filter: string): (...texts: readonly string[]) => boolean {
  const wanted = filter.trim().toLowerCase();
  if (wanted === "") return () => true;
  return (...texts) => texts.some((text) => text.toLowerCase().includes(wanted));
}
