import { object } from "@optique/core/constructs";
import { optional, withDefault } from "@optique/core/modifiers";
import type { Parser } from "@optique/core/parser";
import { flag, option } from "@optique/core/primitives";
import { integer } from "@optique/core/valueparser";
import { durationValue, say } from "../values.js";

/** What `hawser watch` is told about what to show. */
export interface ViewArguments {
  /** In milliseconds. */
  readonly interval: number;
  readonly count: number | undefined;
  readonly json: boolean;
}

/** Options of `hawser watch`. */
export const viewOptions: Parser<"sync", ViewArguments> = object("The view", {
  interval: withDefault(
    option("--interval", durationValue(250), {
      description: say("Time between two looks, from 250ms to 60s."),
    }),
    1_000,
    { message: say("1s") },
  ),
  count: optional(
    option("-n", "--count", integer({ metavar: "N", min: 1 }), {
      description: say("Ends after so many looks. Default: at Ctrl-C."),
    }),
  ),
  json: withDefault(
    flag("--json", {
      description: say(
        "Prints one look on each line as JSON: the last second's figures, and the first connections, calls, methods and topics.",
      ),
    }),
    false,
    { message: [] },
  ),
});
