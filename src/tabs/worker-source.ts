import type { HostSource, SourceEvents } from "./source.js";

/** Finds the host in a `SharedWorker`. */
export class WorkerSource implements HostSource {
  readonly #start: () => SharedWorker;
  readonly #events: SourceEvents;
  #tries = 0;

  /** @param start makes the worker, or finds it: the same script and name for all tabs */
  constructor(start: () => SharedWorker, events: SourceEvents) {
    this.#start = start;
    this.#events = events;
  }

  find(): void {
    let worker: SharedWorker;
    try {
      worker = this.#start();
    } catch {
      // Forbidden by a policy, or no URL of this origin.
      return this.#events.onUseless();
    }
    // The script cannot be loaded, or fails at once.
    worker.onerror = () => this.#events.onUseless();
    this.#events.onFound({ kind: "worker", port: worker.port });
  }

  silent(): void {
    // A worker that is starting may take its time; one that never answers is no use.
    if (++this.#tries > MAX_TRIES) this.#events.onUseless();
    else this.find();
  }

  leave(): void {
    this.#tries = 0;
  }
}

const MAX_TRIES = 3;
