// A cluster on this machine: node --import tsx examples/cluster/main.ts
import { once } from "node:events";
import { judge, runOnce } from "./account.js";
import { ArgumentError, type Arguments, HELP, readArguments } from "./arguments.js";
import { type Cluster, type ClusterEvents, startCluster } from "./cluster.js";
import { startFaults } from "./faults.js";
import { Ledger } from "./ledger.js";
import { MissingError } from "./programs.js";
import { say, view } from "./view.js";
import { Watcher } from "./watcher.js";

/** Exit codes: it held, or did not; the arguments were wrong; stopped before there was anything to say. */
const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

async function main(argv: readonly string[]): Promise<number> {
  const wanted = readArguments(argv);
  if (wanted === "help") {
    process.stdout.write(HELP);
    return EXIT.ok;
  }
  const stopping = stopSignal();
  const ledger = new Ledger(true);
  const events: ClusterEvents = {
    acknowledged: (publication) => ledger.stored(publication),
    event: (name, what) => say(`${name} ${what}`),
    output: (name, text) => {
      if (wanted.log) process.stdout.write(text.replace(/^(?=.)/gm, `${name} | `));
    },
  };
  const cluster = await startCluster(events);
  try {
    return await watch(cluster, ledger, wanted, stopping);
  } finally {
    await cluster.stop();
  }
}

async function watch(
  cluster: Cluster,
  ledger: Ledger,
  wanted: Arguments,
  stopping: AbortSignal,
): Promise<number> {
  for (const { child, address } of cluster.members) {
    console.log(`${child.name.padEnd(6)}  ${address.padEnd(24)}  pid ${child.pid}`);
  }
  console.log(`client  connects to ${cluster.url}, and reads what all nodes publish\n`);
  const watcher = new Watcher(cluster.url, ledger, (message) => say(`the stream failed: ${message}`));
  const over = new AbortController();
  void view(watcher, over.signal);
  try {
    startFaults(cluster, wanted, stopping);
    if (wanted.once) await runOnce(cluster, watcher, stopping);
    else if (!stopping.aborted) await once(stopping, "abort");
    over.abort();
    const { held, text } = await judge(watcher);
    console.log(`\n${text}`);
    return held ? EXIT.ok : EXIT.failed;
  } catch (error) {
    // `--once` was interrupted.
    if (stopping.aborted) return EXIT.interrupted;
    throw error;
  } finally {
    over.abort();
    await watcher.close();
    console.log("stopping");
  }
}

/** Aborted when this process is told to end. The second time, it ends at once, and everything with it. */
function stopSignal(): AbortSignal {
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => stopping.abort());
  }
  return stopping.signal;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof ArgumentError) console.error(`${error.message}\n\n${HELP}`);
  else console.error(error instanceof MissingError ? error.message : error);
  process.exitCode = error instanceof ArgumentError ? EXIT.usage : EXIT.failed;
}
