import type { IncomingMessage, ServerResponse } from "node:http";
import type { AttachableServer } from "./server.js";

/**
 * Takes requests of an HTTP server before its listeners, whether these were there before or come later, as frameworks do.
 *
 * @param take whether it has taken the request; the listeners get what it has not
 * @returns how to stop
 */
export function interceptRequests(
  server: AttachableServer,
  take: (request: IncomingMessage, response: ServerResponse) => boolean,
): () => void {
  const before = server.emit;
  let active = true;
  const emit = function (this: AttachableServer, event: string, ...values: unknown[]): boolean {
    if (active && event === "request") {
      const [request, response] = values as [IncomingMessage, ServerResponse];
      if (take(request, response)) return true;
    }
    return Reflect.apply(before, this, [event, ...values]) as boolean;
  };
  server.emit = emit as typeof server.emit;
  return () => {
    active = false;
    // Somebody else may have done the same meanwhile.
    if (server.emit === (emit as typeof server.emit)) server.emit = before;
  };
}
