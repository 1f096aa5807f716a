/** Bytes that are fetched at a time: asking for a few costs about as much as asking for many. */
const POOL_BYTES = 1_024;

/** Makes a source of random bytes that asks the platform's for many at a time, and gives each out once. */
export function pooled(fill: (into: Uint8Array<ArrayBuffer>) => unknown): (into: Uint8Array) => void {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  return (into) => {
    if (into.length > POOL_BYTES) throw new RangeError(`${into.length} random bytes at once are too many`);
    if (used + into.length > POOL_BYTES) {
      fill(pool);
      used = 0;
    }
    for (let i = 0; i < into.length; i++) {
      into[i] = pool[used] as number;
      pool[used++] = 0;
    }
  };
}
