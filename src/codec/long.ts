/** The two halves of 64-bit numbers, through memory that both views share: several times faster than arithmetic on bigints. */
const words = new Uint32Array(2);
const signed = new BigInt64Array(words.buffer);
const unsigned = new BigUint64Array(words.buffer);

/** Whether the halves, and the bytes of floating-point numbers, are in the order of the wire. */
export const LITTLE_ENDIAN: boolean = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** The lower half of the number that was split last, as an int32. */
export function low(): number {
  return (words[0] as number) | 0;
}

/** The upper half of the number that was split last, as an int32. */
export function high(): number {
  return (words[1] as number) | 0;
}

/** Splits an int64; `false` when it is larger. Throws when it is no bigint. */
export function splitInt64(value: bigint): boolean {
  signed[0] = value;
  return signed[0] === value;
}

/** Splits a uint64; `false` when it is larger. Throws when it is no bigint. */
export function splitUint64(value: bigint): boolean {
  unsigned[0] = value;
  return unsigned[0] === value;
}

/** The int64 of two halves. */
export function joinInt64(lo: number, hi: number): bigint {
  words[0] = lo;
  words[1] = hi;
  return signed[0] as bigint;
}

/** The uint64 of two halves. */
export function joinUint64(lo: number, hi: number): bigint {
  words[0] = lo;
  words[1] = hi;
  return unsigned[0] as bigint;
}
