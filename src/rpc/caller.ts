import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { Code, codeFromWire } from "../base/code.js";
import { createContextValues } from "../base/context.js";
import { RpcError } from "../base/error.js";
import type { EndFrame, Header } from "../wire/frame.js";
import { Call } from "./call.js";
import type { CallingCall } from "./call-table.js";
import type { Calls } from "./calls.js";
import { extraMessage, missingMessage, SingleMessage } from "./client.js";
import { fromWireHeaders, toWireHeaders } from "./metadata.js";
import { decodeMessage, encodeMessage } from "./payload.js";
import { MessageReader, type Pump, pumpMessages } from "./streams.js";
import type {
  CallOptions,
  Interceptor,
  InterceptorNext,
  StreamRequest,
  StreamResponse,
  Transport,
  UnaryRequest,
  UnaryResponse,
} from "./transport.js";

/** The side of a call that opened it. */
class CallerCall extends Call implements CallingCall {
  readonly name: string;
  readonly headers: readonly Header[] | undefined;
  readonly deadlineAt: number;
  responseHeaders: readonly Header[] | undefined;
  trailers: readonly Header[] | undefined;
  /** The error, once the call has failed. */
  error: RpcError | undefined;
  /** Called on every change that a reader may wait for. */
  onChange: (() => void) | undefined;
  readonly #calls: Calls;
  readonly #signal: AbortSignal | undefined;
  #onAbort: (() => void) | undefined;

  constructor(calls: Calls, name: string, options: CallOptions | undefined) {
    const { limits } = calls;
    super(limits.creditBytes, limits.messageBytes);
    this.#calls = calls;
    this.name = name;
    this.headers = toWireHeaders(options?.headers);
    const timeoutMs = options?.timeoutMs;
    this.deadlineAt = timeoutMs === undefined ? Number.POSITIVE_INFINITY : calls.clock() + timeoutMs;
    this.#signal = options?.signal;
  }

  /** Sends the Open, unless the call is over before it began. */
  start(payload: Uint8Array | undefined, end: boolean, options: CallOptions | undefined): void {
    const signal = this.#signal;
    if (signal?.aborted === true) return this.fail(abortError(signal.reason, "no"));
    const timeoutMs = options?.timeoutMs;
    if (timeoutMs !== undefined && !(timeoutMs > 0)) {
      return this.fail(new RpcError(`timeoutMs is ${timeoutMs}`, Code.DeadlineExceeded, { executed: "no" }));
    }
    if (signal !== undefined) {
      this.#onAbort = () => this.cancel(Code.Canceled, abortError(signal.reason, this.executedNow));
      signal.addEventListener("abort", this.#onAbort);
    }
    this.#calls.start(this, payload, end, options?.waitForReady ?? true);
  }

  /** Whether the handler may have run, if the call were to fail on this side now. */
  get executedNow(): "no" | "unknown" {
    return this.sender.id === 0 ? "no" : "unknown";
  }

  /** Gives up the call, and tells the other side. */
  cancel(code: Code, error: RpcError): void {
    if (this.finished) return;
    this.#calls.cancel(this, code, code === Code.Canceled ? "" : error.rawMessage);
    this.fail(error);
  }

  fail(error: RpcError): void {
    if (this.finished) return;
    this.error = error;
    this.receiver.drop();
    this.#finish();
  }

  answered(headers: readonly Header[]): void {
    this.responseHeaders ??= headers;
  }

  concluded(frame: EndFrame): void {
    if (frame.headers !== undefined) this.answered(frame.headers);
    this.trailers = frame.trailers;
    if (frame.code !== 0) {
      this.error = new RpcError(frame.message, codeFromWire(frame.code), {
        details: frame.details,
        metadata: frame.trailers === undefined ? undefined : fromWireHeaders(frame.trailers),
        executed: frame.refused ? "no" : "yes",
      });
    }
    this.#finish();
  }

  received(): void {
    this.onChange?.();
  }

  expired(): void {
    if (this.finished) return;
    if (this.#calls.clock() >= this.deadlineAt) {
      const where = this.sender.id === 0 ? ` while waiting to be sent: ${this.#calls.notOpenReason}` : "";
      const error = new RpcError(`the deadline of ${this.name} passed${where}`, Code.DeadlineExceeded, {
        executed: this.executedNow,
      });
      this.cancel(Code.DeadlineExceeded, error);
      return;
    }
    this.cancel(
      Code.Unavailable,
      new RpcError(
        `no connection for ${this.name} within maxWaitMs: ${this.#calls.notOpenReason}`,
        Code.Unavailable,
        {
          executed: "no",
        },
      ),
    );
  }

  lost(): void {
    const { closed } = this.#calls;
    this.fail(
      closed === undefined
        ? new RpcError(`the session was lost while ${this.name} was in flight`, Code.Unavailable, {
            executed: "unknown",
          })
        : new RpcError(closed.rawMessage, closed.code, { executed: "unknown" }),
    );
  }

  #finish(): void {
    this.finished = true;
    this.#calls.remove(this);
    if (this.#onAbort !== undefined) {
      this.#signal?.removeEventListener("abort", this.#onAbort);
      this.#onAbort = undefined;
    }
    this.onChange?.();
    this.onChange = undefined;
  }
}

function abortError(reason: unknown, executed: "no" | "unknown"): RpcError {
  if (reason instanceof RpcError) return reason;
  const timedOut = reason instanceof Error && reason.name === "TimeoutError";
  return new RpcError(
    reason instanceof Error
      ? reason.message
      : reason === undefined
        ? "the call was cancelled"
        : String(reason),
    timedOut ? Code.DeadlineExceeded : Code.Canceled,
    { executed, cause: reason },
  );
}

class UnaryResult<I extends DescMessage, O extends DescMessage> implements UnaryResponse<I, O> {
  readonly stream = false as const;
  readonly method: DescMethodUnary<I, O>;
  readonly message: MessageShape<O>;
  readonly #call: CallerCall;
  #header: Headers | undefined;
  #trailer: Headers | undefined;

  constructor(method: DescMethodUnary<I, O>, message: MessageShape<O>, call: CallerCall) {
    this.method = method;
    this.message = message;
    this.#call = call;
  }

  get header(): Headers {
    this.#header ??= fromWireHeaders(this.#call.responseHeaders);
    return this.#header;
  }

  get trailer(): Headers {
    this.#trailer ??= fromWireHeaders(this.#call.trailers);
    return this.#trailer;
  }
}

class StreamResult<I extends DescMessage, O extends DescMessage> implements StreamResponse<I, O> {
  readonly stream = true as const;
  readonly method: DescMethodStreaming<I, O>;
  readonly message: AsyncIterable<MessageShape<O>>;
  readonly #call: CallerCall;

  constructor(method: DescMethodStreaming<I, O>, message: AsyncIterable<MessageShape<O>>, call: CallerCall) {
    this.method = method;
    this.message = message;
    this.#call = call;
  }

  get header(): Headers {
    return fromWireHeaders(this.#call.responseHeaders);
  }

  get trailer(): Headers {
    return fromWireHeaders(this.#call.trailers);
  }
}

/** "package.Service/Method". */
export function methodName(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}

/** Names of methods, made once each. */
const NAMES = new WeakMap<DescMethod, string>();

function cachedName(method: DescMethod): string {
  let name = NAMES.get(method);
  if (name === undefined) {
    name = methodName(method);
    NAMES.set(method, name);
  }
  return name;
}

/** Calls over one session, as a {@link Transport}. */
export function createCaller(calls: Calls, interceptors: readonly Interceptor[]): Transport {
  const transport: Transport = {
    unary: (method, input, options) => unary(calls, method, input, options),
    stream: async (method, input, options) => stream(calls, method, input, options),
  };
  return interceptors.length === 0 ? transport : intercepted(transport, interceptors);
}

function unary<I extends DescMessage, O extends DescMessage>(
  calls: Calls,
  method: DescMethodUnary<I, O>,
  input: MessageInitShape<I>,
  options: CallOptions | undefined,
): Promise<UnaryResponse<I, O>> {
  return new Promise((resolve, reject) => {
    const payload = encodeMessage(method.input, input, Code.Internal);
    const call = new CallerCall(calls, cachedName(method), options);
    call.onChange = () => {
      if (!call.finished) {
        if (call.receiver.length > 1) call.cancel(Code.Canceled, extraMessage(method.name));
        return;
      }
      if (call.error !== undefined) return reject(call.error);
      try {
        const response = call.receiver.shift();
        if (response === undefined) throw missingMessage(method.name);
        if (call.receiver.length > 0) throw extraMessage(method.name);
        resolve(new UnaryResult(method, decodeMessage(method.output, response, Code.Internal), call));
      } catch (error) {
        reject(error);
      }
    };
    call.start(payload, true, options);
  });
}

function stream<I extends DescMessage, O extends DescMessage>(
  calls: Calls,
  method: DescMethodStreaming<I, O>,
  input: AsyncIterable<MessageInitShape<I>>,
  options: CallOptions | undefined,
): StreamResponse<I, O> {
  const call = new CallerCall(calls, cachedName(method), options);
  let pump: Pump | undefined;
  const reader = new MessageReader<O>({
    call,
    calls,
    schema: method.output,
    decodeCode: Code.Internal,
    ending: () => (call.finished ? (call.error ?? "done") : undefined),
    leave: (reason) =>
      call.cancel(
        Code.Canceled,
        reason ?? new RpcError("the reader left the stream", Code.Canceled, { executed: call.executedNow }),
      ),
  });
  call.onChange = () => {
    if (call.finished) pump?.stop();
    reader.wake();
  };
  if (input instanceof SingleMessage) {
    call.start(
      encodeMessage(method.input, input.message as MessageInitShape<I>, Code.Internal),
      true,
      options,
    );
    return new StreamResult(method, reader, call);
  }
  call.start(undefined, false, options);
  if (!call.finished) {
    pump = pumpMessages(call, calls, method.input, input, Code.Internal);
    pump.done.then(
      () => {
        if (!call.finished) void calls.sendMessage(call, undefined, true);
      },
      (error: unknown) => {
        const cause = RpcError.from(error, Code.Unknown);
        call.cancel(
          Code.Canceled,
          error instanceof RpcError
            ? error
            : new RpcError(`the request stream failed: ${cause.rawMessage}`, cause.code, {
                executed: call.executedNow,
                cause: error,
              }),
        );
      },
    );
  }
  return new StreamResult(method, reader, call);
}

/** Puts interceptors in front of a transport; requests get all that interceptors may want to see. */
function intercepted(transport: Transport, interceptors: readonly Interceptor[]): Transport {
  return {
    async unary(method, input, options) {
      const next: InterceptorNext = (request) =>
        transport.unary(
          method,
          request.message as MessageInitShape<typeof method.input>,
          optionsOf(request, options),
        );
      const request: UnaryRequest = {
        ...requestCommon(method, options),
        stream: false,
        message: create(method.input, input),
      };
      return (await applyInterceptors(next, interceptors)(request)) as UnaryResponse<
        (typeof method)["input"],
        (typeof method)["output"]
      >;
    },
    async stream(method, input, options) {
      const next: InterceptorNext = (request) =>
        transport.stream(
          method,
          request.message as AsyncIterable<MessageInitShape<typeof method.input>>,
          optionsOf(request, options),
        );
      const messages = async function* () {
        for await (const message of input) yield create(method.input, message);
      };
      const request: StreamRequest = { ...requestCommon(method, options), stream: true, message: messages() };
      return (await applyInterceptors(next, interceptors)(request)) as StreamResponse<
        (typeof method)["input"],
        (typeof method)["output"]
      >;
    },
  };
}

/** Wraps `next` so that the first interceptor is the outermost. */
export function applyInterceptors(
  next: InterceptorNext,
  interceptors: readonly Interceptor[],
): InterceptorNext {
  return interceptors.reduceRight((inner, interceptor) => interceptor(inner), next);
}

function requestCommon(method: DescMethod, options: CallOptions | undefined) {
  return {
    service: method.parent,
    method,
    header: new Headers(options?.headers),
    signal: options?.signal ?? new AbortController().signal,
    timeoutMs: options?.timeoutMs,
    contextValues: options?.contextValues ?? createContextValues(),
  };
}

function optionsOf(request: UnaryRequest | StreamRequest, options: CallOptions | undefined): CallOptions {
  return {
    ...options,
    headers: request.header,
    signal: request.signal,
    timeoutMs: request.timeoutMs,
    contextValues: request.contextValues,
  };
}
