import {
  create,
  type DescMessage,
  type DescMethod,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { Code, codeFromWire } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { EndFrame, Header, OpenFrame } from "../wire/frame.js";
import { Call } from "./call.js";
import type { Answerer, AnsweringCall, EndRefusal } from "./call-table.js";
import { applyInterceptors } from "./caller.js";
import type { Calls } from "./calls.js";
import { CallContext, type ContextCall, type SessionInfo } from "./context.js";
import { ENTRY_BYTES, headerBytes, toWireHeaders } from "./metadata.js";
import { decodeMessage, encodeMessage } from "./payload.js";
import type { AnyInput, Route, RouteTable } from "./router.js";
import { MessageReader, type Pump, pumpMessages } from "./streams.js";
import type {
  Interceptor,
  StreamRequest,
  StreamResponse,
  Transport,
  UnaryRequest,
  UnaryResponse,
} from "./transport.js";

/** Told of what handlers throw that is no {@link RpcError}; the other side sees INTERNAL and nothing else. */
export type HandlerErrorLog = (error: unknown, method: string) => void;

/** What answering calls needs. */
export interface AnswererInit {
  readonly routes: RouteTable;
  readonly interceptors: readonly Interceptor[];
  readonly onHandlerError: HandlerErrorLog;
  readonly peer: () => Transport;
  readonly session: () => SessionInfo;
}

/** Makes the answering side of calls from a table of routes. */
export function createAnswerer(init: AnswererInit): Answerer {
  return {
    answer(frame, name, calls): AnsweringCall | EndRefusal {
      const route = init.routes.get(name);
      if (route === undefined) {
        return { refused: true, code: Code.Unimplemented, message: `${name} is not served here` };
      }
      return new AnswerCall(frame, route, calls, init);
    },
  };
}

type AnyMessage = MessageShape<DescMessage>;
type AnyInit = MessageInitShape<DescMessage>;

/** The side of a call that answers it. */
class AnswerCall extends Call implements AnsweringCall, ContextCall {
  readonly requestHeaders: readonly Header[] | undefined;
  aborted: RpcError | undefined;
  readonly #route: Route;
  readonly #calls: Calls;
  readonly #init: AnswererInit;
  readonly #context: CallContext;
  readonly #singleRequest: boolean;
  #begun = false;
  #reader: MessageReader<DescMessage> | undefined;
  #pump: Pump | undefined;

  constructor(frame: OpenFrame, route: Route, calls: Calls, init: AnswererInit) {
    super(calls.limits.creditBytes, calls.limits.messageBytes);
    this.requestHeaders = frame.headers;
    this.#route = route;
    this.#calls = calls;
    this.#init = init;
    this.#context = new CallContext(route.method, this);
    const kind = route.method.methodKind;
    this.#singleRequest = kind === "unary" || kind === "server_streaming";
  }

  get peer(): Transport {
    return this.#init.peer();
  }

  get session(): SessionInfo {
    return this.#init.session();
  }

  readonly timeLeft = (): number | undefined =>
    this.heapIndex < 0 ? undefined : Math.max(0, this.dueAt - this.#calls.clock());

  received(): void {
    if (this.finished) return;
    if (!this.#singleRequest) {
      if (!this.#begun) this.#begin(undefined);
      else this.#reader?.wake();
      return;
    }
    const { receiver } = this;
    if (this.#begun) return;
    if (receiver.length > 1) return this.#reject(`${this.#route.name} takes one message, but more arrived`);
    if (!receiver.ended) return;
    const payload = receiver.shift();
    if (payload === undefined) return this.#reject(`${this.#route.name} takes one message, but none arrived`);
    let message: AnyMessage;
    try {
      message = decodeMessage(this.#route.method.input, payload, Code.InvalidArgument);
    } catch (error) {
      return this.#respond(error as RpcError, true);
    }
    this.#begin(message);
  }

  cancelled(code: number, message: string): void {
    this.#abort(new RpcError(message === "" ? "the caller cancelled" : message, codeFromWire(code)));
  }

  lost(): void {
    this.#abort(this.#calls.closed ?? new RpcError("the session was lost", Code.Unavailable));
  }

  expired(): void {
    const error = new RpcError(`the deadline of ${this.#route.name} passed`, Code.DeadlineExceeded, {
      executed: "unknown",
    });
    const id = this.sender.id;
    this.#abort(error);
    this.sender.id = id;
    this.#calls.sendEnd(this, endFrame(id, error, undefined, undefined, !this.#begun));
  }

  /** Ends the call without an answer. */
  #abort(reason: RpcError): void {
    this.#calls.remove(this);
    if (this.aborted !== undefined) return;
    this.aborted = reason;
    this.finished = true;
    this.receiver.drop();
    this.#pump?.stop();
    this.#reader?.wake();
    this.#context.abort(reason);
  }

  #begin(message: AnyMessage | undefined): void {
    this.#begun = true;
    if (this.#init.interceptors.length > 0) {
      this.#beginIntercepted(message);
      return;
    }
    const { handler, method } = this.#route;
    const input = message ?? this.#requests();
    try {
      const result: unknown = handler(input, this.#context);
      if (answersOnce(method)) {
        if (result instanceof Promise) result.then(this.#onMessage, this.#onError);
        else if (isThenable(result)) Promise.resolve(result).then(this.#onMessage, this.#onError);
        else this.#answer(result as AnyInit);
      } else this.#stream(result as AsyncIterable<AnyInit>);
    } catch (error) {
      this.#fail(error);
    }
  }

  readonly #onMessage = (message: unknown): void => this.#answer(message as AnyInit);
  readonly #onError = (error: unknown): void => this.#fail(error);

  /** Interceptors see requests and responses as on a client, and the handler is the innermost function. */
  #beginIntercepted(message: AnyMessage | undefined): void {
    const { handler, method } = this.#route;
    const context = this.#context;
    const once = answersOnce(method);
    const common = {
      service: method.parent,
      method,
      header: context.requestHeader,
      signal: context.signal,
      timeoutMs: context.timeoutMs(),
      contextValues: context.values,
    };
    const innermost = async (
      request: UnaryRequest | StreamRequest,
    ): Promise<UnaryResponse | StreamResponse> => {
      const response = { method, header: context.responseHeader, trailer: context.responseTrailer };
      // A server-streaming handler takes the one message of its request stream.
      const input: AnyInput | AsyncIterable<AnyInput> =
        request.stream && this.#singleRequest ? await first(request.message) : request.message;
      const result: unknown = handler(input, context);
      if (!request.stream)
        return { ...response, stream: false, message: create(method.output, (await result) as AnyInit) };
      if (once) return { ...response, stream: true, message: created(method, [result as AnyInit]) };
      return { ...response, stream: true, message: created(method, result as AsyncIterable<AnyInit>) };
    };
    const request: UnaryRequest | StreamRequest =
      method.methodKind === "unary"
        ? { ...common, stream: false, message: message as AnyMessage }
        : {
            ...common,
            stream: true,
            message: message === undefined ? this.#requests() : created(method, [message], "input"),
          };
    applyInterceptors(
      innermost,
      this.#init.interceptors,
    )(request)
      .then(async (response) => {
        copyInto(context.responseHeader, response.header);
        if (!response.stream) {
          copyInto(context.responseTrailer, response.trailer);
          this.#answer(response.message);
        } else if (once) {
          const single = await first(response.message);
          copyInto(context.responseTrailer, response.trailer);
          this.#answer(single);
        } else this.#stream(response.message, () => copyInto(context.responseTrailer, response.trailer));
      })
      .catch(this.#onError);
  }

  #requests(): MessageReader<DescMessage> {
    this.#reader = new MessageReader({
      call: this,
      calls: this.#calls,
      schema: this.#route.method.input,
      decodeCode: Code.InvalidArgument,
      ending: () => this.aborted ?? (this.receiver.ended || this.finished ? "done" : undefined),
      leave: (reason) => {
        // A handler that leaves its requests may still answer; what else arrives is consumed unread.
        if (reason !== undefined) this.#respond(reason, false);
        else this.#discard();
      },
    });
    return this.#reader;
  }

  /** Reads and drops what still arrives, so that the caller is not held up by credit. */
  #discard(): void {
    const { receiver } = this;
    while (receiver.shift() !== undefined);
    this.#calls.giveCredit(this);
  }

  #stream(iterable: AsyncIterable<AnyInit>, atEnd?: () => void): void {
    if (this.finished) return;
    if (typeof iterable?.[Symbol.asyncIterator] !== "function") {
      return this.#fail(new TypeError(`${this.#route.name} must return an async iterable`));
    }
    const context = this.#context;
    this.#pump = pumpMessages(this, this.#calls, this.#route.method.output, iterable, Code.Internal, () => {
      this.sender.headers = toWireHeaders(context.touchedHeader);
    });
    this.#pump.done.then(() => {
      if (this.finished) return;
      atEnd?.();
      this.#end(endFrame(this.sender.id, undefined, undefined, context.touchedTrailer, false));
    }, this.#onError);
  }

  #answer(message: AnyInit): void {
    if (this.finished) return;
    let payload: Uint8Array;
    try {
      payload = encodeMessage(this.#route.method.output, message, Code.Internal);
    } catch (error) {
      return this.#fail(error);
    }
    const context = this.#context;
    const headers = context.touchedHeader === undefined ? undefined : toWireHeaders(context.touchedHeader);
    const trailers = context.touchedTrailer === undefined ? undefined : toWireHeaders(context.touchedTrailer);
    this.#end({
      kind: "end",
      call: this.sender.id,
      code: 0,
      message: "",
      details: undefined,
      headers,
      trailers,
      refused: false,
      payload,
    });
  }

  /** The handler threw. */
  #fail(thrown: unknown): void {
    if (thrown instanceof RpcError) return this.#respond(thrown, false);
    if (this.finished && isAbort(thrown)) return;
    this.#init.onHandlerError(thrown, this.#route.name);
    this.#respond(new RpcError("internal error", Code.Internal), false);
  }

  #reject(message: string): void {
    this.#respond(new RpcError(message, Code.Unimplemented), true);
  }

  #respond(error: RpcError, refused: boolean): void {
    if (this.finished) return;
    const context = this.#context;
    // A stream that has begun has sent its headers, or has them ready for its first frame.
    const headers = this.#pump === undefined ? toWireHeaders(context.touchedHeader) : undefined;
    this.#end(endFrame(this.sender.id, error, headers, context.touchedTrailer, refused));
  }

  #end(frame: EndFrame): void {
    if (this.finished) return;
    this.finished = true;
    this.receiver.drop();
    let out = frame;
    if (out.headers === undefined && this.sender.headers !== undefined && !this.sender.hasWaiting) {
      out = { ...out, headers: this.sender.headers };
      this.sender.headers = undefined;
    }
    const limit = this.#calls.peerLimits;
    const metadata = headerBytes(out.headers) + headerBytes(out.trailers) + detailBytes(out);
    const tooMuch =
      metadata > limit.headerBytes
        ? `response metadata and error details of ${metadata} bytes are over the limit of ${limit.headerBytes}`
        : out.payload !== undefined && out.payload.length > limit.messageBytes
          ? `a message of ${out.payload.length} bytes is over the limit of ${limit.messageBytes} (limits.messageBytes of the caller)`
          : undefined;
    if (tooMuch !== undefined) {
      out = endFrame(out.call, new RpcError(tooMuch, Code.ResourceExhausted), undefined, undefined, false);
    }
    this.#pump?.stop();
    this.#reader?.wake();
    this.#calls.sendEnd(this, out);
  }
}

function endFrame(
  call: number,
  error: RpcError | undefined,
  headers: readonly Header[] | undefined,
  trailer: Headers | undefined,
  refused: boolean,
): EndFrame {
  let trailers = toWireHeaders(trailer);
  if (error !== undefined) {
    const metadata = toWireHeaders(error.metadata);
    if (metadata !== undefined) trailers = [...(trailers ?? []), ...metadata];
  }
  return {
    kind: "end",
    call,
    code: error?.code ?? 0,
    message: error === undefined ? "" : truncate(error.rawMessage),
    details: error === undefined || error.details.length === 0 ? undefined : error.details,
    headers,
    trailers,
    refused,
    payload: undefined,
  };
}

/** Longest error message on the wire, in UTF-16 units. */
const MAX_MESSAGE = 4096;

function truncate(message: string): string {
  return message.length <= MAX_MESSAGE ? message : `${message.slice(0, MAX_MESSAGE - 1)}…`;
}

function detailBytes(frame: EndFrame): number {
  let bytes = 0;
  if (frame.details !== undefined)
    for (const detail of frame.details) bytes += detail.type.length + detail.value.length + ENTRY_BYTES;
  return bytes;
}

function answersOnce(method: DescMethod): boolean {
  return method.methodKind === "unary" || method.methodKind === "client_streaming";
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
  );
}

/** What a handler throws because its signal was aborted is no fault of its. */
function isAbort(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === "AbortError";
}

async function first(messages: AsyncIterable<AnyMessage>): Promise<AnyMessage> {
  for await (const message of messages) return message;
  throw new RpcError("an interceptor passed on no message", Code.Internal);
}

async function* created(
  method: DescMethod,
  messages: AsyncIterable<AnyInit> | Iterable<AnyInit>,
  direction: "input" | "output" = "output",
): AsyncGenerator<AnyMessage> {
  for await (const message of messages) yield create(method[direction], message);
}

function copyInto(target: Headers, source: Headers): void {
  if (target === source) return;
  source.forEach((value, name) => {
    target.set(name, value);
  });
}
