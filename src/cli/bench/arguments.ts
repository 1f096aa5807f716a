import { object } from "@optique/core/constructs";
import { optional, withDefault } from "@optique/core/modifiers";
import type { Parser } from "@optique/core/parser";
import { flag, option } from "@optique/core/primitives";
import { float, integer, string } from "@optique/core/valueparser";
import { durationValue, say } from "../values.js";

/** What `hawser bench` is told about the load. */
export interface LoadArguments {
  readonly data: string | undefined;
  readonly connections: number;
  readonly inFlight: number;
  readonly rate: number | undefined;
  readonly duration: number;
  readonly warmUp: number;
  readonly timeout: number;
  readonly json: boolean;
  readonly quiet: boolean;
}

/** Options of `hawser bench`. */
export const loadOptions: Parser<"sync", LoadArguments> = object("The load", {
  data: optional(
    option("-d", "--data", string({ metavar: "JSON" }), {
      description: say(
        "The request in JSON; @file reads it from a file, @- from the standard input. Several requests, one behind the other, are sent in turn; methods that take a stream get all of them in each call. Default: an empty message.",
      ),
    }),
  ),
  connections: withDefault(
    option("-c", "--connections", integer({ metavar: "N", min: 1, max: 65_000 }), {
      description: say("Connections, opened some at a time before the load begins."),
    }),
    10,
    { message: say("10") },
  ),
  inFlight: withDefault(
    option("-i", "--in-flight", integer({ metavar: "N", min: 1, max: 1_000 }), {
      description: say("Calls that are in flight on each connection at most."),
    }),
    16,
    { message: say("16") },
  ),
  rate: optional(
    option("-r", "--rate", float({ metavar: "N", min: 0.01, max: 10_000_000 }), {
      description: say(
        "Calls per second that are made over all connections, whatever the answers do. Default: every answer is followed by the next call.",
      ),
    }),
  ),
  duration: withDefault(
    option("-t", "--duration", durationValue(1), { description: say("How long is measured.") }),
    10_000,
    { message: say("10s") },
  ),
  warmUp: withDefault(
    option("--warm-up", durationValue(), {
      description: say("Load before the measurement, so that both sides are warm."),
    }),
    1_000,
    { message: say("1s") },
  ),
  timeout: withDefault(
    option("--timeout", durationValue(1), {
      description: say(
        "Deadline of a call, and longest wait at the end. Streams of answers have none, and are cut at the end.",
      ),
    }),
    10_000,
    { message: say("10s") },
  ),
  json: withDefault(flag("--json", { description: say("Prints all figures as JSON.") }), false, {
    message: [],
  }),
  quiet: withDefault(flag("-q", "--quiet", { description: say("Shows no progress.") }), false, {
    message: [],
  }),
});
