#!/usr/bin/env node
// `hawser`: the command line.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { EXIT, exitCodeOf, messageOf } from "./failure.js";
import { readCommandLine, type Wanted } from "./program.js";

const stopping = new AbortController();

/** Aborted at the first Ctrl-C; the second ends the process at once. */
function interruption(): AbortSignal {
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopping.abort());
  return stopping.signal;
}

/** The version of the package, whose manifest lies above this file, compiled or not. */
function packageVersion(): string {
  for (const path of ["../../package.json", "../../../package.json"]) {
    try {
      const text = readFileSync(fileURLToPath(new URL(path, import.meta.url)), "utf8");
      return (JSON.parse(text) as { readonly version: string }).version;
    } catch {
      // It is one folder further up.
    }
  }
  return "unknown";
}

async function run(wanted: Wanted): Promise<number> {
  switch (wanted.command) {
    case "nothing":
      return wanted.exitCode;
    // Commands are loaded when they are wanted: completion answers at every press of Tab.
    case "call": {
      const { runCall } = await import("./call/run.js");
      return runCall(wanted, interruption());
    }
    case "list": {
      const { runList } = await import("./list.js");
      return runList(wanted);
    }
    case "describe": {
      const { runDescribe } = await import("./describe/run.js");
      return runDescribe(wanted);
    }
    case "subscribe": {
      const { runSubscribe } = await import("./subscribe/run.js");
      return runSubscribe(wanted, interruption());
    }
    case "watch": {
      const { runWatch } = await import("./watch/run.js");
      return runWatch(wanted, interruption());
    }
    case "bench": {
      const { runBench } = await import("./bench/run.js");
      return runBench(wanted, interruption());
    }
    case "tune": {
      const { tuneCommand } = await import("./tune/command.js");
      return tuneCommand(wanted.tune);
    }
    case "demo": {
      const { demoCommand } = await import("./demo/command.js");
      return demoCommand(wanted.demo, interruption());
    }
  }
}

// `hawser … | head` ends when it has seen enough.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(EXIT.ok);
  throw error;
});

try {
  process.exitCode = await run(readCommandLine(process.argv.slice(2), packageVersion()));
} catch (error) {
  if (stopping.signal.aborted) process.exitCode = EXIT.interrupted;
  else {
    process.stderr.write(`hawser: ${messageOf(error)}\n`);
    process.exitCode = exitCodeOf(error);
  }
}
