import type { DescMessage, DescMethod, MessageShape } from "@bufbuild/protobuf";
import type { Clock } from "../base/clock.js";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { CallObserver, Observer } from "../base/observer.js";
import { methodInfo } from "./method-info.js";
import type { CallOptions, StreamResponse, Transport } from "./transport.js";

/** What is counted of a call. */
interface Count {
  sent: number;
  received: number;
}

/** Reports calls that are made over a transport. They are seen as their maker sees them: once, over all attempts. */
export function observed(transport: Transport, observer: Observer, clock: Clock): Transport {
  const { callStarted } = observer;
  if (callStarted === undefined) return transport;

  const start = (method: DescMethod, options: CallOptions | undefined) => {
    const startedAt = clock();
    const header = new Headers(options?.headers);
    const { name } = methodInfo(method);
    const call = callStarted({
      side: "caller",
      name,
      method,
      header,
      sessionId: undefined,
      identity: undefined,
    });
    const count: Count = { sent: 0, received: 0 };
    const ended = once((thrown: unknown) => {
      const error = thrown === undefined ? undefined : RpcError.from(thrown, Code.Unknown);
      call?.ended?.({ code: error?.code ?? 0, error, durationMs: clock() - startedAt, ...count });
    });
    return { call, count, ended, options: { ...options, headers: header } };
  };

  return {
    async unary(method, input, given) {
      const { call, count, ended, options } = start(method, given);
      count.sent = 1;
      try {
        const response = await within(call, () => transport.unary(method, input, options));
        count.received = 1;
        ended(undefined);
        return response;
      } catch (error) {
        ended(error);
        throw error;
      }
    },
    async stream(method, input, given) {
      const { call, count, ended, options } = start(method, given);
      const requests = method.methodKind === "server_streaming" ? input : counted(input, () => count.sent++);
      if (requests === input) count.sent = 1;
      try {
        const response = await within(call, () => transport.stream(method, requests, options));
        return watched(response, () => count.received++, ended);
      } catch (error) {
        ended(error);
        throw error;
      }
    },
  };
}

function within<T>(call: CallObserver | undefined, task: () => T): T {
  return call?.run === undefined ? task() : call.run(task);
}

/** The response, which tells of its messages and of its end. */
function watched<I extends DescMessage, O extends DescMessage>(
  response: StreamResponse<I, O>,
  onMessage: () => void,
  onEnd: (error: unknown) => void,
): StreamResponse<I, O> {
  const iterator = response.message[Symbol.asyncIterator]();
  const message: AsyncIterableIterator<MessageShape<O>> = {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      try {
        const result = await iterator.next();
        if (result.done === true) onEnd(undefined);
        else onMessage();
        return result;
      } catch (error) {
        onEnd(error);
        throw error;
      }
    },
    async return(value) {
      onEnd(new RpcError("the reader left the stream", Code.Canceled));
      return (await iterator.return?.(value)) ?? { done: true, value };
    },
  };
  return {
    stream: true,
    method: response.method,
    message,
    // Made when they are asked for.
    get header() {
      return response.header;
    },
    get trailer() {
      return response.trailer;
    },
  };
}

async function* counted<T>(messages: AsyncIterable<T>, onMessage: () => void): AsyncGenerator<T> {
  for await (const message of messages) {
    onMessage();
    yield message;
  }
}

function once<T>(task: (value: T) => void): (value: T) => void {
  let done = false;
  return (value) => {
    if (done) return;
    done = true;
    task(value);
  };
}
