const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

const bytes = new Uint8Array(16);

/**
 * A UUID of version 7 (RFC 9562, section 5.7): 48 bits of time, then 74 random bits. Keys that are made later sort later,
 * which is what the indexes of databases like best.
 *
 * @param now Milliseconds since the epoch.
 * @param random Fills an array with random bytes that nobody can guess.
 */
export function uuidV7(now: number, random: (into: Uint8Array) => void): string {
  random(bytes);
  const high = Math.floor(now / 2 ** 32);
  const low = now >>> 0;
  const h = (byte: number): string => HEX[byte & 0xff] as string;
  const r = (index: number): string => HEX[bytes[index] as number] as string;
  return (
    `${h(high >>> 8)}${h(high)}${h(low >>> 24)}${h(low >>> 16)}-${h(low >>> 8)}${h(low)}-` +
    `${h(0x70 | ((bytes[6] as number) & 0x0f))}${r(7)}-${h(0x80 | ((bytes[8] as number) & 0x3f))}${r(9)}-` +
    `${r(10)}${r(11)}${r(12)}${r(13)}${r(14)}${r(15)}`
  );
}
