import type {
  DescMessage,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import { type CallOptions, type StreamResponse, shorterWays, type Transport } from "./transport.js";

/** A typed client of a service: one function per method, named as in the schema, beginning in lower case. */
export type Client<Desc extends DescService> = {
  [P in keyof Desc["method"]]: Desc["method"][P] extends DescMethodUnary<infer I, infer O>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : Desc["method"][P] extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
      : Desc["method"][P] extends DescMethodClientStreaming<infer I, infer O>
        ? (requests: AsyncIterable<MessageInitShape<I>>, options?: CallOptions) => Promise<MessageShape<O>>
        : Desc["method"][P] extends DescMethodBiDiStreaming<infer I, infer O>
          ? (
              requests: AsyncIterable<MessageInitShape<I>>,
              options?: CallOptions,
            ) => AsyncIterable<MessageShape<O>>
          : never;
};

/**
 * Makes a typed client.
 *
 * Unary and client-streaming functions return a promise, the other two an async iterable that is to be read once; the
 * call begins when the function is called, and leaving the loop early cancels it. All reject or throw an
 * {@link RpcError}.
 *
 * @param service The service, as `protoc-gen-es` generates it.
 * @param transport A connection, or on a server the session of a client.
 */
export function createClient<Desc extends DescService>(service: Desc, transport: Transport): Client<Desc> {
  const client: Record<string, unknown> = {};
  for (const method of service.methods) {
    client[method.localName] = clientFunction(method as AnyMethod, transport);
  }
  return client as Client<Desc>;
}

type AnyMethod =
  | DescMethodUnary<DescMessage, DescMessage>
  | DescMethodServerStreaming<DescMessage, DescMessage>
  | DescMethodClientStreaming<DescMessage, DescMessage>
  | DescMethodBiDiStreaming<DescMessage, DescMessage>;

type Input = MessageInitShape<DescMessage>;

function clientFunction(method: AnyMethod, transport: Transport): unknown {
  switch (method.methodKind) {
    case "unary":
      return unaryFunction(method, transport);
    case "server_streaming":
      return (request: Input, options?: CallOptions) =>
        responseMessages(transport.stream(method, new SingleMessage(request), options), options);
    case "client_streaming":
      return (requests: AsyncIterable<Input>, options?: CallOptions) =>
        singleMessage(responseMessages(transport.stream(method, requests, options), options), method);
    case "bidi_streaming":
      return (requests: AsyncIterable<Input>, options?: CallOptions) =>
        responseMessages(transport.stream(method, requests, options), options);
  }
}

function unaryFunction(method: DescMethodUnary<DescMessage, DescMessage>, transport: Transport): unknown {
  const whole = async (request: Input, options: CallOptions | undefined) => {
    const response = await transport.unary(method, request, options);
    if (options?.onHeader !== undefined) options.onHeader(response.header);
    if (options?.onTrailer !== undefined) options.onTrailer(response.trailer);
    return response.message;
  };
  const { unary } = transport;
  const shorter = shorterWays.get(unary);
  return (request: Input, options?: CallOptions) =>
    shorter === undefined ||
    transport.unary !== unary ||
    options?.onHeader !== undefined ||
    options?.onTrailer !== undefined
      ? whole(request, options)
      : shorter(method, request, options);
}

/** The one request message of a server-streaming call; a transport that knows it sends it with the call's first frame. */
export class SingleMessage<T> implements AsyncIterable<T> {
  readonly message: T;

  constructor(message: T) {
    this.message = message;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    yield this.message;
  }
}

function responseMessages(
  response: Promise<StreamResponse>,
  options: CallOptions | undefined,
): AsyncIterable<MessageShape<DescMessage>> {
  // The reader may come later than the failure.
  response.catch(() => undefined);
  let taken = false;
  return {
    [Symbol.asyncIterator]() {
      if (taken) throw new RpcError("the messages of a call can be read once only", Code.FailedPrecondition);
      taken = true;
      let messages: AsyncIterator<MessageShape<DescMessage>> | undefined;
      const open = () =>
        response.then((opened) => {
          const iterator = opened.message[Symbol.asyncIterator]();
          messages = watched ? watch(iterator, opened, options) : iterator;
          return messages;
        });
      const watched = options?.onHeader !== undefined || options?.onTrailer !== undefined;
      return {
        next: () => (messages === undefined ? open().then((iterator) => iterator.next()) : messages.next()),
        async return() {
          const iterator = messages ?? (await open().catch(() => undefined));
          await iterator?.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  };
}

/** Calls `onHeader` with the first result, and `onTrailer` with the last. */
function watch<T>(
  iterator: AsyncIterator<T>,
  response: StreamResponse,
  options: CallOptions | undefined,
): AsyncIterator<T> {
  let begun = false;
  let ended = false;
  const seen = (end: boolean) => {
    if (!begun) {
      begun = true;
      options?.onHeader?.(response.header);
    }
    if (end && !ended) {
      ended = true;
      options?.onTrailer?.(response.trailer);
    }
  };
  return {
    async next() {
      try {
        const result = await iterator.next();
        seen(result.done === true);
        return result;
      } catch (error) {
        seen(true);
        throw error;
      }
    },
    async return() {
      await iterator.return?.();
      return { done: true, value: undefined };
    },
  };
}

async function singleMessage(
  messages: AsyncIterable<MessageShape<DescMessage>>,
  method: AnyMethod,
): Promise<MessageShape<DescMessage>> {
  let single: MessageShape<DescMessage> | undefined;
  for await (const message of messages) {
    if (single !== undefined) throw extraMessage(method.name);
    single = message;
  }
  if (single === undefined) throw missingMessage(method.name);
  return single;
}

/** A method that answers with one message answered with more: as in gRPC, it is not what the schema says. */
export function extraMessage(method: string): RpcError {
  const message = `${method} answers with one message, but more arrived`;
  return new RpcError(message, Code.Unimplemented, { executed: "yes" });
}

/** A method that answers with one message answered with none. */
export function missingMessage(method: string): RpcError {
  const message = `${method} answers with one message, but none arrived`;
  return new RpcError(message, Code.Unimplemented, { executed: "yes" });
}
