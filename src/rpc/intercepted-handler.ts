import { create, type DescMessage, type DescMethod, type MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { CallContext } from "./context.js";
import { applyInterceptors } from "./interception.js";
import { answersOnce } from "./method-info.js";
import { keepToken } from "./resumable.js";
import type { AnyMessage, Route } from "./router.js";
import type { MessageReader } from "./streams.js";
import { isTopic, type Topic } from "./topic.js";
import type { Interceptor, StreamRequest, StreamResponse, UnaryRequest, UnaryResponse } from "./transport.js";

type AnyInit = MessageInitShape<DescMessage>;

/** A handler with interceptors in front of it. */
export interface InterceptedHandler {
  readonly route: Route;
  readonly interceptors: readonly Interceptor[];
  readonly context: CallContext;
  /** The one request message; `undefined`: there is a stream of them. */
  readonly message: AnyMessage | undefined;
  /** The stream. */
  readonly requests: () => MessageReader<DescMessage>;
  /** The interceptors have let the call through. */
  readonly onAdmitted: () => void;
}

/** What came out of the interceptors. */
export type InterceptedResult =
  | { readonly stream: false; readonly message: AnyMessage }
  | {
      readonly stream: true;
      readonly messages: AsyncIterable<AnyInit>;
      /** To be called when all messages were read: trailers are known only then. */
      readonly atEnd: () => void;
    };

/** Runs a handler behind interceptors, which see requests and responses as on a client. */
export async function runIntercepted(intercepted: InterceptedHandler): Promise<InterceptedResult> {
  const { route, interceptors, context, message, requests } = intercepted;
  const { method } = route;
  const common = {
    service: method.parent,
    method,
    header: context.requestHeader,
    signal: context.signal,
    timeoutMs: context.timeoutMs(),
    contextValues: context.values,
  };
  const request: UnaryRequest | StreamRequest =
    method.methodKind === "unary"
      ? { ...common, stream: false, message: message as AnyMessage }
      : {
          ...common,
          stream: true,
          message: message === undefined ? requests() : created(method, [message], "input"),
        };
  const next = (passed: UnaryRequest | StreamRequest) => innermost(passed, intercepted);
  const response = await applyInterceptors(next, interceptors)(request);
  copyInto(context.responseHeader, response.header);
  const atEnd = () => copyInto(context.responseTrailer, response.trailer);
  if (response.stream && !answersOnce(method)) return { stream: true, messages: response.message, atEnd };
  const single = response.stream ? await first(response.message) : response.message;
  atEnd();
  return { stream: false, message: single };
}

/** Calls the handler with what the interceptors have passed on. */
async function innermost(
  request: UnaryRequest | StreamRequest,
  { route, context, message, onAdmitted }: InterceptedHandler,
): Promise<UnaryResponse | StreamResponse> {
  const { handler, method } = route;
  const response = { method, header: context.responseHeader, trailer: context.responseTrailer };
  // A server-streaming handler takes the one message of its request stream.
  const input: AnyMessage | AsyncIterable<AnyMessage> =
    request.stream && message !== undefined ? await first(request.message) : request.message;
  onAdmitted();
  const result: unknown = handler(input, context);
  if (!request.stream) {
    return { ...response, stream: false, message: create(method.output, (await result) as AnyInit) };
  }
  if (answersOnce(method)) {
    return { ...response, stream: true, message: created(method, [result as AnyInit]) };
  }
  const messages = result instanceof Promise ? await result : result;
  if (isTopic(messages)) return { ...response, stream: true, message: new TopicMessages(messages) };
  return { ...response, stream: true, message: created(method, messages as AsyncIterable<AnyInit>) };
}

/** What interceptors see of a topic: it may be passed on, but does not go through this process message by message. */
export class TopicMessages implements AsyncIterable<AnyMessage> {
  readonly topic: Topic;

  constructor(topic: Topic) {
    this.topic = topic;
  }

  [Symbol.asyncIterator](): AsyncIterator<AnyMessage> {
    const text = `an interceptor reads the messages of topic "${this.topic.name}"; those of topics can only be passed on`;
    throw new RpcError(text, Code.Internal);
  }
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
  for await (const message of messages) yield keepToken(message, create(method[direction], message));
}

function copyInto(target: Headers, source: Headers): void {
  if (target === source) return;
  source.forEach((value, name) => {
    target.set(name, value);
  });
}
