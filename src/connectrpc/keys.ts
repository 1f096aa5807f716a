import type { ContextKey } from "@connectrpc/connect";
import { createContextKey } from "../base/context.js";
import type { HandlerContext } from "../rpc/context.js";
import type { CallOptions } from "../rpc/transport.js";

/** Options of Hawser that Connect's `CallOptions` have no word for. */
export type HawserCallOptions = Pick<CallOptions, "waitForReady" | "idempotencyKey" | "topic" | "retry">;

/**
 * For `contextValues` of a call over a Hawser transport: what Hawser can do beyond Connect.
 *
 * @example
 * const contextValues = createContextValues().set(hawserCallOptions, { idempotencyKey: "order-42" });
 * await bank.deposit({ cents: 100n }, { contextValues });
 */
export const hawserCallOptions: ContextKey<HawserCallOptions> = createContextKey<HawserCallOptions>(
  {},
  { description: "hawser.callOptions" },
);

/**
 * For `context.values` in a Connect handler or interceptor: Hawser's own context, with the session, its identity, the
 * idempotency key and the peer. `undefined` when the call came over another transport.
 *
 * @example
 * const identity = context.values.get(hawserContext)?.session.identity;
 */
export const hawserContext: ContextKey<HandlerContext | undefined> = createContextKey<
  HandlerContext | undefined
>(undefined, { description: "hawser.context" });
