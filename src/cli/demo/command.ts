import { readArguments } from "../../demo/arguments.js";
import { runDemo } from "../../demo/run.js";
import { EXIT } from "../failure.js";
import type { DemoArguments } from "./arguments.js";

/**
 * `hawser demo`.
 *
 * @param signal ends it
 * @returns the exit code
 * @throws Error that says what to do, when the port cannot be had.
 */
export function demoCommand({ once, ...numbers }: DemoArguments, signal: AbortSignal): Promise<number> {
  const given = Object.entries(numbers).filter(([, value]) => value !== undefined);
  // The demonstration has the defaults.
  const argv = [
    ...(once ? ["--once"] : []),
    ...given.flatMap(([name, value]) => [`--${name}`, String(value)]),
  ];
  const wanted = readArguments(argv);
  return wanted === "help" ? Promise.resolve(EXIT.ok) : runDemo(wanted, signal);
}
