import { object } from "@optique/core/constructs";
import { optional, withDefault } from "@optique/core/modifiers";
import type { Parser } from "@optique/core/parser";
import { flag, option } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";
import { durationValue, say } from "../values.js";

/** What `hawser call` is told about the call. */
export interface RequestArguments {
  readonly data: string | undefined;
  readonly timeout: number | undefined;
  readonly key: string | undefined;
  readonly emitDefaults: boolean;
  readonly verbose: boolean;
}

/** Tells more. */
export const verboseOption: Parser<"sync", boolean> = withDefault(
  flag("-v", "--verbose", {
    description: say("Tells about metadata, timing and session on the standard error."),
  }),
  false,
  { message: [] },
);

/** Fields with their default values too. */
export const emitDefaultsOption: Parser<"sync", boolean> = withDefault(
  flag("--emit-defaults", { description: say("Prints fields that have their default values too.") }),
  false,
  { message: [] },
);

/** Options of `hawser call`. */
export const requestOptions: Parser<"sync", RequestArguments> = object("The call", {
  data: optional(
    option("-d", "--data", string({ metavar: "JSON" }), {
      description: say(
        "The request in JSON; @file reads it from a file, @- from the standard input. Methods that take a stream get each message as soon as it is there: on lines of their own, or one behind the other. Default: an empty message, or an empty stream.",
      ),
    }),
  ),
  timeout: optional(
    option("--timeout", durationValue(1), { description: say("Deadline of the call. Default: none.") }),
  ),
  key: optional(
    option("--key", string({ metavar: "KEY" }), {
      description: say(
        "Idempotency key: the server runs the method to completion once for it. For unary methods.",
      ),
    }),
  ),
  emitDefaults: emitDefaultsOption,
  verbose: verboseOption,
});
