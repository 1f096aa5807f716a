import { Code, codeFromWire } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { OpenFrame } from "../wire/frame.js";
import { Call } from "./call.js";
import type { Answerer, AnsweringCall } from "./call-table.js";
import { CallerCall, type CallPlan } from "./caller-call.js";
import type { Calls } from "./calls.js";
import { endFrame } from "./ending.js";

/** Answers calls by making them in another session, without knowing what their messages mean. */
export function createProxyAnswerer(to: Calls): Answerer {
  return { answer: (frame, name, calls) => new ProxyCall(frame, name, calls, to) };
}

/** A call that is passed on. What its caller sends goes out as there is room for it, and so does what comes back. */
class ProxyCall extends Call implements AnsweringCall {
  readonly subscriber: undefined;
  readonly #from: Calls;
  readonly #to: Calls;
  readonly #out: CallerCall;
  #begun = false;
  #sending = false;
  #answering = false;
  #answered = false;
  #ended = false;

  constructor(frame: OpenFrame, name: string, from: Calls, to: Calls) {
    super(from, false);
    this.#from = from;
    this.#to = to;
    const plan: CallPlan = {
      info: { name, once: false, plain: false, idempotent: false, noSideEffects: false },
      headers: frame.headers,
      // The caller's own deadline ends both.
      deadlineAt: frame.timeoutMs > 0 ? to.clock() + frame.timeoutMs : Number.POSITIVE_INFINITY,
      signal: undefined,
      waitForReady: true,
      idempotencyKey: frame.idempotencyKey,
      resumeToken: frame.resumeToken,
      topic: undefined,
      previousAttempts: 0,
    };
    this.#out = new CallerCall(to, plan);
    this.#out.listener = this;
  }

  // ---- from the caller -----------------------------------------------------------------------------------------

  received(): void {
    if (this.finished) return;
    if (!this.#begun) {
      this.#begun = true;
      const payload = this.receiver.shift();
      const end = this.receiver.ended && this.receiver.length === 0;
      this.#ended = end;
      this.#out.start(payload, end);
      this.#from.output.giveCredit(this);
    }
    if (!this.#sending) void this.#send();
  }

  cancelled(code: number, message: string): void {
    this.#stop(codeFromWire(code), message === "" ? "the caller cancelled" : message);
  }

  lost(): void {
    this.#stop(Code.Canceled, "the caller is gone");
  }

  expired(): void {
    this.#abort(new RpcError("the deadline passed", Code.DeadlineExceeded));
  }

  starved(reason: string): void {
    this.#abort(new RpcError(reason, Code.ResourceExhausted));
  }

  async #send(): Promise<void> {
    this.#sending = true;
    try {
      for (;;) {
        if (this.finished || this.#out.finished) return;
        const payload = this.receiver.shift();
        if (payload === undefined) break;
        const room = this.#to.output.send(this.#out, payload, false);
        this.#from.output.giveCredit(this);
        if (room !== undefined) await room;
      }
    } catch (error) {
      return this.#abort(RpcError.from(error, Code.Internal));
    } finally {
      this.#sending = false;
    }
    if (!this.receiver.ended || this.#ended) return;
    this.#ended = true;
    void this.#to.output.send(this.#out, undefined, true);
  }

  // ---- from the one who answers --------------------------------------------------------------------------------

  changed(): void {
    if (!this.#answering) void this.#answer();
  }

  async #answer(): Promise<void> {
    this.#answering = true;
    try {
      const out = this.#out;
      for (;;) {
        if (this.finished) return;
        // A single message may travel with the outcome.
        if (out.finished && !this.#answered && out.receiver.length === 1 && out.error === undefined) break;
        const payload = out.receiver.shift();
        if (payload === undefined) break;
        this.#headers();
        const room = this.#from.output.send(this, payload, false);
        this.#to.output.giveCredit(out);
        if (room !== undefined) await room;
      }
      if (out.finished) this.#finish(out);
    } catch (error) {
      this.#abort(RpcError.from(error, Code.Internal));
    } finally {
      this.#answering = false;
    }
  }

  #finish({ error, failure, trailers, receiver, responseHeaders }: CallerCall): void {
    const payload = receiver.shift();
    const headers = this.#answered ? undefined : responseHeaders;
    const refused = error?.executed === "no";
    const how = refused ? "refused" : failure === "answered" ? "answered" : "unfinished";
    const frame = endFrame(this.sender.id, error, headers, undefined, error === undefined ? "answered" : how);
    this.#leave();
    // An error's metadata are the headers and trailers that it came with: as such they are passed on, and not twice.
    this.#from.output.end(this, { ...frame, trailers, payload });
  }

  #headers(): void {
    if (this.#answered) return;
    this.#answered = true;
    this.sender.headers = this.#out.responseHeaders;
  }

  #abort(error: RpcError): void {
    if (this.finished) return;
    const { id } = this.sender;
    this.#leave();
    // What waits for credit may wait for ever; the outcome goes before it.
    this.#from.remove(this);
    this.#out.cancel(Code.Canceled, error);
    this.#from.output.end(
      this,
      endFrame(id, error, undefined, undefined, this.#begun ? "unfinished" : "refused"),
    );
  }

  #stop(code: Code, message: string): void {
    const { finished } = this;
    this.#leave();
    // Its answer may still wait for room.
    this.#from.remove(this);
    if (!finished) this.#out.cancel(code, new RpcError(message, code));
  }

  #leave(): void {
    this.finished = true;
    this.receiver.drop();
  }
}
