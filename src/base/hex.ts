/** Lower-case hexadecimal text of some bytes. */
export function hex(bytes: Uint8Array): string {
  const codes: number[] = [];
  for (const byte of bytes) codes.push(DIGITS.charCodeAt(byte >>> 4), DIGITS.charCodeAt(byte & 15));
  // In one go: a text that is put together piece by piece keeps all of its pieces.
  return String.fromCharCode(...codes);
}

const DIGITS = "0123456789abcdef";

/** Whether two byte strings are the same. Takes the same time wherever they differ. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number);
  return difference === 0;
}
