/**
 * What a request looks like: a hash of 53 bits, which every database can hold as a number. It tells a key that was used
 * twice by mistake; it is no defence against somebody who looks for two requests with one hash, and would only fool
 * themselves.
 */
export function fingerprint(request: Uint8Array): number {
  const { length } = request;
  let a = 0x9e3779b1 ^ length;
  let b = 0x85ebca77 ^ length;
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    const word =
      (request[i] as number) |
      ((request[i + 1] as number) << 8) |
      ((request[i + 2] as number) << 16) |
      ((request[i + 3] as number) << 24);
    a = Math.imul(a ^ word, 0x2c1b3c6d);
    a ^= a >>> 15;
    b = Math.imul(b ^ word, 0x297a2d39);
    b ^= b >>> 13;
  }
  for (; i < length; i++) {
    const byte = request[i] as number;
    a = Math.imul(a ^ byte, 0x2c1b3c6d);
    b = Math.imul(b ^ byte, 0x297a2d39);
  }
  return mix(a) * 2 ** 21 + (mix(b) >>> 11);
}

/** The finisher of MurmurHash3: every bit of the input changes every bit of the output with even odds. */
function mix(hash: number): number {
  let mixed = hash;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
