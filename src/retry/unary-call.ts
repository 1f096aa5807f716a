import type { DescMessage, DescMethodUnary, MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "../base/code.js";
import type { RpcError } from "../base/error.js";
import { CallerCall } from "../rpc/caller-call.js";
import { extraMessage, missingMessage } from "../rpc/client.js";
import { decodeMessage, encodeMessage } from "../rpc/payload.js";
import { UnaryResult } from "../rpc/responses.js";
import type { CallOptions, UnaryResponse } from "../rpc/transport.js";
import { type Caller, LogicalCall } from "./logical-call.js";

/** A unary call over all its attempts. */
export class UnaryCall<I extends DescMessage, O extends DescMessage> extends LogicalCall {
  readonly #method: DescMethodUnary<I, O>;
  readonly #payload: Uint8Array;
  readonly #resolve: (response: UnaryResponse<I, O>) => void;
  readonly #reject: (error: unknown) => void;

  constructor(
    caller: Caller,
    method: DescMethodUnary<I, O>,
    input: MessageInitShape<I>,
    options: CallOptions | undefined,
    resolve: (response: UnaryResponse<I, O>) => void,
    reject: (error: unknown) => void,
  ) {
    super(caller, method, options);
    this.#method = method;
    this.#payload = encodeMessage(method.input, input, Code.Internal);
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Begins an attempt. */
  restart(): void {
    const call = new CallerCall(this.caller.calls, this);
    call.onChange = () => this.#changed(call);
    call.start(this.#payload, true);
  }

  giveUp(error: RpcError): void {
    this.#reject(this.outcome(error));
  }

  #changed(call: CallerCall): void {
    if (!call.finished) {
      if (call.receiver.length > 1) call.cancel(Code.Canceled, extraMessage(this.#method.name));
      return;
    }
    if (call.error !== undefined) {
      if (!this.attemptAgain(call)) this.giveUp(call.error);
      return;
    }
    this.caller.retrier.succeeded();
    try {
      this.#resolve(unaryResult(this.#method, call));
    } catch (error) {
      this.#reject(error);
    }
  }
}

/**
 * The response of a call that ended well.
 *
 * @throws RpcError when it is not one message, or does not decode.
 */
export function unaryResult<I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  call: CallerCall,
): UnaryResponse<I, O> {
  const response = call.receiver.shift();
  if (response === undefined) throw missingMessage(method.name);
  if (call.receiver.length > 0) throw extraMessage(method.name);
  const message = decodeMessage(method.output, response, Code.Internal, "yes");
  return new UnaryResult(method, message, call);
}
