import type { DescMessage, DescMethodStreaming, MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import { CallerCall } from "../rpc/caller-call.js";
import type { Calls } from "../rpc/calls.js";
import { SingleMessage } from "../rpc/client.js";
import { encodeMessage } from "../rpc/payload.js";
import type { ResponseMetadata } from "../rpc/responses.js";
import { leaveIterator, MessageReader, type ReadSource } from "../rpc/streams.js";
import type { CallOptions } from "../rpc/transport.js";
import type { Header } from "../wire/frame.js";
import { Feed } from "./feed.js";
import { type Caller, LogicalCall, notCertain } from "./logical-call.js";

/**
 * A call of a streaming method over all its attempts. A further attempt is possible as long as the application has
 * consumed nothing, or when what it consumed last carried a resume token.
 */
export class StreamCall<I extends DescMessage, O extends DescMessage>
  extends LogicalCall
  implements ReadSource<O>, ResponseMetadata
{
  /** The present attempt. */
  call: CallerCall;
  readonly schema: O;
  readonly decodeCode: Code = Code.Internal;
  readonly messages: MessageReader<O>;
  readonly #isServerStreaming: boolean;
  /** The one request of a server-streaming call. */
  readonly #payload: Uint8Array | undefined;
  readonly #feed: Feed<I> | undefined;
  #pending = false;
  #over: RpcError | undefined;

  constructor(
    caller: Caller,
    method: DescMethodStreaming<I, O>,
    input: AsyncIterable<MessageInitShape<I>>,
    options: CallOptions | undefined,
  ) {
    super(caller, method, options);
    this.#isServerStreaming = method.methodKind === "server_streaming";
    this.schema = method.output;
    this.messages = new MessageReader<O>(this);
    if (input instanceof SingleMessage) {
      this.#payload = encodeMessage(method.input, input.message as MessageInitShape<I>, Code.Internal);
    }
    // Before the call has begun: what is no stream throws.
    const requests = this.#payload === undefined ? input[Symbol.asyncIterator]() : undefined;
    this.call = new CallerCall(caller.calls, this);
    this.#begin();
    if (requests === undefined) return;
    if (this.call.finished) {
      leaveIterator(requests);
      return;
    }
    const { bufferBytes } = caller.retrier.settings;
    this.#feed = new Feed(caller.calls, method.input, requests, bufferBytes, this.call, (error) =>
      this.#requestsFailed(error),
    );
  }

  get calls(): Calls {
    return this.caller.calls;
  }

  get responseHeaders(): readonly Header[] | undefined {
    return this.call.responseHeaders;
  }

  get trailers(): readonly Header[] | undefined {
    return this.call.trailers;
  }

  ending(): RpcError | "done" | undefined {
    if (this.#over !== undefined) return this.#over;
    if (this.#pending || !this.call.finished) return undefined;
    return this.call.error === undefined ? "done" : this.outcome(this.call.error);
  }

  leave(reason: RpcError | undefined): void {
    const { call } = this;
    const message = "the reader left the stream";
    const error = reason ?? new RpcError(message, Code.Canceled, { executed: call.executedNow });
    this.#over = error;
    this.#pending = false;
    this.caller.retrier.forget(this);
    this.#feed?.stop();
    call.cancel(Code.Canceled, error);
    // If it had ended before, that was for the reader to read.
    call.receiver.drop();
  }

  restart(): void {
    this.#pending = false;
    const call = new CallerCall(this.caller.calls, this);
    this.call = call;
    this.#begin();
    // It may be over before it has begun, and even have been followed by another.
    if (!call.finished) this.#feed?.attach(call);
  }

  giveUp(error: RpcError): void {
    this.#pending = false;
    this.#over = this.outcome(error);
    this.#feed?.stop();
    this.messages.wake();
  }

  #begin(): void {
    const { call } = this;
    call.listener = this;
    call.start(this.#payload, this.#payload !== undefined);
  }

  changed(call: CallerCall): void {
    if (!call.finished) {
      // What one request started can be started again by it, as long as there are tokens.
      if (call.receiver.length > 0 && !this.#isServerStreaming) this.#feed?.commit();
    } else if (call.error !== undefined && this.#goesOn(call)) {
      return;
    } else {
      if (call.error === undefined) this.caller.retrier.succeeded();
      this.#feed?.stop();
    }
    this.messages.wake();
  }

  /** Whether a failed attempt is followed by another. */
  #goesOn(call: CallerCall): boolean {
    const { consumed, resumeToken } = call.receiver;
    if (this.#over !== undefined || this.#feed?.replayable === false) return false;
    if (call.subscription !== undefined) {
      this.resumeToken = call.subscription.token;
      this.openGap = call.subscription.openGap;
      this.startOver();
    } else if (consumed > 0) {
      if (resumeToken === "" || !this.#isServerStreaming) return false;
      this.resumeToken = resumeToken;
      this.startOver();
    }
    this.#pending = true;
    const goesOn = this.attemptAgain(call);
    // The next attempt begins behind what was consumed: what was not comes again.
    if (goesOn) call.receiver.drop();
    else this.#pending = false;
    return goesOn;
  }

  #requestsFailed(error: unknown): void {
    const { executedNow } = this.call;
    const cause = RpcError.from(error, Code.Unknown);
    const failure =
      error instanceof RpcError
        ? executedNow === "no"
          ? error
          : notCertain(error)
        : new RpcError(`the request stream failed: ${cause.rawMessage}`, cause.code, {
            executed: executedNow,
            cause: error,
          });
    if (!this.#pending) this.call.cancel(Code.Canceled, failure);
    else {
      this.caller.retrier.forget(this);
      this.giveUp(failure);
    }
  }
}
