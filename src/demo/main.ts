// `npm start`: the demonstration, from a clone of the repository.
import { ArgumentError, HELP, readArguments } from "./arguments.js";
import { runDemo } from "./run.js";

/** The arguments were wrong. */
const EXIT_USAGE = 2;

async function main(argv: readonly string[]): Promise<number> {
  const wanted = readArguments(argv);
  if (wanted === "help") {
    process.stdout.write(HELP);
    return 0;
  }
  return runDemo(wanted, stopSignal());
}

/** Aborted at Ctrl-C, or when the process is told to end. A second Ctrl-C ends the process at once. */
function stopSignal(): AbortSignal {
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopping.abort());
  return stopping.signal;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof ArgumentError) {
    process.stderr.write(`${message}\n\n${HELP}`);
    process.exitCode = EXIT_USAGE;
  } else {
    process.stderr.write(`npm start failed: ${message}\n`);
    process.exitCode = 1;
  }
}
