// The commands, and how their arguments are read.
import { object, or } from "@optique/core/constructs";
import { runParser } from "@optique/core/facade";
import { lineBreak, type Message } from "@optique/core/message";
import { command, constant } from "@optique/core/primitives";
import { loadOptions } from "./bench/arguments.js";
import type { BenchArguments } from "./bench/run.js";
import { EXIT } from "./failure.js";
import { methodArgument, schemaOptions, targetOptions, urlArgument } from "./options.js";
import { say } from "./values.js";

/** What the user wants done. */
export type Wanted =
  | ({ readonly command: "bench" } & BenchArguments)
  /** All is done: help, a version or a completion was printed. */
  | { readonly command: "nothing"; readonly exitCode: number };

/** A usage line of our own: with all options in it, nobody would read it. */
const literal = (value: string) => ({ type: "literal" as const, value });

/** Examples below a command's help, one on each line. */
function examples(...lines: readonly string[]): Message {
  return [...say("Examples:"), ...lines.flatMap((line) => [lineBreak(), ...say(`  ${line}`)])];
}

const bench = command(
  "bench",
  object({
    command: constant("bench"),
    url: urlArgument,
    method: methodArgument,
    load: loadOptions,
    schema: schemaOptions,
    target: targetOptions,
  }),
  {
    brief: say("Put load on a method, and measure it."),
    description: say(
      "Calls a method over and over, and prints throughput, latencies by percentile and errors by code. Every kind of method can be called; of streams, messages count. Ctrl-C ends it with what was measured so far. The exit code is 0 when at least one call succeeded.",
    ),
    usageLine: [literal("URL METHOD [OPTION...]")],
    footer: examples(
      `hawser bench localhost:8080 eliza.v1.ElizaService/Say -d '{"sentence": "hi"}'`,
      `hawser bench localhost:8080 eliza.v1.ElizaService/Say -d @requests.json --rate 20000 -c 100 --duration 30s --json`,
    ),
  },
);

/**
 * Reads the arguments of the command line. Help and completions are printed here, and so is what is wrong with the arguments: one
 * line, exit code 2.
 */
export function readCommandLine(argv: readonly string[], version: string): Wanted {
  const nothing = (exitCode: number): Wanted => ({ command: "nothing", exitCode });
  return runParser(or(bench), "hawser", argv, {
    help: { command: true, option: { names: ["-h", "--help"] }, onShow: () => nothing(EXIT.ok) },
    version: { value: version, option: true, onShow: () => nothing(EXIT.ok) },
    completion: { command: true, onShow: () => nothing(EXIT.ok) },
    onError: () => nothing(EXIT.usage),
    aboveError: "none",
    usageLine: [literal("COMMAND [ARGUMENT...]")],
    showDefault: true,
    showChoices: true,
    termWidth: "auto",
    maxWidth: Math.min(process.stdout.columns ?? 110, 110),
    brief: say("Calls Hawser servers, and looks into them, from the command line."),
    footer: say(
      "The exit code is 0, or 2 for arguments that cannot be used, or eight times the status code of what failed.",
    ),
  });
}
