import { parseArgs } from "node:util";
import { freshSeed, MAX_SEED } from "./random.js";

/** What the user wants of `npm start`. */
export interface Arguments {
  /** End after the account. */
  readonly once: boolean;
  /** Port of the page and the RPC; 0: any free one. */
  readonly port: number;
  readonly seed: number;
  readonly cuts: number;
}

/** Told by `--help`. */
export const HELP = `npm start -- [options]

Watches this machine over a link that is cut several times, tells what happens, and shows it in a browser.

  --once        end after the account; exit code 0 only when every check held
  --port <n>    port of the page, on this machine only (default 4280; with --once any free one)
  --seed <n>    decides where and how the link is cut (default: a new one, which is printed)
  --cuts <n>    how often the link is cut, 0 to 50 (default 5)
  --help        this text
`;

const DEFAULT_PORT = 4280;
const DEFAULT_CUTS = 5;
const MAX_CUTS = 50;

/** An argument that is not known or makes no sense; the message tells the user. */
export class ArgumentError extends Error {
  override readonly name = "ArgumentError";
}

/**
 * Reads the arguments of the command line.
 *
 * @returns `"help"` when the user asks for help.
 * @throws ArgumentError for anything that is not understood.
 */
export function readArguments(argv: readonly string[]): Arguments | "help" {
  const { values } = parse(argv);
  if (values.help === true) return "help";
  const once = values.once === true;
  return {
    once,
    port: number("--port", values.port, 65_535) ?? (once ? 0 : DEFAULT_PORT),
    seed: number("--seed", values.seed, MAX_SEED) ?? freshSeed(),
    cuts: number("--cuts", values.cuts, MAX_CUTS) ?? DEFAULT_CUTS,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        once: { type: "boolean" },
        port: { type: "string" },
        seed: { type: "string" },
        cuts: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new ArgumentError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function number(name: string, text: string | undefined, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > max) {
    throw new ArgumentError(`${name} must be a whole number from 0 to ${max}, not "${text}"`);
  }
  return value;
}
