import { object } from "@optique/core/constructs";
import { optional, withDefault } from "@optique/core/modifiers";
import type { Parser } from "@optique/core/parser";
import { flag, option } from "@optique/core/primitives";
import { integer, string } from "@optique/core/valueparser";
import { readTopicToken } from "../../rpc/topic.js";
import { emitDefaultsOption, verboseOption } from "../call/arguments.js";
import { customValue, say } from "../values.js";

/** What `hawser subscribe` is told about the subscription. */
export interface SubscriptionArguments {
  readonly data: string | undefined;
  readonly from: string | undefined;
  readonly last: number | undefined;
  readonly count: number | undefined;
  readonly positions: boolean;
  readonly emitDefaults: boolean;
  readonly verbose: boolean;
}

function position(text: string): string {
  if (!readTopicToken(text)?.epoch)
    throw new Error(`"${text}" is no position; one looks like 6f1c:42, as --positions prints it`);
  return text;
}

/** Options of `hawser subscribe`. */
export const subscriptionOptions: Parser<"sync", SubscriptionArguments> = object("The subscription", {
  data: optional(
    option("-d", "--data", string({ metavar: "JSON" }), {
      description: say(
        "The request in JSON; @file reads it from a file, @- from the standard input. Default: an empty message.",
      ),
    }),
  ),
  from: optional(
    option("--from", customValue("POSITION", position, ""), {
      description: say(
        "Begins behind this position (epoch:offset), as --positions or the end of an earlier run has given it. What is no longer kept is told as a gap.",
      ),
    }),
  ),
  last: optional(
    option("--last", integer({ metavar: "N", min: 0 }), {
      description: say(
        "Begins with so many of the newest publications that are kept. Default: with the next one.",
      ),
    }),
  ),
  count: optional(
    option("-n", "--count", integer({ metavar: "N", min: 1 }), {
      description: say("Ends after so many messages. Default: at Ctrl-C."),
    }),
  ),
  positions: withDefault(
    flag("-p", "--positions", {
      description: say(
        'Prints {"position": …, "message": …} instead of the message alone, and gaps as {"gap": …} among them.',
      ),
    }),
    false,
    { message: [] },
  ),
  emitDefaults: emitDefaultsOption,
  verbose: verboseOption,
});
