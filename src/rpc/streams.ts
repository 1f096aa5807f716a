import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Code } from "../base/code.js";
import type { RpcError } from "../base/error.js";
import type { Slices } from "../base/slices.js";
import type { Call } from "./call.js";
import type { Calls } from "./calls.js";
import { decodeMessage, encodeMessage, writerOf } from "./payload.js";
import { resumeTokenOf } from "./resumable.js";
import { markGap } from "./topic.js";

/** What a {@link MessageReader} asks of its call. */
export interface ReadSource<Desc extends DescMessage> {
  /** The call to read from: another one after each attempt. */
  readonly call: Call;
  readonly calls: Calls;
  readonly schema: Desc;
  /** Status for a message that does not decode. */
  readonly decodeCode: Code;
  /**
   * How the stream ends once no message is left: `undefined` while it is still open, `"done"` at its good end, else the
   * error for the reader.
   */
  ending(): RpcError | "done" | undefined;
  /** The reader leaves before the end, or cannot go on. */
  leave(reason: RpcError | undefined): void;
}

interface Waiter<T> {
  resolve(result: IteratorResult<T>): void;
  reject(error: unknown): void;
}

/**
 * The messages of one direction of a call, decoded when they are read. Reading gives credit back, so a reader that
 * stops makes the writer stop.
 */
export class MessageReader<Desc extends DescMessage> implements AsyncIterableIterator<MessageShape<Desc>> {
  readonly #source: ReadSource<Desc>;
  #waiters: Waiter<MessageShape<Desc>>[] = [];
  #over = false;
  /** The next message waits for a turn of its own. */
  #pauses = false;

  constructor(source: ReadSource<Desc>) {
    this.#source = source;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<MessageShape<Desc>>> {
    if (this.#waiters.length > 0) return this.#wait();
    try {
      const result = this.#poll();
      return result === undefined ? this.#wait() : Promise.resolve(result);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Leaves the stream: cancels the call when it has not ended. */
  return(): Promise<IteratorResult<MessageShape<Desc>>> {
    if (!this.#over) {
      this.#over = true;
      this.#source.leave(undefined);
    }
    this.wake();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Something has changed: serves those who wait. */
  wake(): void {
    while (this.#waiters.length > 0) {
      const waiter = this.#waiters[0] as Waiter<MessageShape<Desc>>;
      try {
        const result = this.#poll();
        if (result === undefined) return;
        this.#waiters.shift();
        waiter.resolve(result);
      } catch (error) {
        this.#waiters.shift();
        waiter.reject(error);
      }
    }
  }

  #wait(): Promise<IteratorResult<MessageShape<Desc>>> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
    });
  }

  /** Whether the next message has to wait for a turn of its own, which is then on its way. */
  #mustPause(slices: Slices): boolean {
    if (this.#pauses || !slices.isSpent()) return this.#pauses;
    this.#pauses = true;
    slices.next(() => {
      this.#pauses = false;
      this.wake();
    });
    return true;
  }

  #poll(): IteratorResult<MessageShape<Desc>> | undefined {
    if (this.#over) return { done: true, value: undefined };
    const source = this.#source;
    const { slices } = source.calls;
    if (slices !== undefined && source.call.receiver.length > 0 && this.#mustPause(slices)) return undefined;
    const payload = source.call.receiver.shift();
    if (payload !== undefined) {
      source.calls.output.giveCredit(source.call);
      try {
        const value = decodeMessage(source.schema, payload, source.decodeCode, "unknown");
        const gap = source.call.receiver.tracker?.gap;
        if (gap !== undefined) markGap(value, gap);
        return { done: false, value };
      } catch (error) {
        this.#over = true;
        source.leave(error as RpcError);
        throw error;
      }
    }
    const ending = source.ending();
    if (ending === undefined) return undefined;
    this.#over = true;
    if (ending === "done") return { done: true, value: undefined };
    throw ending;
  }
}

/**
 * Nobody wants anything of an iterator any more. An async generator finishes its present step first; what an iterator throws
 * now, at once or later, is nobody's concern.
 */
export function leaveIterator(iterator: AsyncIterator<unknown>): void {
  try {
    Promise.resolve(iterator.return?.()).catch(() => undefined);
  } catch {
    // See above.
  }
}

/** The writing side of a stream: drives an iterable for as long as its call lives. */
export interface Pump {
  /** Tells the iterable that nobody reads any more; used when the call ends first. */
  stop(): void;
  /** Messages so far. */
  readonly sent: number;
  /** Resolves when the iterable is done or was stopped; rejects with what it threw. */
  readonly done: Promise<void>;
}

/**
 * Writes all messages of an iterable into a call, waiting for credit between them. `beforeFirst` is called once, when
 * the first message is there, or the iterable is done or has thrown.
 */
export function pumpMessages<Desc extends DescMessage>(
  call: Call,
  calls: Calls,
  schema: Desc,
  iterable: AsyncIterable<MessageInitShape<Desc>>,
  encodeCode: Code,
  beforeFirst?: () => void,
): Pump {
  const iterator = iterable[Symbol.asyncIterator]();
  let stopped = false;
  let first = true;
  let sent = 0;
  const stop = () => {
    if (stopped) return;
    stopped = true;
    leaveIterator(iterator);
  };
  const begin = () => {
    if (!first) return;
    first = false;
    beforeFirst?.();
  };
  const run = async () => {
    try {
      for (;;) {
        const result = await iterator.next();
        if (first) begin();
        if (call.finished || stopped) return stop();
        if (result.done === true) return;
        sent++;
        const token = resumeTokenOf(result.value);
        const writer = writerOf(schema, result.value);
        if (writer !== undefined && calls.output.sendWritten(call, writer, token)) continue;
        const payload = encodeMessage(schema, result.value, encodeCode);
        const room = calls.output.send(call, payload, false, token);
        if (room !== undefined) {
          await room;
          if (call.finished) return stop();
        }
      }
    } catch (error) {
      begin();
      stop();
      throw error;
    }
  };
  const done = run();
  return {
    stop,
    done,
    get sent() {
      return sent;
    },
  };
}
