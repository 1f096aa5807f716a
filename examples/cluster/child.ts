import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Guard } from "./guard.js";

/** What a {@link Child} is. */
export interface ChildOptions {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  /** Over the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether it can be used. */
  readonly isReady: () => Promise<boolean>;
  /** What it sends by `process.send`. Without it, there is no channel. */
  readonly onMessage?: (message: unknown) => void;
}

/** Told of what becomes of a child. */
export interface ChildEvents {
  /** It has ended or has come back, without having been asked. */
  event(name: string, what: string): void;
  /** What it prints. */
  output(name: string, text: string): void;
}

/** How long a child may take until it can be used. */
const START_MS = 30_000;
/** How long it may take to end; a node drains for 10 s at most. */
const END_MS = 15_000;
/** Before it is started again. */
const AGAIN_MS = 1_000;
const POLL_MS = 20;

/** A process of the cluster, which is started again whenever it ends by itself, as by a supervisor. */
export class Child {
  readonly name: string;
  /** Whether it can be used. */
  ready = false;
  readonly #options: ChildOptions;
  readonly #guard: Guard;
  readonly #events: ChildEvents;
  #process: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #stopping = false;
  #said = "";

  constructor(options: ChildOptions, guard: Guard, events: ChildEvents) {
    this.name = options.name;
    this.#options = options;
    this.#guard = guard;
    this.#events = events;
  }

  /** @throws Error when it does not run. */
  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error(`${this.name} does not run`);
    return pid;
  }

  /**
   * Starts it; resolves when it can be used.
   *
   * @throws Error with what it has printed, when it ends before.
   */
  async start(): Promise<void> {
    const { program, args, env, onMessage, isReady } = this.#options;
    const child = spawn(program, args, {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe", ...(onMessage === undefined ? [] : (["ipc"] as const))],
      // In a group of its own: Ctrl-C in the terminal reaches this process only, which then ends all in order.
      detached: true,
    });
    // It cannot be started at all: this throws.
    if (child.pid === undefined) await once(child, "spawn");
    const group = child.pid as number;
    this.#process = child;
    this.#guard.add(group);
    this.#said = "";
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (text) => this.#hear(String(text)));
    if (onMessage !== undefined) child.on("message", onMessage);
    this.#ended = once(child, "exit").then(([code, signal]) =>
      this.#end(group, signal ?? `exit code ${code}`),
    );
    for (const deadline = Date.now() + START_MS; !(await isReady()); await sleep(POLL_MS)) {
      if (this.#process === undefined) throw new Error(`${this.name} has ended:\n${this.#said}`);
      if (Date.now() > deadline)
        throw new Error(`${this.name} is not ready after ${START_MS} ms:\n${this.#said}`);
    }
    this.ready = this.#process === child;
  }

  /** Sends it a signal. */
  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** Ends it in peace, or by force if it takes too long. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.signal("SIGTERM");
    const force = setTimeout(() => this.signal("SIGKILL"), END_MS);
    await this.#ended;
    clearTimeout(force);
  }

  #hear(text: string): void {
    this.#said = (this.#said + text).slice(-4_000);
    this.#events.output(this.name, text);
  }

  #end(group: number, why: string): void {
    try {
      // Workers that have outlived their master.
      process.kill(-group, "SIGKILL");
    } catch {
      // There are none.
    }
    this.#guard.delete(group);
    this.#process = undefined;
    // Who has never been ready is reported by start().
    if (this.ready && !this.#stopping) {
      this.#events.event(this.name, `has ended (${why})`);
      void this.#startAgain();
    }
    this.ready = false;
  }

  async #startAgain(): Promise<void> {
    for (await sleep(AGAIN_MS); !this.#stopping; await sleep(AGAIN_MS)) {
      try {
        await this.start();
        return this.#events.event(this.name, `is back, pid ${this.pid}`);
      } catch (error) {
        if (!this.#stopping) this.#events.event(this.name, `does not start: ${(error as Error).message}`);
      }
    }
  }
}
