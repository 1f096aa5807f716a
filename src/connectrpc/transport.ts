import type {
  DescMessage,
  DescMethodStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextValues,
  createContextValues,
  type Interceptor,
  type StreamResponse,
  type Transport,
  type UnaryResponse,
} from "@connectrpc/connect";
import { runStreamingCall, runUnaryCall } from "@connectrpc/connect/protocol";
import { checkKeys } from "../base/check.js";
import { SingleMessage } from "../rpc/client.js";
import type {
  CallOptions,
  StreamResponse as HawserStreamResponse,
  Transport as HawserTransport,
  UnaryResponse as HawserUnaryResponse,
} from "../rpc/transport.js";
import { toAbortError, toConnectError } from "./errors.js";
import { hawserCallOptions } from "./keys.js";
import { BASE_URL, methodUrl } from "./url.js";

/** Options of {@link createHawserTransport}, with the names and meanings that Connect's own transports give them. */
export interface HawserTransportOptions {
  /** Connect interceptors, for all calls of this transport. The one at the end of the array is applied first. */
  readonly interceptors?: readonly Interceptor[];
  /** Timeout of calls that do not give `timeoutMs`, in milliseconds. Default: none. `timeoutMs` of 0 or less turns it off. */
  readonly defaultTimeoutMs?: number;
  /** What `request.url` begins with for interceptors; nothing is sent there. Default `"https://hawser"`. */
  readonly baseUrl?: string;
}

const KEYS = ["interceptors", "defaultTimeoutMs", "baseUrl"] as const;

/**
 * A Connect transport over a Hawser connection: Connect clients make their calls over it, of all four kinds, in browsers too.
 * All that fails is a `ConnectError`, whose `cause` is Hawser's `RpcError`.
 *
 * @param connection What `connect()` of `hawser/client` returns, or `context.peer` of a handler to call the client back.
 * @throws TypeError for an option that does not exist.
 * @example
 * const transport = createHawserTransport(connect("wss://example.com/rpc"));
 * const eliza = createClient(ElizaService, transport); // of @connectrpc/connect
 */
export function createHawserTransport(
  connection: HawserTransport,
  options: HawserTransportOptions = {},
): Transport {
  checkKeys("createHawserTransport()", options, KEYS);
  const { defaultTimeoutMs, baseUrl = BASE_URL } = options;
  const interceptors = [...(options.interceptors ?? [])];
  const timeoutOf = (timeoutMs: number | undefined): number | undefined =>
    timeoutMs === undefined ? defaultTimeoutMs : timeoutMs <= 0 ? undefined : timeoutMs;

  const requestCommon = (
    method: { readonly parent: DescService },
    url: string,
    header: HeadersInit | undefined,
    contextValues: ContextValues | undefined,
  ) => ({
    service: method.parent,
    requestMethod: "POST",
    url,
    header: new Headers(header),
    contextValues: contextValues ?? createContextValues(),
  });

  return {
    unary(method, signal, timeout, header, message, contextValues) {
      const timeoutMs = timeoutOf(timeout);
      if (interceptors.length === 0) {
        // Nobody can look between: Hawser keeps the deadline and listens to the signal by itself.
        const given = callOptions(signal, timeoutMs, header, contextValues);
        return connection.unary(method, message, given).then(
          (response) => new UnaryResult(response),
          (thrown: unknown) => {
            throw signal?.aborted === true ? toAbortError(signal) : toConnectError(thrown);
          },
        );
      }
      const timeLeft = countDown(timeoutMs);
      return runUnaryCall<typeof method.input, typeof method.output>({
        interceptors,
        ...whereGiven("signal", signal),
        ...whereGiven("timeoutMs", timeoutMs),
        req: {
          ...requestCommon(method, methodUrl(baseUrl, method), header, contextValues),
          stream: false,
          method,
          message,
        },
        next: async (request) => {
          const given = callOptions(request.signal, timeLeft(), request.header, request.contextValues);
          const input = request.message as MessageInitShape<typeof method.input>;
          const { message, header, trailer } = await connection.unary(method, input, given).catch(rethrow);
          // Of its own properties, since interceptors copy responses with `...`.
          return { stream: false, service: method.parent, method, message, header, trailer };
        },
      });
    },

    async stream(method, signal, timeout, header, messages, contextValues) {
      const timeoutMs = timeoutOf(timeout);
      const timeLeft = countDown(timeoutMs);
      return runStreamingCall<typeof method.input, typeof method.output>({
        interceptors,
        ...whereGiven("signal", signal),
        ...whereGiven("timeoutMs", timeoutMs),
        req: {
          ...requestCommon(method, methodUrl(baseUrl, method), header, contextValues),
          stream: true,
          method,
          message: messages,
        },
        next: async (request) => {
          const requests = request.message as AsyncIterable<MessageInitShape<typeof method.input>>;
          const watch = new Watched(requests);
          const input = method.methodKind === "server_streaming" ? await single(requests) : watch;
          const given = callOptions(request.signal, timeLeft(), request.header, request.contextValues);
          const response = await connection.stream(method, input, given).catch(rethrow);
          return streamResponse(response, (thrown) => watch.failure ?? toConnectError(thrown));
        },
      });
    },
  };
}

function callOptions(
  signal: AbortSignal | undefined,
  timeoutMs: number | undefined,
  headers: HeadersInit | undefined,
  contextValues: ContextValues | undefined,
): CallOptions {
  return { ...contextValues?.get(hawserCallOptions), signal, timeoutMs, headers, contextValues };
}

/** The time that is left of a timeout, from now on. */
function countDown(timeoutMs: number | undefined): () => number | undefined {
  if (timeoutMs === undefined) return () => undefined;
  const endsAt = performance.now() + timeoutMs;
  return () => endsAt - performance.now();
}

/** A response as Connect has it; metadata is made when somebody asks for it. */
class UnaryResult<I extends DescMessage, O extends DescMessage> implements UnaryResponse<I, O> {
  readonly stream = false as const;
  readonly method: DescMethodUnary<I, O>;
  readonly message: MessageShape<O>;
  readonly #response: HawserUnaryResponse<I, O>;

  constructor(response: HawserUnaryResponse<I, O>) {
    this.method = response.method as DescMethodUnary<I, O>;
    this.message = response.message;
    this.#response = response;
  }

  get service(): DescService {
    return this.method.parent;
  }

  get header(): Headers {
    return this.#response.header;
  }

  get trailer(): Headers {
    return this.#response.trailer;
  }
}

/**
 * A response that has begun: its headers are there, as Connect's clients expect it, since the first message or the end is.
 */
async function streamResponse<I extends DescMessage, O extends DescMessage>(
  response: HawserStreamResponse<I, O>,
  errorOf: (thrown: unknown) => ConnectError,
): Promise<StreamResponse<I, O>> {
  const method = response.method as DescMethodStreaming<I, O>;
  const trailer = new Headers();
  const iterator = response.message[Symbol.asyncIterator]();
  const next = (): Promise<IteratorResult<MessageShape<O>>> =>
    iterator.next().then(
      (result) => {
        // Set, not appended, as Connect does: what an interceptor has put there before does not count.
        if (result.done === true) for (const [name, value] of response.trailer) trailer.set(name, value);
        return result;
      },
      (thrown: unknown) => {
        throw errorOf(thrown);
      },
    );
  let first: ReturnType<typeof next> | undefined = next();
  await first.catch((error: ConnectError) => {
    // What the handler answered comes with headers, and is for the reader. Without an answer there is no response.
    if (!error.isWireError) throw error;
  });
  return {
    stream: true,
    service: method.parent,
    method,
    header: response.header,
    trailer,
    message: {
      [Symbol.asyncIterator]: () => ({
        next() {
          const result = first ?? next();
          first = undefined;
          return result;
        },
        async return() {
          await iterator.return?.();
          return { done: true, value: undefined };
        },
      }),
    },
  };
}

/** The requests of a call, and what they have failed with: as in Connect, it is what the call fails with. */
class Watched<T> implements AsyncIterable<T> {
  failure: ConnectError | undefined;
  readonly #messages: AsyncIterable<T>;

  constructor(messages: AsyncIterable<T>) {
    this.#messages = messages;
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    const iterator = this.#messages[Symbol.asyncIterator]();
    const failed = (thrown: unknown): never => {
      this.failure = ConnectError.from(thrown, Code.Internal);
      throw thrown;
    };
    return {
      next: () => iterator.next().catch(failed),
      return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
    };
  }
}

/** The one request of a server-streaming call, so that it goes out with the first frame; more or less as they are. */
async function single<T>(messages: AsyncIterable<T>): Promise<AsyncIterable<T>> {
  const iterator = messages[Symbol.asyncIterator]();
  const begin = [await iterator.next()];
  if (begin[0]?.done !== true) begin.push(await iterator.next());
  const [first, second] = begin;
  if (first?.done === false && second?.done === true) return new SingleMessage(first.value);
  return {
    [Symbol.asyncIterator]: () => ({
      next: async () => begin.shift() ?? iterator.next(),
      return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
    }),
  };
}

function rethrow(thrown: unknown): never {
  throw toConnectError(thrown);
}

/** For options of Connect that must not be there when they are `undefined`. */
function whereGiven<K extends string, T>(name: K, value: T | undefined): { [P in K]?: T } {
  return value === undefined ? {} : ({ [name]: value } as { [P in K]?: T });
}
