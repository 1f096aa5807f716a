import { Host } from "../host.js";
import { hold, newName, platformLocks } from "../locks.js";

/** What is used of the global scope of a shared worker. */
interface WorkerScope {
  onconnect: ((event: { readonly ports: readonly MessagePort[] }) => void) | null;
}

/**
 * Makes this `SharedWorker` hold the connection of all tabs that start it through `connectTabs`. Call it once, before
 * anything is awaited, in the worker's script.
 */
export function serveTabs(): void {
  const id = newName("host");
  const locks = platformLocks();
  const host = new Host(id, locks);
  // Nobody may learn of the lock before it is held.
  const held = hold(locks, id);
  (globalThis as unknown as WorkerScope).onconnect = ({ ports: [port] }) => {
    if (port !== undefined) void held.then(() => host.accept(port));
  };
}
