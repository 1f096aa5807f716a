/** `1234567` as `1,234,567`, on every machine alike. */
export function count(value: number | bigint): string {
  return value.toLocaleString("en-US");
}

/** Bytes with a decimal unit: `118.2 MB`. */
export function bytes(value: number | bigint): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let amount = Number(value);
  let unit = 0;
  while (amount >= 1_000 && unit < units.length - 1) {
    amount /= 1_000;
    unit += 1;
  }
  return `${unit === 0 ? amount : amount.toFixed(1)} ${units[unit]}`;
}

/** Milliseconds as `85 ms`, from a second up as `2.31 s`. */
export function time(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(2)} s`;
}

/** A share from 0 to 1 as `42 %`. */
export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/** Bytes in hexadecimal, as hashes are written. */
export function hex(value: Uint8Array): string {
  return Array.from(value, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
