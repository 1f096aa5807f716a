// Nodes as they are deployed: processes that run examples/deploy/server.ts.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { guardGroup } from "./proxy-process.js";

const SCRIPT = fileURLToPath(new URL("../../examples/deploy/server.ts", import.meta.url));

/** A node that can be restarted on its port. */
export class DeployedNode {
  readonly port: number;
  readonly #drainTimeoutMs: number;
  #child: ChildProcess | undefined;
  #said = "";

  constructor(port: number, drainTimeoutMs: number) {
    this.port = port;
    this.#drainTimeoutMs = drainTimeoutMs;
  }

  /** Starts the process; settles when it is ready for clients. */
  async start(): Promise<void> {
    const child = spawn(process.execPath, ["--import", "tsx", SCRIPT], {
      env: {
        ...process.env,
        HOST: "127.0.0.1",
        PORT: String(this.port),
        DRAIN_TIMEOUT_MS: String(this.#drainTimeoutMs),
      },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    this.#child = child;
    child.once("exit", guardGroup(child.pid ?? 0));
    const listen = (chunk: Buffer) => {
      this.#said += chunk.toString();
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    while (!(await this.#isReady())) {
      if (child.exitCode !== null) throw new Error(`the node has ended:\n${this.#said}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Asks the process to end as a supervisor does; its exit code. */
  async terminate(): Promise<number | null> {
    const child = this.#child;
    if (child === undefined) throw new Error("the node was not started");
    const ended = once(child, "exit") as Promise<[number | null]>;
    child.kill("SIGTERM");
    return (await ended)[0];
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }

  async #isReady(): Promise<boolean> {
    try {
      return (await fetch(`http://127.0.0.1:${this.port}/readyz`)).ok;
    } catch {
      return false;
    }
  }
}
