/**
 * Web Locks as signs of life: whoever is alive holds a lock of its own name, and the browser takes it away when the tab or
 * worker is gone, whatever became of it.
 */

/** A name that nobody else has. */
export function newName(what: string): string {
  return `hawser-${what}-${crypto.randomUUID()}`;
}

/** The platform's locks; `undefined` where there are none: pages that are not secure contexts, and old browsers. */
export function platformLocks(): LockManager | undefined {
  return (globalThis as { navigator?: { locks?: LockManager } }).navigator?.locks;
}

/** Takes a lock that nobody else asks for. Resolves when it is held, to how to let go of it. */
export function hold(locks: LockManager | undefined, name: string): Promise<() => void> {
  if (locks === undefined) return Promise.resolve(() => undefined);
  return new Promise((resolve, reject) => {
    locks.request(name, () => new Promise<void>((release) => resolve(release))).catch(reject);
  });
}

/** Calls a function once nobody holds this lock any more; returns how to call that off. */
export function whenFree(locks: LockManager | undefined, name: string, onFree: () => void): () => void {
  if (locks === undefined) return () => undefined;
  const stop = new AbortController();
  // Shared, so that all who wait for it hear of it at the same time.
  locks
    .request(name, { mode: "shared", signal: stop.signal }, () => undefined)
    .then(
      () => {
        if (!stop.signal.aborted) onFree();
      },
      () => {
        // Called off, or the page is being left.
      },
    );
  return () => stop.abort();
}
