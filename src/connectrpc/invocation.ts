import { create, type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type HandlerContext,
  type Interceptor,
  type MethodImplSpec,
  type StreamRequest,
  type StreamResponse,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import { RpcError } from "../base/error.js";
import { turnAway } from "../rpc/turned-away.js";
import type { ConnectContext, ContextInit } from "./context.js";
import { toRpcError } from "./errors.js";
import { handed, justOne, normalized, onlyOne } from "./messages.js";

/** What stands around the implementation of a method. */
export interface HandlerInit extends ContextInit {
  readonly interceptors: readonly Interceptor[];
  readonly requestGate: ((context: HandlerContext) => void | Promise<void>) | undefined;
  readonly maxTimeoutMs: number;
  readonly readMaxBytes: number;
  readonly writeMaxBytes: number;
}

type AnyFn = Parameters<Interceptor>[0];
type AnyMessage = MessageShape<DescMessage>;
type Requests = AsyncIterable<AnyMessage>;

/** One call on its way through gate and interceptors to the implementation, and back. */
export class Invocation {
  readonly #context: ConnectContext;
  readonly #init: HandlerInit;
  /** The implementation has the call. */
  #reached = false;

  constructor(context: ConnectContext, init: HandlerInit) {
    this.#context = context;
    this.#init = init;
  }

  /** @throws ConnectError when the call is not even to come to the interceptors. */
  async admit(): Promise<void> {
    const { maxTimeoutMs, requestGate } = this.#init;
    const timeoutMs = this.#context.timeoutMs();
    if (timeoutMs !== undefined && timeoutMs > maxTimeoutMs) {
      throw new ConnectError(
        `timeout ${Math.ceil(timeoutMs)}ms must be <= ${maxTimeoutMs}`,
        Code.InvalidArgument,
      );
    }
    await requestGate?.(this.#context);
  }

  failure(thrown: unknown): unknown {
    const error = toRpcError(thrown);
    return !this.#reached && error instanceof RpcError ? turnAway(error) : error;
  }

  async unary(spec: MethodImplSpec & { kind: "unary" }, input: AnyMessage): Promise<AnyMessage> {
    const { method, impl } = spec;
    const context = this.#context;
    checkSize(method.input, input, "readMaxBytes", this.#init.readMaxBytes, false);
    const next = this.#intercept(async (request) => {
      this.#reached = true;
      const output = await impl((request as UnaryRequest).message, merged(context, request));
      return responseOf(context, false, create(method.output, output));
    });
    const response = await next(requestOf(context, false, input));
    takeHeaders(context, response, "header");
    takeHeaders(context, response, "trailer");
    const { message } = response as UnaryResponse;
    this.#checkWritten(method.output, message);
    return message;
  }

  async *stream(
    spec: Exclude<MethodImplSpec, { kind: "unary" }>,
    requests: Requests,
  ): AsyncGenerator<AnyMessage, void, undefined> {
    const context = this.#context;
    const { method } = spec;
    const next = this.#intercept(async (request) => {
      const { message: input } = request as StreamRequest;
      const handlerContext = merged(context, request);
      const only = spec.kind === "server_streaming" ? await onlyOne(input, "input message") : undefined;
      this.#reached = true;
      const output =
        spec.kind === "client_streaming"
          ? justOne(await spec.impl(input, handlerContext))
          : spec.kind === "bidi_streaming"
            ? spec.impl(input, handlerContext)
            : spec.impl(only as AnyMessage, handlerContext);
      return responseOf(context, true, normalized(method.output, output));
    });
    const request = requestOf(context, true, this.#readable(method.input, requests));
    const response = (await next(request)) as StreamResponse;
    takeHeaders(context, response, "header");
    for await (const written of response.message) {
      this.#checkWritten(method.output, written);
      yield written;
    }
    takeHeaders(context, response, "trailer");
  }

  #intercept(innermost: AnyFn): AnyFn {
    return this.#init.interceptors.reduceRight<AnyFn>((inner, interceptor) => interceptor(inner), innermost);
  }

  async *#readable(schema: DescMessage, requests: Requests): AsyncGenerator<AnyMessage> {
    for await (const message of handed(requests)) {
      checkSize(schema, message, "readMaxBytes", this.#init.readMaxBytes);
      yield message;
    }
  }

  #checkWritten(schema: DescMessage, message: AnyMessage): void {
    checkSize(schema, message, "writeMaxBytes", this.#init.writeMaxBytes);
  }
}

// Interceptors copy requests, responses and contexts with `...`, so what these hold are properties of their own. Those that cost
// something are made when somebody looks at them: a signal with its abort is ten times as dear as the rest of a call.

function requestOf(context: ConnectContext, stream: boolean, message: unknown): UnaryRequest | StreamRequest {
  const { service, method, requestMethod, url } = context;
  const request = {
    stream,
    message,
    service,
    method,
    requestMethod,
    url,
    get signal() {
      return context.signal;
    },
    get header() {
      return context.requestHeader;
    },
    get contextValues() {
      return context.values;
    },
  };
  return request as UnaryRequest | StreamRequest;
}

function responseOf(
  context: ConnectContext,
  stream: boolean,
  message: unknown,
): UnaryResponse | StreamResponse {
  const { service, method } = context;
  const response = {
    stream,
    message,
    service,
    method,
    get header() {
      return context.responseHeader;
    },
    get trailer() {
      return context.responseTrailer;
    },
  };
  OURS.add(response);
  return response as UnaryResponse | StreamResponse;
}

/** Responses whose metadata is that of their context already. */
const OURS = new WeakSet<object>();

/** The context with what interceptors have put in place of the request's own. */
function merged(context: ConnectContext, request: UnaryRequest | StreamRequest): HandlerContext {
  const { method, requestMethod, protocolName, url, timeoutMs } = context;
  return {
    service: request.service,
    method,
    requestMethod,
    protocolName,
    url,
    timeoutMs,
    get signal() {
      return request.signal;
    },
    get requestHeader() {
      return request.header;
    },
    get values() {
      return request.contextValues;
    },
    get responseHeader() {
      return context.responseHeader;
    },
    get responseTrailer() {
      return context.responseTrailer;
    },
  };
}

/** Puts the metadata of a response that an interceptor has made in place of the context's. */
function takeHeaders(
  context: ConnectContext,
  response: UnaryResponse | StreamResponse,
  which: "header" | "trailer",
): void {
  if (OURS.has(response)) return;
  const source = response[which];
  const target = which === "header" ? context.responseHeader : context.responseTrailer;
  if (target === source) return;
  for (const name of [...target.keys()]) target.delete(name);
  source.forEach((value, name) => {
    target.append(name, value);
  });
}

/**
 * Sizes matter to those only who have set a limit: they pay for one more encoding.
 *
 * @param tells whether the error says how large the message is: Connect does not know that of the request of a unary call
 */
function checkSize(
  schema: DescMessage,
  message: AnyMessage,
  option: "readMaxBytes" | "writeMaxBytes",
  limit: number,
  tells = true,
): void {
  if (limit === Number.POSITIVE_INFINITY) return;
  const { length } = toBinary(schema, message);
  if (length <= limit) return;
  const size = tells ? ` ${length}` : "";
  const text = `message size${size} is larger than configured ${option} ${limit}`;
  throw new ConnectError(text, Code.ResourceExhausted);
}
