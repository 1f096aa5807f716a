/**
 * Runs a task for many at once, one run after the other. Whoever asks gets a run that began after asking: all who ask while
 * one is under way share the next.
 */
export class Batched<T> {
  readonly #task: () => Promise<T>;
  #running: Promise<T> | undefined;
  #next: Promise<T> | undefined;

  constructor(task: () => Promise<T>) {
    this.#task = task;
  }

  /** The outcome of the next run. */
  next(): Promise<T> {
    if (this.#next === undefined) {
      const before = this.#running ?? Promise.resolve();
      // A microtask later at least, so that all who ask in the same turn are in it.
      const run = (): Promise<T> => {
        this.#next = undefined;
        this.#running = started;
        return this.#task();
      };
      const started: Promise<T> = before.then(run, run);
      this.#next = started;
    }
    return this.#next;
  }
}
