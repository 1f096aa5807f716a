import { object } from "@optique/core/constructs";
import { multiple, optional, withDefault } from "@optique/core/modifiers";
import type { Parser } from "@optique/core/parser";
import { argument, flag, option } from "@optique/core/primitives";
import { integer } from "@optique/core/valueparser";
import { pathValue, say } from "../values.js";

/** What `hawser tune` is told. */
export interface TuneArguments {
  readonly paths: readonly string[];
  readonly lines: boolean;
  readonly delimited: boolean;
  readonly batch: number | undefined;
  readonly quick: boolean;
  readonly json: string | undefined;
}

/** Options of `hawser tune`. */
export const tuneOptions: Parser<"sync", TuneArguments> = object({
  paths: multiple(
    argument(pathValue("PATH"), {
      description: say("A file with sample messages as they travel, or a folder whose files are all read."),
    }),
    { min: 1 },
  ),
  lines: withDefault(
    flag("--lines", { description: say("One message on each line, instead of one in each file.") }),
    false,
    { message: [] },
  ),
  delimited: withDefault(
    flag("--delimited", {
      description: say("Each message behind its length as a varint, as protobuf writes streams."),
    }),
    false,
    { message: [] },
  ),
  batch: optional(
    option("--batch", integer({ metavar: "N", min: 1 }), {
      description: say(
        "Messages that travel in one packet. Default: 1 and 16, as for a lone call and for many at once.",
      ),
    }),
  ),
  quick: withDefault(
    flag("--quick", { description: say("Times everything once: for a look, not for a figure.") }),
    false,
    { message: [] },
  ),
  json: optional(
    option("--json", pathValue("FILE"), { description: say("Writes all figures to a file, as JSON.") }),
  ),
});
