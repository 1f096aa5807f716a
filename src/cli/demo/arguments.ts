import { object } from "@optique/core/constructs";
import { optional, withDefault } from "@optique/core/modifiers";
import type { Parser } from "@optique/core/parser";
import { flag, option } from "@optique/core/primitives";
import { integer } from "@optique/core/valueparser";
import { say } from "../values.js";

/** What `hawser demo` is told. */
export interface DemoArguments {
  readonly once: boolean;
  readonly port: number | undefined;
  readonly seed: number | undefined;
  readonly cuts: number | undefined;
}

/** Options of `hawser demo`. */
export const demoOptions: Parser<"sync", DemoArguments> = object({
  once: withDefault(
    flag("--once", {
      description: say("Ends after the account; the exit code is 0 only when every check held."),
    }),
    false,
    { message: [] },
  ),
  port: optional(
    option("--port", integer({ metavar: "N", min: 0, max: 65_535 }), {
      description: say("Port of the page, on this machine only. Default: 4280; with --once any free one."),
    }),
  ),
  seed: optional(
    option("--seed", integer({ metavar: "N", min: 0, max: 4_294_967_295 }), {
      description: say("Decides where and how the link is cut. Default: a new one, which is printed."),
    }),
  ),
  cuts: optional(
    option("--cuts", integer({ metavar: "N", min: 0, max: 50 }), {
      description: say("How often the link is cut. Default: 5."),
    }),
  ),
});
