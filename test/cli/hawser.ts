// Runs the command line and its servers as processes of their own.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** What a command has printed, and how it ended. */
export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs. */
export interface Running {
  readonly child: ChildProcess;
  /** What is on the standard output so far. */
  stdout(): string;
  readonly ended: Promise<Ran>;
}

/** By its own path, since a command may run in any folder. */
const TSX = import.meta.resolve("tsx");
const MAIN = join(import.meta.dirname, "../../src/cli/main.ts");

/** Starts `hawser`. The standard input stays open until it is ended, when it is asked for. */
export function start(
  args: readonly string[],
  {
    env = {},
    input,
    cwd,
  }: {
    readonly env?: Record<string, string>;
    readonly input?: string | "open";
    readonly cwd?: string;
  } = {},
): Running {
  const child = spawn(process.execPath, ["--import", TSX, MAIN, ...args], {
    cwd,
    env: { ...process.env, HAWSER_TOKEN: "", ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr += chunk;
  });
  // A command that ends early does not read to the end.
  child.stdin.on("error", () => undefined);
  if (input !== "open") child.stdin.end(input ?? "");
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return { child, stdout: () => stdout, ended };
}

/** Runs `hawser` to its end. */
export function hawser(...args: readonly string[]): Promise<Ran> {
  return start(args).ended;
}

/** A server of `server.ts`. */
export interface TestServer {
  readonly url: string;
  readonly child: ChildProcess;
  close(): Promise<void>;
}

/** Starts a server. */
export async function startServer(env: Record<string, string> = {}): Promise<TestServer> {
  const child = spawn(process.execPath, ["--import", "tsx", join(import.meta.dirname, "server.ts")], {
    env: { ...process.env, ...env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout.setEncoding("utf8"), "data")) as [string];
  return {
    url: line.trim(),
    child,
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    },
  };
}
