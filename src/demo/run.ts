import { once } from "node:events";
import { runAccount } from "./account/account.js";
import { createPrinter, type Printer } from "./account/printer.js";
import type { Arguments } from "./arguments.js";
import { type Monitor, startMonitor } from "./monitor.js";

/** Exit codes: the checks held, or did not; stopped before there was anything to check. */
const EXIT = { ok: 0, failed: 1, interrupted: 130 } as const;

/**
 * Serves the monitor, gives an account of calls over a bad link, and stays up for the page.
 *
 * @param stopped aborted when the user has seen enough
 * @returns the exit code
 * @throws Error that says what to do, when the port cannot be had or the page cannot be built.
 */
export async function runDemo(wanted: Arguments, stopped: AbortSignal): Promise<number> {
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
  // Only now, because in the repository the page needs a bundler, and nothing else does.
  const { loadPage } = await import("./web/bundle.js");
  monitor.servePage(await loadPage());
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
      : `\nThe check did NOT hold. The same cuts again: --seed ${seed} --cuts ${cuts}`,
  );
  return held;
}
