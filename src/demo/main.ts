// `npm start`: serves the monitor, gives an account of calls over a bad link, and stays up for the page.

import { once } from "node:events";
import { runAccount } from "./account/account.js";
import { createPrinter, type Printer } from "./account/printer.js";
import { ArgumentError, type Arguments, HELP, readArguments } from "./arguments.js";
import { type Monitor, startMonitor } from "./monitor.js";

/** Exit codes: the checks held, or did not; the arguments were wrong; stopped before there was anything to check. */
const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

async function main(argv: readonly string[]): Promise<number> {
  const wanted = readArguments(argv);
  if (wanted === "help") {
    process.stdout.write(HELP);
    return EXIT.ok;
  }
  const stopped = stopSignal();
  const monitor = await startMonitor(wanted.port);
  try {
    return await run(wanted, monitor, stopped);
  } finally {
    await monitor.close();
  }
}

async function run(wanted: Arguments, monitor: Monitor, stopped: AbortSignal): Promise<number> {
  const printer = createPrinter(process.stdout);
  printer.event("serve", `RPC on ws://127.0.0.1:${monitor.port}/rpc, to this machine only`);
  if (!wanted.once) await servePage(monitor, printer);
  const held = await giveAccount(wanted, monitor, printer, stopped);
  if (wanted.once) return held ? EXIT.ok : stopped.aborted ? EXIT.interrupted : EXIT.failed;
  if (!stopped.aborted) {
    printer.plain(`\nThe page is at ${monitor.url} until you press Ctrl-C.`);
    await once(stopped, "abort");
  }
  printer.plain("\nStopped.");
  return EXIT.ok;
}

async function servePage(monitor: Monitor, printer: Printer): Promise<void> {
  // Only now, because the page needs a bundler, and nothing else does.
  const { buildPage } = await import("./web/bundle.js");
  monitor.servePage(await buildPage());
  printer.event("serve", `page on ${monitor.url}`);
}

/** Whether all checks held. Says nothing more when it was stopped: then they have nothing to say. */
async function giveAccount(
  { seed, cuts }: Arguments,
  monitor: Monitor,
  printer: Printer,
  stopped: AbortSignal,
): Promise<boolean> {
  const log = { ...monitor.accountLog, line: monitor.logLine };
  const checks = await runAccount({ printer, serverPort: monitor.port, seed, cuts, log, signal: stopped });
  if (stopped.aborted) return false;
  printer.plain("\nFinal check");
  const held = printer.table(checks);
  printer.plain(
    held
      ? "\nThe file arrived whole, and no message was lost or doubled."
      : `\nThe check did NOT hold. The same cuts again: npm start -- --seed ${seed} --cuts ${cuts}`,
  );
  return held;
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
    process.exitCode = EXIT.usage;
  } else {
    process.stderr.write(`npm start failed: ${message}\n`);
    process.exitCode = EXIT.failed;
  }
}
