import { Code } from "../base/code.js";
import { violation } from "../session/violation.js";
import type { OpenFrame } from "../wire/frame.js";
import { CallSlots } from "./call-slots.js";
import type { AnsweringCall, CallSession, CallsInit, EndRefusal } from "./call-table.js";
import type { Calls } from "./calls.js";
import { tooLarge, tooMuchMetadata } from "./limit-errors.js";
import { headerBytes } from "./metadata.js";
import { IncomingMethods } from "./method-numbers.js";

/** The calls that the other side makes in a session: which are let in, and which are open. */
export class IncomingCalls {
  readonly #calls: Calls;
  readonly #init: CallsInit;
  readonly #session: CallSession;
  readonly #open = new CallSlots<AnsweringCall>();
  #methods = new IncomingMethods();
  #lastId = 0;
  /** Handlers that run though their calls are over. */
  #lingering = 0;

  constructor(calls: Calls, init: CallsInit, session: CallSession) {
    this.#calls = calls;
    this.#init = init;
    this.#session = session;
  }

  /** Calls that have no outcome yet. */
  get size(): number {
    return this.#open.size;
  }

  /** Grows with each call. */
  get opened(): number {
    return this.#lastId;
  }

  /** An open call. */
  get(id: number): AnsweringCall | undefined {
    return this.#open.get(id);
  }

  /** Whether a call with this number has been opened, ever. */
  hasOpened(id: number): boolean {
    return id <= this.#lastId;
  }

  /**
   * The other side begins a call.
   *
   * @throws WireError (1002) when it breaks the protocol with it.
   */
  onOpen(frame: OpenFrame): void {
    const { call: id, payload } = frame;
    if (id <= this.#lastId)
      throw violation(`open of call ${id} after call ${this.#lastId}: numbers increase`);
    this.#lastId = id;
    const name = this.#methods.name(frame.method, frame.name);
    const refusal = this.#refusal(frame);
    if (refusal !== undefined) return this.refuse(id, refusal);
    const call = this.#init.answerer.answer(frame, name, this.#calls);
    if ("refused" in call) return this.refuse(id, call);
    call.sender.id = id;
    call.sender.credit = this.#session.peerLimits.creditBytes;
    this.#open.add(id, call);
    if (frame.timeoutMs > 0) this.#calls.setDeadline(call, this.#init.clock() + frame.timeoutMs);
    if (payload !== undefined && call.receiver.take(payload, frame.size, false, "") !== undefined) {
      throw violation(`the first message of call ${id} does not fit its size or its credit`);
    }
    if (call.receiver.incomplete) this.#calls.output.giveCredit(call);
    if (frame.end) call.endReceived();
    call.received();
  }

  /**
   * Answers a call with an error, without a handler's word.
   *
   * @param unfinished a handler is at work; otherwise none has seen the call.
   */
  refuse(call: number, { code, message, details }: Omit<EndRefusal, "refused">, unfinished = false): void {
    this.#session.send({
      kind: "end",
      call,
      code,
      message,
      details,
      headers: undefined,
      trailers: undefined,
      refused: !unfinished,
      unfinished,
      payload: undefined,
    });
  }

  /** A handler goes on though its call is over. So many may do so as calls may be open. */
  lingers(handlers: 1 | -1): void {
    this.#lingering += handlers;
  }

  /** Forgets a call. */
  remove(id: number): void {
    this.#open.delete(id);
  }

  /** All open calls, which belong to a session that is gone; the next one begins with none. */
  lose(): AnsweringCall[] {
    const lost = this.#open.all();
    this.#open.clear();
    this.#methods = new IncomingMethods();
    this.#lastId = 0;
    return lost;
  }

  /** Why a call does not reach its handler. */
  #refusal({ headers, payload, size }: OpenFrame): EndRefusal | undefined {
    const { limits } = this.#init;
    const { host, held } = this.#calls;
    // Who cancels may open another call at once; but not for ever, while the handlers of the first ones run on.
    if (this.#open.size >= limits.calls) {
      return this.#over("limits.calls", `${this.#open.size} calls are open already (limits.calls)`);
    }
    if (this.#lingering >= limits.calls) {
      const what = `the handlers of ${this.#lingering} calls still run after they were cancelled`;
      return this.#over("limits.calls", `${what} (limits.calls)`);
    }
    const refusal = host.admit?.();
    if (refusal !== undefined) return refusal;
    if (held.hasNoRoomFor(payload)) {
      return { refused: true, code: Code.ResourceExhausted, message: this.#calls.tooMuchHeld() };
    }
    if (headers !== undefined && headerBytes(headers) > limits.headerBytes) {
      return this.#over("limits.headerBytes", tooMuchMetadata(headers, limits.headerBytes).rawMessage);
    }
    const bytes = Math.max(size, payload === undefined ? 0 : payload.length);
    if (bytes > limits.messageBytes) {
      return this.#over("limits.messageBytes", tooLarge(bytes, limits.messageBytes).rawMessage);
    }
    return undefined;
  }

  #over(limit: string, message: string): EndRefusal {
    this.#calls.host.onLimit?.(limit);
    return { refused: true, code: Code.ResourceExhausted, message };
  }
}
