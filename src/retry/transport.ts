import { intercepted } from "../rpc/interception.js";
import { observed } from "../rpc/observed.js";
import { StreamResult } from "../rpc/responses.js";
import type { Interceptor, Transport } from "../rpc/transport.js";
import { HedgedCall } from "./hedged-call.js";
import type { Caller } from "./logical-call.js";
import { StreamCall } from "./stream-call.js";
import { UnaryCall } from "./unary-call.js";

/** Calls over one session after the other, as a {@link Transport}. Interceptors see a call once, not its attempts. */
export function createTransport(caller: Caller, interceptors: readonly Interceptor[]): Transport {
  const transport: Transport = {
    unary: (method, input, options) =>
      new Promise((resolve, reject) => {
        const hedging = caller.retrier.rules(method)?.hedging;
        const call =
          hedging === undefined
            ? new UnaryCall(caller, method, input, options, resolve, reject)
            : new HedgedCall(caller, method, hedging, input, options, resolve, reject);
        call.restart();
      }),
    stream: async (method, input, options) => {
      const call = new StreamCall(caller, method, input, options);
      return new StreamResult(method, call.messages, call);
    },
  };
  const whole = interceptors.length === 0 ? transport : intercepted(transport, interceptors);
  const { observer } = caller;
  return observer === undefined ? whole : observed(whole, observer, caller.calls.clock);
}
