// What client and handler of a case see, written down so that it can be compared.
import { type CallOptions, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { CollectRequestSchema } from "../../gen/hawser/test/v1/echo_pb.js";

/** Metadata of the application's own; what HTTP adds is not compared. */
export function own(headers: Headers): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => name.startsWith("x-")));
}

/** All that a program can learn from an error. */
export function seen(error: unknown): Record<string, unknown> {
  if (!(error instanceof ConnectError)) return { notConnect: String(error) };
  const { name, code, rawMessage, message, metadata } = error;
  const details = error.findDetails(CollectRequestSchema).map(({ number }) => number);
  return { name, code, rawMessage, message, details, metadata: own(metadata) };
}

/** A promise to be resolved from outside. */
export function deferred(): { readonly promise: Promise<void>; resolve(): void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** One run of a case: two logs, and conditions to wait for. */
export class Probe {
  readonly client: unknown[] = [];
  readonly server: unknown[] = [];
  #waiting: { readonly text: string; readonly count: number; done(): void }[] = [];

  /** Logs on the client's side. */
  log(...what: unknown[]): void {
    this.#add(this.client, what);
  }

  /** Logs on the server's side. */
  note(...what: unknown[]): void {
    this.#add(this.server, what);
  }

  #add(log: unknown[], what: unknown[]): void {
    log.push(what.length === 1 ? what[0] : what);
    this.#waiting = this.#waiting.filter(({ text, count, done }) => {
      if (this.#count(text) < count) return true;
      done();
      return false;
    });
  }

  #count(text: string): number {
    const isIt = (entry: unknown) => entry === text || (Array.isArray(entry) && entry[0] === text);
    return [...this.client, ...this.server].filter(isIt).length;
  }

  /** Resolves when one of the sides has logged this, so many times. */
  until(text: string, count: number = 1): Promise<void> {
    return new Promise((done) => {
      if (this.#count(text) >= count) done();
      else this.#waiting.push({ text, count, done });
    });
  }

  /** Options that log headers and trailers as they come. */
  get watched(): Pick<CallOptions, "onHeader" | "onTrailer"> {
    return {
      onHeader: (headers) => this.log("header", own(headers)),
      onTrailer: (headers) => this.log("trailer", own(headers)),
    };
  }

  /** Logs the outcome of a call with one response. */
  async once(call: Promise<unknown>): Promise<void> {
    try {
      this.log("message", plain(await call));
    } catch (error) {
      this.log("error", seen(error));
    }
  }

  /** Logs the messages of a stream and its end; stops reading after `most`. */
  async each(messages: AsyncIterable<unknown>, most: number = Number.POSITIVE_INFINITY): Promise<void> {
    let count = 0;
    try {
      for await (const message of messages) {
        this.log("message", plain(message));
        if (++count >= most) return this.log("left");
      }
      this.log("end");
    } catch (error) {
      this.log("error", seen(error));
    }
  }

  /** Waits until the signal of a handler is aborted, and notes why. */
  async aborted({ signal }: HandlerContext): Promise<never> {
    this.note("waiting");
    if (!signal.aborted) await new Promise((done) => signal.addEventListener("abort", done));
    this.note("aborted");
    throw signal.reason;
  }
}

/** A message without what differs between codecs: its prototype, its type's name, the class of its bytes. */
function plain(message: unknown): unknown {
  if (typeof message === "bigint") return String(message);
  if (message instanceof Uint8Array) return message.length > 64 ? `${message.length} bytes` : [...message];
  if (Array.isArray(message)) return message.map(plain);
  if (typeof message !== "object" || message === null) return message;
  const fields = Object.entries(message).filter(([name]) => !name.startsWith("$"));
  return Object.fromEntries(fields.map(([name, value]) => [name, plain(value)]));
}
