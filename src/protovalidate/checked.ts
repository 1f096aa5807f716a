import type { RpcError } from "../base/error.js";

/**
 * The messages of a stream, each checked when it is read. After one that fails there are no more.
 *
 * @param check throws what is wrong with a message
 * @param onFailure told of that before the reader is
 */
export function checked<T>(
  messages: AsyncIterable<T>,
  check: (message: T) => void,
  onFailure?: (error: RpcError) => void,
): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = messages[Symbol.asyncIterator]();
      let over = false;
      const leave = async (): Promise<IteratorResult<T>> => {
        over = true;
        await iterator.return?.();
        return { done: true, value: undefined };
      };
      return {
        async next() {
          const result = over ? undefined : await iterator.next();
          // Nobody asks for what comes after the reader has left: right or wrong, it changes nothing.
          if (result === undefined || over) return { done: true, value: undefined };
          if (result.done === true) return result;
          try {
            check(result.value);
          } catch (error) {
            onFailure?.(error as RpcError);
            // A source in the middle of something may take its time.
            leave().catch(() => undefined);
            throw error;
          }
          return result;
        },
        return: leave,
      };
    },
  };
}

/**
 * Ends a stream of responses as soon as a request of the same call has failed its check: a handler that swallows what its
 * requests throw, or has stopped to look at them, does not keep the call alive.
 */
export class Verdict {
  #error: RpcError | undefined;
  #reject: ((error: RpcError) => void) | undefined;

  readonly fail = (error: RpcError): void => {
    this.#error = error;
    this.#reject?.(error);
  };

  ends<T>(messages: AsyncIterable<T>): AsyncIterable<T> {
    return {
      [Symbol.asyncIterator]: () => {
        const iterator = messages[Symbol.asyncIterator]();
        return {
          // No Promise.race(): each would leave a reaction behind for as long as the stream goes on.
          next: () =>
            new Promise((resolve, reject) => {
              // Asked even then: a handler that has failed with a promise is heard here, or nowhere.
              const result = iterator.next();
              if (this.#error !== undefined) reject(this.#error);
              this.#reject = reject;
              result.then(resolve, reject);
            }),
          async return() {
            await iterator.return?.();
            return { done: true, value: undefined };
          },
        };
      },
    };
  }
}
