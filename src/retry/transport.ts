import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { CallerCall } from "../rpc/caller-call.js";
import { intercepted } from "../rpc/interception.js";
import { observed } from "../rpc/observed.js";
import { StreamResult, UnaryResult } from "../rpc/responses.js";
import { type CallOptions, type Interceptor, shorterWays, type Transport } from "../rpc/transport.js";
import { HedgedCall } from "./hedged-call.js";
import type { Caller } from "./logical-call.js";
import { StreamCall } from "./stream-call.js";
import { UnaryCall } from "./unary-call.js";

/** Calls over one session after the other, as a {@link Transport}. Interceptors see a call once, not its attempts. */
export function createTransport(caller: Caller, interceptors: readonly Interceptor[]): Transport {
  const transport: Transport = {
    unary: (method, input, options) =>
      new Promise((resolve, reject) => {
        const answered: Answered<(typeof method)["output"]> = (message, call) =>
          resolve(new UnaryResult(method, message, call));
        startUnary(caller, method, input, options, answered, reject);
      }),
    stream: async (method, input, options) => {
      const call = new StreamCall(caller, method, input, options);
      return new StreamResult(method, call.messages, call);
    },
  };
  shorterWays.set(
    transport.unary,
    (method, input, options) =>
      new Promise((resolve, reject) => startUnary(caller, method, input, options, resolve, reject)),
  );
  const whole = interceptors.length === 0 ? transport : intercepted(transport, interceptors);
  const { observer } = caller;
  return observer === undefined ? whole : observed(whole, observer, caller.calls.clock);
}

type Answered<O extends DescMessage> = (message: MessageShape<O>, call: CallerCall) => void;

function startUnary<I extends DescMessage, O extends DescMessage>(
  caller: Caller,
  method: DescMethodUnary<I, O>,
  input: MessageInitShape<I>,
  options: CallOptions | undefined,
  answered: Answered<O>,
  reject: (error: unknown) => void,
): void {
  const hedging = caller.retrier.rules(method)?.hedging;
  const call =
    hedging === undefined
      ? new UnaryCall(caller, method, input, options, answered, reject)
      : new HedgedCall(caller, method, hedging, input, options, answered, reject);
  call.restart();
}
