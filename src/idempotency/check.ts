import { methodInfo } from "../rpc/method-info.js";
import type { RouteTable } from "../rpc/router.js";
import type { IdempotencyStore } from "./store.js";

/**
 * Checks a store, and that methods with `option (hawser.v1.once) = true` can be served.
 *
 * @param missing what to do when there is no store
 * @throws TypeError that names the option or the method.
 */
export function checkStore(routes: RouteTable, store: IdempotencyStore | undefined, missing: string): void {
  if (store !== undefined && (typeof store?.begin !== "function" || typeof store.leaseMs !== "number")) {
    throw new TypeError("idempotencyStore must be a store like memoryIdempotencyStore()");
  }
  for (const { name, method } of routes.values()) {
    if (!methodInfo(method).once) continue;
    if (method.methodKind !== "unary") {
      throw new TypeError(`${name} has option (hawser.v1.once), which is for unary methods`);
    }
    if (store === undefined) throw new TypeError(`${name} has option (hawser.v1.once): ${missing}`);
  }
}
