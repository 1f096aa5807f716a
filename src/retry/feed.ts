import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "../base/code.js";
import type { CallerCall } from "../rpc/caller-call.js";
import type { Calls } from "../rpc/calls.js";
import { encodeMessage } from "../rpc/payload.js";
import { leaveIterator } from "../rpc/streams.js";

/** What each kept message costs beside its bytes, about. */
const ENTRY_BYTES = 32;

/**
 * The requests of a streaming call: reads the caller's iterable once, and sends it into one attempt after the other. What
 * was sent is kept for the next attempt, up to a limit.
 */
export class Feed<I extends DescMessage> {
  readonly #calls: Calls;
  readonly #schema: I;
  readonly #iterator: AsyncIterator<MessageInitShape<I>>;
  readonly #onError: (error: unknown) => void;
  #call: CallerCall;
  /** What was sent; `undefined` once it cannot be sent again. */
  #kept: Uint8Array[] | undefined = [];
  #room: number;
  #ended = false;
  #stopped = false;
  #onAttempt: (() => void) | undefined;

  constructor(
    calls: Calls,
    schema: I,
    requests: AsyncIterator<MessageInitShape<I>>,
    limitBytes: number,
    call: CallerCall,
    onError: (error: unknown) => void,
  ) {
    this.#calls = calls;
    this.#schema = schema;
    this.#iterator = requests;
    this.#room = limitBytes;
    this.#call = call;
    this.#onError = onError;
    void this.#run();
  }

  /** Whether a new attempt would get all that earlier ones have got. */
  get replayable(): boolean {
    return this.#kept !== undefined;
  }

  /** An answer has come: there will be no further attempt. */
  commit(): void {
    this.#kept = undefined;
  }

  /** Another attempt: sends what the earlier ones were sent. */
  attach(call: CallerCall): void {
    this.#call = call;
    try {
      for (const payload of this.#kept ?? []) void this.#calls.output.send(call, payload, false);
      if (this.#ended) void this.#calls.output.send(call, undefined, true);
    } catch (error) {
      // The server of this session takes less than the one before.
      this.stop();
      return this.#onError(error);
    }
    this.#onAttempt?.();
  }

  /** Nobody reads the requests any more; an async generator finishes its present step first. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#onAttempt?.();
    if (!this.#ended) leaveIterator(this.#iterator);
  }

  async #run(): Promise<void> {
    try {
      while (!this.#stopped) {
        const result = await this.#iterator.next();
        if (this.#stopped) return;
        if (result.done === true) {
          this.#ended = true;
          if (!this.#call.finished) void this.#calls.output.send(this.#call, undefined, true);
          return;
        }
        const payload = encodeMessage(this.#schema, result.value, Code.Internal);
        this.#keep(payload);
        if (!this.#call.finished) {
          const room = this.#calls.output.send(this.#call, payload, false);
          if (room !== undefined) await room;
        }
        // Between two attempts there is nobody to send to.
        while (this.#call.finished && !this.#stopped) await this.#nextAttempt();
      }
    } catch (error) {
      if (this.#stopped) return;
      this.stop();
      this.#onError(error);
    }
  }

  #keep(payload: Uint8Array): void {
    if (this.#kept === undefined) return;
    this.#room -= payload.length + ENTRY_BYTES;
    if (this.#room < 0) this.#kept = undefined;
    else this.#kept.push(payload);
  }

  #nextAttempt(): Promise<void> {
    return new Promise((resolve) => {
      this.#onAttempt = () => {
        this.#onAttempt = undefined;
        resolve();
      };
    });
  }
}
