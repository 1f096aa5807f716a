/**
 * Base-128 varints of numbers up to `Number.MAX_SAFE_INTEGER`: their size and how to write them.
 *
 * Sizes are computed before anything is written, so they are also where numbers are checked.
 */

/** Bytes of a uint64. Throws a `RangeError` for what is not a whole number from 0 to 2^53-1. */
export function uintBytes(value: number): number {
  // One test tells small integers, by far the most, from fractions, NaN and large numbers.
  if ((value | 0) === value && value >= 0) {
    return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5;
  }
  return largeBytes(value);
}

/** Bytes of a uint32. Throws a `RangeError` for what is not a whole number from 0 to 2^32-1. */
export function uint32Bytes(value: number): number {
  const bytes = uintBytes(value);
  if (value > 0xffff_ffff) throw new RangeError(`not a uint32: ${value}`);
  return bytes;
}

function largeBytes(value: number): number {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new RangeError(`not a whole number from 0 to 2^53-1: ${value}`);
  return value < 2 ** 35 ? 5 : value < 2 ** 42 ? 6 : value < 2 ** 49 ? 7 : 8;
}

/** Writes a number that {@link uintBytes} accepted; returns the position after it. */
export function writeUint(into: Uint8Array, at: number, value: number): number {
  if (value < 0x80) {
    into[at] = value;
    return at + 1;
  }
  return writeLong(into, at, value);
}

function writeLong(into: Uint8Array, at: number, value: number): number {
  let pos = at;
  let rest = value;
  while (rest > 0x7fff_ffff) {
    into[pos++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  while (rest >= 0x80) {
    into[pos++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  into[pos] = rest;
  return pos + 1;
}
