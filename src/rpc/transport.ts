import type {
  DescMessage,
  DescMethod,
  DescMethodStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { ContextValues } from "../base/context.js";
import type { TopicOptions } from "./topic.js";

/** Options of one call. */
export interface CallOptions {
  /** Aborting it cancels the call. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Time in milliseconds until the call fails with DEADLINE_EXCEEDED, on both sides. It runs while the link is down
   * too. Default: none. A number that is not above 0 fails the call at once.
   */
  readonly timeoutMs?: number | undefined;
  /** Request metadata. */
  readonly headers?: HeadersInit | undefined;
  /** Called once with the response headers, before the first message. */
  readonly onHeader?: ((headers: Headers) => void) | undefined;
  /** Called once with the trailers, when the call ended. */
  readonly onTrailer?: ((trailers: Headers) => void) | undefined;
  /** Values for interceptors; they stay in this process. */
  readonly contextValues?: ContextValues | undefined;
  /**
   * Whether a call made while there is no open connection waits for one (default `true`), or fails at once with
   * UNAVAILABLE.
   */
  readonly waitForReady?: boolean | undefined;
  /**
   * Names the call over all its attempts, in this session and in others: 1 to 255 characters, unary methods only. The
   * server runs the handler to completion once for it, and every attempt gets the same response; it needs an
   * `idempotencyStore`. Calls of methods with `option (hawser.v1.once) = true` have one by themselves (a UUIDv7).
   */
  readonly idempotencyKey?: string | undefined;
  /** For server streams whose messages come from a topic: where to begin, and what to be told. */
  readonly topic?: TopicOptions | undefined;
  /** `false`: no further attempt if this one may have run, whatever is configured. */
  readonly retry?: false | undefined;
}

/** What requests of both shapes have in common, as interceptors see them. */
interface RequestCommon<I extends DescMessage, O extends DescMessage> {
  readonly service: DescService;
  readonly method: DescMethod & { readonly input: I; readonly output: O };
  /** Request metadata; an interceptor may change it before `next`. */
  readonly header: Headers;
  /** Aborted when the call is cancelled or its deadline has passed. */
  readonly signal: AbortSignal;
  /** Time that the call has, in milliseconds; `undefined`: no deadline. */
  readonly timeoutMs: number | undefined;
  readonly contextValues: ContextValues;
}

/** A request of a unary method. */
export interface UnaryRequest<I extends DescMessage = DescMessage, O extends DescMessage = DescMessage>
  extends RequestCommon<I, O> {
  readonly stream: false;
  readonly message: MessageShape<I>;
}

/** A request of a method that streams in at least one direction. */
export interface StreamRequest<I extends DescMessage = DescMessage, O extends DescMessage = DescMessage>
  extends RequestCommon<I, O> {
  readonly stream: true;
  readonly message: AsyncIterable<MessageShape<I>>;
}

interface ResponseCommon<I extends DescMessage, O extends DescMessage> {
  readonly method: DescMethod & { readonly input: I; readonly output: O };
  /** Response metadata that came first; complete once the (first) message was read. */
  readonly header: Headers;
  /** Response metadata that came at the end; complete once the message, or the last message, was read. */
  readonly trailer: Headers;
}

/** The response of a unary method. */
export interface UnaryResponse<I extends DescMessage = DescMessage, O extends DescMessage = DescMessage>
  extends ResponseCommon<I, O> {
  readonly stream: false;
  readonly message: MessageShape<O>;
}

/** The response of a method that streams in at least one direction. Leaving the loop early cancels the call. */
export interface StreamResponse<I extends DescMessage = DescMessage, O extends DescMessage = DescMessage>
  extends ResponseCommon<I, O> {
  readonly stream: true;
  readonly message: AsyncIterable<MessageShape<O>>;
}

/** What an interceptor calls to go on. */
export type InterceptorNext = (
  request: UnaryRequest | StreamRequest,
) => Promise<UnaryResponse | StreamResponse>;

/**
 * Wraps calls; the same type serves clients and servers. Interceptors run in the order in which they are given: the
 * first one sees the request first and the response last.
 *
 * Before a handler, an interceptor that throws an `RpcError` with `executed: "no"` instead of calling `next` turns the call
 * away: its caller gets to know that the handler has not run, and an idempotency key keeps no outcome of it.
 *
 * @example
 * const log: Interceptor = (next) => async (request) => {
 *   console.log(request.method.name);
 *   return next(request);
 * };
 */
export type Interceptor = (next: InterceptorNext) => InterceptorNext;

/** Something that calls can be made over: a connection to a server, or a server's session with a client. */
export interface Transport {
  /** Makes a call of a unary method. */
  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    input: MessageInitShape<I>,
    options: CallOptions | undefined,
  ): Promise<UnaryResponse<I, O>>;
  /**
   * Makes a call of a streaming method. `input` gives one message for server streaming. Resolves when the call is on
   * its way, so that the caller can leave it at any time.
   */
  stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    input: AsyncIterable<MessageInitShape<I>>,
    options: CallOptions | undefined,
  ): Promise<StreamResponse<I, O>>;
}

/** As {@link Transport.unary}, for who wants nothing but the message: no response object, one promise instead of two. */
export type UnaryMessage = <I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  input: MessageInitShape<I>,
  options: CallOptions | undefined,
) => Promise<MessageShape<O>>;

/** The shorter ways of transports, by what they are shorter than: who wraps `unary` is not passed by. */
export const shorterWays: WeakMap<Transport["unary"], UnaryMessage> = new WeakMap();
