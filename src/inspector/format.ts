import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { timestampMs } from "@bufbuild/protobuf/wkt";

/** A count, with separators. */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/** A number that need not be whole, short: 12.3k. */
export function short(value: number): string {
  if (value >= 1e6) return `${trim(value / 1e6)}M`;
  if (value >= 1e4) return `${trim(value / 1e3)}k`;
  return value >= 100 || Number.isInteger(value) ? count(value) : trim(value);
}

/** Bytes, with a unit. */
export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let left = value;
  while (left >= 1_024 && unit < units.length - 1) {
    left /= 1_024;
    unit++;
  }
  return `${unit === 0 ? Math.round(left) : trim(left)} ${units[unit]}`;
}

/** A length of time in milliseconds, with a unit. */
export function time(ms: number): string {
  if (ms === 0) return "0 s";
  if (ms < 1) return `${Math.round(ms * 1_000)} µs`;
  if (ms < 1_000) return `${ms < 10 ? trim(ms) : Math.round(ms)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 60) return `${trim(seconds)} s`;
  if (seconds < 3_600) return parts(seconds, 60, "min", 1, "s");
  if (seconds < 86_400) return parts(seconds, 3_600, "h", 60, "min");
  return parts(seconds, 86_400, "d", 3_600, "h");
}

function parts(seconds: number, large: number, name: string, small: number, smallName: string): string {
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)} ${name}${rest === 0 ? "" : ` ${rest} ${smallName}`}`;
}

/** A time of day. */
export function clock(at: Timestamp | undefined): string {
  return at === undefined ? "–" : new Date(timestampMs(at)).toLocaleTimeString("en-GB");
}

/** How long ago that is, by the server's own time. */
export function age(at: Timestamp | undefined, now: Timestamp | undefined): string {
  return at === undefined || now === undefined ? "–" : time(Math.max(0, timestampMs(now) - timestampMs(at)));
}

/** A part, in percent. */
export function percent(part: number): string {
  return `${Math.round(part * 100)} %`;
}

const CODES = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
];

/** Name of a status code. */
export function codeText(code: number): string {
  return CODES[code] ?? `CODE_${code}`;
}

/** How bad a status is: `good`, `warn` for what callers do wrong, `bad` for faults of the server. */
export function codeTone(code: number): "good" | "warn" | "bad" {
  if (code === 0) return "good";
  return [2, 4, 12, 13, 14, 15].includes(code) ? "bad" : "warn";
}

/** "Service/Method" of a full name, whose package is long. */
export function shortMethod(name: string): string {
  return name.slice(name.lastIndexOf(".", name.indexOf("/")) + 1);
}

function trim(value: number): string {
  return value.toFixed(value < 10 ? 1 : value < 100 ? 1 : 0).replace(/\.0$/, "");
}
