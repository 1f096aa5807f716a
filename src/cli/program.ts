// The commands, and how their arguments are read.
import { object, or } from "@optique/core/constructs";
import { runParser } from "@optique/core/facade";
import { lineBreak, type Message } from "@optique/core/message";
import { multiple } from "@optique/core/modifiers";
import { argument, command, constant } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";
import { loadOptions } from "./bench/arguments.js";
import type { BenchArguments } from "./bench/run.js";
import { requestOptions } from "./call/arguments.js";
import type { CallArguments } from "./call/run.js";
import { type DemoArguments, demoOptions } from "./demo/arguments.js";
import type { DescribeArguments } from "./describe/run.js";
import { EXIT } from "./failure.js";
import type { ListArguments } from "./list.js";
import { methodArgument, schemaOptions, targetOptions, urlArgument } from "./options.js";
import { subscriptionOptions } from "./subscribe/arguments.js";
import type { SubscribeArguments } from "./subscribe/run.js";
import { type TuneArguments, tuneOptions } from "./tune/arguments.js";
import { say } from "./values.js";
import { viewOptions } from "./watch/arguments.js";
import type { WatchArguments } from "./watch/run.js";

/** What the user wants done. */
export type Wanted =
  | ({ readonly command: "call" } & CallArguments)
  | ({ readonly command: "list" } & ListArguments)
  | ({ readonly command: "describe" } & DescribeArguments)
  | ({ readonly command: "subscribe" } & SubscribeArguments)
  | ({ readonly command: "watch" } & WatchArguments)
  | ({ readonly command: "bench" } & BenchArguments)
  | { readonly command: "tune"; readonly tune: TuneArguments }
  | { readonly command: "demo"; readonly demo: DemoArguments }
  /** All is done: help, a version or a completion was printed. */
  | { readonly command: "nothing"; readonly exitCode: number };

/** A usage line of our own: with all options in it, nobody would read it. */
const literal = (value: string) => ({ type: "literal" as const, value });

/** Examples below a command's help, one on each line. */
function examples(...lines: readonly string[]): Message {
  return [...say("Examples:"), ...lines.flatMap((line) => [lineBreak(), ...say(`  ${line}`)])];
}

const call = command(
  "call",
  object({
    command: constant("call"),
    url: urlArgument,
    method: methodArgument,
    request: requestOptions,
    schema: schemaOptions,
    target: targetOptions,
  }),
  {
    brief: say("Call a method: JSON in, JSON out."),
    description: say(
      "Makes one call, of any kind. Each message that comes back is printed on a line of its own. Ctrl-C cancels the call. When the call fails, the exit code is eight times its status code, as that of buf curl: NOT_FOUND (5) is 40, UNAVAILABLE (14) is 112.",
    ),
    usageLine: [literal("URL METHOD [OPTION...]")],
    footer: examples(
      `hawser call localhost:8080 eliza.v1.ElizaService/Say -d '{"sentence": "hi"}'`,
      `hawser call wss://api.example.com/rpc eliza.v1.ElizaService/Converse -d @- --token @token.txt -v`,
      `hawser call localhost:8080 eliza.v1.ElizaService/Say -d @request.json --schema proto`,
    ),
  },
);

const list = command(
  "list",
  object({
    command: constant("list"),
    places: multiple(
      argument(string({ metavar: "URL|SERVICE" }), {
        description: say("The server's URL, unless --schema is given, and names of services."),
      }),
    ),
    schema: schemaOptions,
    target: targetOptions,
  }),
  {
    brief: say("List services, or the methods of a service."),
    description: say(
      "Prints the full names of all services, or of the methods of the services that are named.",
    ),
    usageLine: [literal("(URL | --schema PATH) [SERVICE...] [OPTION...]")],
    footer: examples(
      "hawser list localhost:8080",
      "hawser list localhost:8080 eliza.v1.ElizaService",
      "hawser list --schema proto",
    ),
  },
);

const describe = command(
  "describe",
  object({
    command: constant("describe"),
    places: multiple(
      argument(string({ metavar: "URL|SYMBOL" }), {
        description: say(
          "The server's URL, unless --schema is given, and full names of services, methods, messages or enums. Default: all services.",
        ),
      }),
    ),
    schema: schemaOptions,
    target: targetOptions,
  }),
  {
    brief: say("Print services, methods and types as in a .proto file."),
    description: say(
      "Prints declarations as in a .proto file; a method comes with the messages that it takes and gives. Comments are there with --schema only: servers do not have them.",
    ),
    usageLine: [literal("(URL | --schema PATH) [SYMBOL...] [OPTION...]")],
    footer: examples(
      "hawser describe localhost:8080",
      "hawser describe localhost:8080 eliza.v1.ElizaService/Say",
      "hawser describe --schema proto eliza.v1.SayRequest",
    ),
  },
);

const subscribe = command(
  "subscribe",
  object({
    command: constant("subscribe"),
    url: urlArgument,
    method: methodArgument,
    subscription: subscriptionOptions,
    schema: schemaOptions,
    target: targetOptions,
  }),
  {
    brief: say("Follow a topic, through breaks and restarts."),
    description: say(
      "Calls a server-streaming method that returns a topic, and prints each publication as JSON on a line of its own. Breaks are healed; what is missing is told as a gap on the standard error. At the end it says from where to go on.",
    ),
    usageLine: [literal("URL METHOD [OPTION...]")],
    footer: examples(
      `hawser subscribe localhost:8080 market.v1.MarketService/Watch -d '{"symbol": "ACME"}' --last 10`,
      `hawser subscribe localhost:8080 market.v1.MarketService/Watch -d '{"symbol": "ACME"}' --from 6f1c:42 -p`,
    ),
  },
);

const watch = command(
  "watch",
  object({
    command: constant("watch"),
    url: urlArgument,
    view: viewOptions,
    target: targetOptions,
  }),
  {
    brief: say("Show a server live: connections, calls, topics, rates."),
    description: say(
      "Shows what a node does, second by second, until Ctrl-C or q; s sorts the connections by something else. Where the output is no terminal, it prints a line for each look. The server must have an inspector, which lets you look.",
    ),
    usageLine: [literal("URL [OPTION...]")],
    footer: examples(
      "hawser watch localhost:8080",
      "hawser watch wss://api.example.com/rpc --token @token.txt --interval 5s",
      "hawser watch localhost:8080 --json -n 10 > looks.ndjson",
    ),
  },
);

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

const tune = command("tune", object({ command: constant("tune"), tune: tuneOptions }), {
  brief: say("Try compression on your own messages."),
  description: say(
    "Compresses sample messages as Hawser would, prints what each setting saves and costs, and recommends one.",
  ),
  usageLine: [literal("PATH... [OPTION...]")],
  footer: examples("hawser tune samples/", "hawser tune requests.ndjson --lines"),
});

const demo = command("demo", object({ command: constant("demo"), demo: demoOptions }), {
  brief: say("See calls survive a bad link."),
  description: say(
    "Watches this machine over a link that is cut several times, tells what happens to each call, and shows it on a page until Ctrl-C.",
  ),
  usageLine: [literal("[OPTION...]")],
  footer: examples("hawser demo", "hawser demo --once --cuts 10"),
});

/**
 * Reads the arguments of the command line. Help and completions are printed here (whoever gives no arguments wants to know what there
 * is), and so is what is wrong with the arguments: one line, exit code 2.
 */
export function readCommandLine(argv: readonly string[], version: string): Wanted {
  const nothing = (exitCode: number): Wanted => ({ command: "nothing", exitCode });
  return runParser(
    or(call, list, describe, subscribe, watch, bench, tune, demo),
    "hawser",
    argv.length === 0 ? ["--help"] : argv,
    {
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
    },
  );
}
