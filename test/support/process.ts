import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** Starts a script of this folder, and waits for its first message. */
export async function startProcess<T>(
  script: string,
  ...args: readonly (string | number)[]
): Promise<[ChildProcess, T]> {
  const child = fork(join(import.meta.dirname, script), args.map(String), { execArgv: ["--import", "tsx"] });
  const [message] = (await once(child, "message")) as [T];
  return [child, message];
}

/** Kills a process in the middle of whatever it does. */
export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

/** Asks a process for something, and waits for its answer. */
export async function ask<T>(child: ChildProcess, question: string): Promise<T> {
  const answer = once(child, "message") as Promise<[T]>;
  child.send(question);
  return (await answer)[0];
}
