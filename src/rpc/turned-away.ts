import type { RpcError } from "../base/error.js";

const TURNED_AWAY = new WeakSet<object>();

/**
 * Marks the error of a route that has turned a call away before it came to the user's handler, for routes that have gates and
 * interceptors of their own: the caller gets to know that the handler has not run, and an idempotency key keeps nothing of it.
 */
export function turnAway(error: RpcError): RpcError {
  TURNED_AWAY.add(error);
  return error;
}

/** Whether a thrown value was marked by {@link turnAway}. */
export function isTurnedAway(error: object): boolean {
  return TURNED_AWAY.has(error);
}
