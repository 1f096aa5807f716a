import { create, type DescMethod, type MessageInitShape } from "@bufbuild/protobuf";
import { createContextValues } from "../base/context.js";
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

/** Puts interceptors in front of a transport; requests get all that interceptors may want to see. */
export function intercepted(transport: Transport, interceptors: readonly Interceptor[]): Transport {
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
