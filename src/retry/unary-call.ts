import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { Code } from "../base/code.js";
import type { RpcError } from "../base/error.js";
import { codecOf, type MessageCodec } from "../codec/codec.js";
import { CallerCall, type OnlyMessage } from "../rpc/caller-call.js";
import { extraMessage, missingMessage } from "../rpc/client.js";
import { decodeMessage, encodeMessage } from "../rpc/payload.js";
import type { CallOptions } from "../rpc/transport.js";
import { type Caller, LogicalCall } from "./logical-call.js";

const NO_BUFFER = new Uint8Array(0);

/** A unary call over all its attempts. */
export class UnaryCall<I extends DescMessage, O extends DescMessage>
  extends LogicalCall
  implements OnlyMessage
{
  /** `NaN` once the message is encoded, whatever becomes of the object that it was made from. */
  bound: number;
  readonly #method: DescMethodUnary<I, O>;
  readonly #codec: MessageCodec | undefined;
  #input: MessageInitShape<I> | undefined;
  /** Where the message lies, once it is encoded. */
  #buffer: Uint8Array = NO_BUFFER;
  #at = 0;
  #length = 0;
  readonly #resolve: (response: MessageShape<O>, call: CallerCall) => void;
  readonly #reject: (error: unknown) => void;

  constructor(
    caller: Caller,
    method: DescMethodUnary<I, O>,
    input: MessageInitShape<I>,
    options: CallOptions | undefined,
    resolve: (response: MessageShape<O>, call: CallerCall) => void,
    reject: (error: unknown) => void,
  ) {
    super(caller, method, options);
    this.#method = method;
    this.#input = input;
    this.#codec = codecOf(method.input);
    this.bound = this.#codec?.bound(input) ?? Number.NaN;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Begins an attempt. */
  restart(): void {
    const call = new CallerCall(this.caller.calls, this);
    call.listener = this;
    call.startWith(this);
  }

  write(into: Uint8Array, at: number): number {
    return (this.#codec as MessageCodec).write(this.#input as MessageInitShape<I>, into, at);
  }

  written(buffer: Uint8Array, at: number, length: number): void {
    this.#buffer = buffer;
    this.#at = at;
    this.#length = length;
    this.#input = undefined;
    this.bound = Number.NaN;
  }

  bytes(): Uint8Array {
    if (this.#input !== undefined) {
      const bytes = encodeMessage(this.#method.input, this.#input, Code.Internal);
      this.written(bytes, 0, bytes.length);
      return bytes;
    }
    return this.#buffer.subarray(this.#at, this.#at + this.#length);
  }

  giveUp(error: RpcError): void {
    this.#reject(this.outcome(error));
  }

  changed(call: CallerCall): void {
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
      this.#resolve(responseMessage(this.#method, call), call);
    } catch (error) {
      this.#reject(error);
    }
  }
}

/**
 * The message of a call that ended well.
 *
 * @throws RpcError when it is not one message, or does not decode.
 */
export function responseMessage<O extends DescMessage>(
  method: DescMethodUnary<DescMessage, O>,
  call: CallerCall,
): MessageShape<O> {
  const response = call.receiver.shift();
  if (response === undefined) throw missingMessage(method.name);
  if (call.receiver.length > 0) {
    call.receiver.drop();
    throw extraMessage(method.name);
  }
  return decodeMessage(method.output, response, Code.Internal, "yes");
}
