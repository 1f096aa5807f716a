// Values that options take.

import type { Message } from "@optique/core/message";
import { message, text } from "@optique/core/message";
import type { Suggestion } from "@optique/core/parser";
import type { ValueParser } from "@optique/core/valueparser";
import { messageOf } from "./failure.js";

/** Plain words, as the parser's help and errors take them. */
export function say(words: string): Message {
  return [text(words)];
}

/**
 * A value that a function reads; what it throws is what the user is told.
 *
 * @param placeholder any value of the type
 */
export function customValue<T>(
  metavar: `${string & {}}`,
  parse: (text: string) => T,
  placeholder: T,
  suggest?: () => readonly Suggestion[],
): ValueParser<"sync", T> {
  return {
    mode: "sync",
    metavar: metavar as "VALUE",
    placeholder,
    parse(words) {
      try {
        return { success: true, value: parse(words) };
      } catch (error) {
        return { success: false, error: message`${text(messageOf(error))}` };
      }
    },
    format: String,
    ...(suggest === undefined ? {} : { suggest }),
  };
}

/** A path; the shell completes it. */
export function pathValue(metavar: `${string & {}}`): ValueParser<"sync", string> {
  return customValue(
    metavar,
    (path) => path,
    "",
    () => [{ kind: "file", type: "any" }],
  );
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** `500ms`, `30s`, `2m`, `1h` in milliseconds; `undefined` when it is none of these. */
export function durationMs(words: string): number | undefined {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(words) ?? [];
  const factor = UNITS[unit];
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor;
}

/** A length of time, in milliseconds. */
export function durationValue(atLeastMs = 0): ValueParser<"sync", number> {
  const parse = (words: string) => {
    const ms = durationMs(words);
    if (ms === undefined) throw new Error(`"${words}" is no length of time, such as 500ms, 30s or 2m`);
    if (ms < atLeastMs) throw new Error(`"${words}" is shorter than ${atLeastMs} ms`);
    return ms;
  };
  return customValue("TIME", parse, 0);
}

/** How a length of time is written: the other way round of {@link durationMs}. */
export function durationText(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${Number((ms / 1_000).toFixed(1))} s` : `${Number((ms / 60_000).toFixed(1))} min`;
}
