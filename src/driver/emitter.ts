type Listener = (event: never) => void;

/** Listeners by the name of their event. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<Listener>>();

  /** Adds a listener; returns how to remove it. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    let listeners = this.#listeners.get(name);
    if (listeners === undefined) {
      listeners = new Set();
      this.#listeners.set(name, listeners);
    }
    // One of its own for each time, so that a function that is added twice is removed once.
    const own = (event: never) => listener(event);
    listeners.add(own);
    return () => {
      listeners.delete(own);
    };
  }

  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    const listeners = this.#listeners.get(name);
    if (listeners === undefined) return;
    for (const listener of [...listeners]) {
      try {
        listener(event as never);
      } catch (error) {
        // A listener's fault is not the emitter's; it surfaces as an unhandled one, outside of the state machine.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
