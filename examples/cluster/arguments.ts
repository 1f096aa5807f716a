import { parseArgs } from "node:util";

/** What the user wants. */
export interface Arguments {
  readonly once: boolean;
  /** In seconds; `undefined`: never. */
  readonly kill: number | undefined;
  readonly drain: number | undefined;
  readonly cut: number | undefined;
  readonly log: boolean;
}

/** Told by `--help`. */
export const HELP = `node --import tsx examples/cluster/main.ts [options]

NATS, three nodes and nginx on this machine, and a client that reads what the nodes publish. Ctrl-C ends all of it.

  --kill <s>    every so many seconds, one of the nodes is killed (SIGKILL), and started again
  --drain <s>   every so many seconds, one of the nodes is told to end (SIGTERM), drains, and is started again
  --cut <s>     every so many seconds, nginx cuts all links
  --once        one of each, then an account; the exit code is 0 only when nothing was lost or doubled
  --log         prints what the processes say, too
  --help        this text
`;

/** An argument that is not known or makes no sense; the message tells the user. */
export class ArgumentError extends Error {
  override readonly name = "ArgumentError";
}

/**
 * Reads the arguments of the command line.
 *
 * @throws ArgumentError for anything that is not understood.
 */
export function readArguments(argv: readonly string[]): Arguments | "help" {
  const values = parse(argv);
  if (values.help === true) return "help";
  return {
    once: values.once === true,
    kill: seconds("--kill", values.kill),
    drain: seconds("--drain", values.drain),
    cut: seconds("--cut", values.cut),
    log: values.log === true,
  };
}

function parse(argv: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        once: { type: "boolean" },
        kill: { type: "string" },
        drain: { type: "string" },
        cut: { type: "string" },
        log: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
    return values;
  } catch (error) {
    throw new ArgumentError((error as Error).message, { cause: error });
  }
}

function seconds(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (value > 0 && value <= 3_600) return value;
  throw new ArgumentError(`${name} takes a number of seconds, up to 3600, not "${text}"`);
}
