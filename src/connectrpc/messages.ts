import { create, type DescMessage, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { keepToken } from "../rpc/resumable.js";
import type { ConnectContext } from "./context.js";
import { toHandlerError } from "./errors.js";

type AnyMessage = MessageShape<DescMessage>;
type AnyInit = MessageInitShape<DescMessage>;

/** The messages of a call as its handler reads them: what goes wrong is a ConnectError. */
export function handed(requests: AsyncIterable<AnyMessage>): AsyncIterable<AnyMessage> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = requests[Symbol.asyncIterator]();
      return {
        next: () =>
          iterator.next().catch((thrown: unknown) => {
            throw toHandlerError(thrown);
          }),
        return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
      };
    },
  };
}

/** The messages of a handler; tells its context when they end, and gives errors the form that Hawser wants. */
export function ended(
  open: () => AsyncIterable<AnyInit>,
  context: ConnectContext,
  failure: (thrown: unknown) => unknown,
): AsyncIterable<AnyInit> {
  const fail = (thrown: unknown): never => {
    context.end(thrown);
    throw failure(thrown);
  };
  return {
    [Symbol.asyncIterator]() {
      let iterator: AsyncIterator<AnyInit>;
      return {
        async next() {
          try {
            iterator ??= open()[Symbol.asyncIterator]();
            const result = await iterator.next();
            if (result.done === true) context.end();
            return result;
          } catch (thrown) {
            return fail(thrown);
          }
        },
        async return() {
          const returned = iterator?.return?.();
          // Hawser stops the messages first, and says why right afterwards: the signal is to know.
          await undefined;
          context.end();
          return (await returned) ?? { done: true, value: undefined };
        },
      };
    },
  };
}

export async function* normalized(
  schema: DescMessage,
  messages: AsyncIterable<AnyInit>,
): AsyncGenerator<AnyMessage> {
  for await (const message of messages) yield keepToken(message, create(schema, message));
}

export async function* justOne<T>(message: T): AsyncGenerator<T> {
  yield message;
}

/** @throws ConnectError when there is not one message, but none or more. */
export async function onlyOne<T>(messages: AsyncIterable<T>, what: string): Promise<T> {
  let found: { readonly message: T } | undefined;
  for await (const message of messages) {
    if (found !== undefined)
      throw new ConnectError(`protocol error: received extra ${what}`, Code.Unimplemented);
    found = { message };
  }
  if (found === undefined) throw new ConnectError(`protocol error: missing ${what}`, Code.Unimplemented);
  return found.message;
}
