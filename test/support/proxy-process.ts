import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/** Debian leaves these out of the PATH of everybody but root. */
const SYSTEM_FOLDERS: readonly string[] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** A program that `.ci/setup.ts` has made sure of. */
export function programPath(name: string, variable: string): string {
  const named = process.env[variable];
  if (named !== undefined && named !== "") return named;
  for (const folder of [...(process.env["PATH"] ?? "").split(delimiter), ...SYSTEM_FOLDERS]) {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // Not here; the next one may be.
    }
  }
  throw new Error(`these tests need ${name}: run tsx .ci/setup.ts, or set ${variable}`);
}

/** A text to replace, and how often it must be there. */
export interface Replacement {
  readonly from: string;
  readonly to: string;
  /** Default 1. */
  readonly times?: number;
}

/**
 * Replaces texts of a configuration, all of them where they stood at first.
 *
 * @throws Error that names a text which is not there as often as it should: the configuration has changed.
 */
export function replaced(text: string, replacements: readonly Replacement[]): string {
  return replacements.reduce((changed, { from, to, times = 1 }) => {
    const found = changed.split(from).length - 1;
    if (found !== times) throw new Error(`expected ${times} of ${JSON.stringify(from)}, found ${found}`);
    return changed.replaceAll(from, to);
  }, text);
}

/** So many free ports of this machine. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Whether somebody listens. */
function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/**
 * Kills a group of processes when this one ends, however it does: with it, the last writer of the guard's input is gone.
 * Returns how to call the guard off.
 */
export function guardGroup(pid: number): () => void {
  const guard = spawn("sh", ["-c", `read -r word; [ "$word" = off ] || kill -9 -${pid}`], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  return () => guard.stdin.end("off\n");
}

/** A folder that is gone when the test is over. */
export interface Scratch {
  readonly path: string;
  write(name: string, text: string): string;
  remove(): void;
}

export function scratchFolder(): Scratch {
  const path = mkdtempSync(join(tmpdir(), "hawser-deploy-"));
  return {
    path,
    write(name, text) {
      const file = join(path, name);
      writeFileSync(file, text, { mode: 0o600 });
      return file;
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** A proxy's process, with the workers that it has started. */
export class ProxyProcess {
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;
  readonly #callOff: () => void;
  #said = "";

  constructor(program: string, args: readonly string[]) {
    // In a group of its own, so that it can be killed with its workers.
    this.#child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
    const listen = (chunk: Buffer) => {
      this.#said += chunk.toString();
    };
    this.#child.stdout?.on("data", listen);
    this.#child.stderr?.on("data", listen);
    this.#exit = once(this.#child, "close");
    this.#callOff = guardGroup(this.pid);
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error("the proxy did not start");
    return pid;
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Settles when it has ended. */
  async gone(): Promise<void> {
    await this.#exit;
    this.#callOff();
  }

  /** Waits until it listens on a port. */
  async listening(port: number): Promise<void> {
    while (!(await listens(port))) {
      if (this.ended) throw new Error(`the proxy has ended:\n${this.#said}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    if (this.ended) throw new Error(`the proxy has ended:\n${this.#said}`);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Ends it at once, workers and connections too. */
  async stop(): Promise<void> {
    if (!this.ended) this.signal("SIGTERM");
    await this.gone();
  }
}
