import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { MessageWriter } from "../wire/encode.js";
import type { CallFrame, OpenFrame } from "../wire/frame.js";
import { BESIDE_BYTES, PAYLOAD_COST, WHOLE_BYTES } from "../wire/limits.js";
import { UNOPENED } from "./call.js";
import { CallSlots } from "./call-slots.js";
import type { CallingCall, CallSession, CallsInit } from "./call-table.js";
import type { Calls } from "./calls.js";
import { tooLarge, tooMuchMetadata } from "./limit-errors.js";
import { headerBytes } from "./metadata.js";
import { OutgoingMethods } from "./method-numbers.js";
import type { OpenNumbers } from "./sender.js";

/** The calls that this side makes in a session: those that are open, and those that wait to be. */
export class OutgoingCalls {
  readonly #calls: Calls;
  readonly #init: CallsInit;
  readonly #session: CallSession;
  readonly #open = new CallSlots<CallingCall>();
  /** Calls that wait to be opened, in order. */
  readonly #waiting = new Set<CallingCall>();
  #methods = new OutgoingMethods();
  #nextId: number;
  #hold = false;

  constructor(calls: Calls, init: CallsInit, session: CallSession) {
    this.#calls = calls;
    this.#init = init;
    this.#session = session;
    this.#nextId = firstId(init);
  }

  /** Calls that have no outcome yet. */
  get size(): number {
    return this.#open.size + this.#waiting.size;
  }

  /** Grows with each call. */
  get opened(): number {
    return this.#nextId;
  }

  /** While true, no new calls are opened: the link is about to go away. */
  set hold(hold: boolean) {
    this.#hold = hold;
    if (!hold) this.#session.wake();
  }

  /** Whether waiting calls wait for something else than a connection. */
  get canOpen(): boolean {
    return this.#session.state === "open" && !this.#hold;
  }

  /** Why a waiting call was not opened. */
  get notOpenReason(): string {
    if (this.#hold) return "the server is going away";
    if (this.#session.state !== "open") return this.#calls.host.whyNotOpen();
    const { calls } = this.#session.peerLimits;
    return this.#open.size >= calls
      ? `${calls} calls are open already, and the other side takes no more (limits.calls)`
      : "the outbox is full: the other side does not acknowledge (outboxBytes)";
  }

  /** An open call. */
  get(id: number): CallingCall | undefined {
    return this.#open.get(id);
  }

  /** Whether a call with this number has been opened, ever. */
  hasOpened(id: number): boolean {
    return id < this.#nextId;
  }

  /** Begins a call: sends its Open with the first message, or queues it. */
  start(call: CallingCall, payload: Uint8Array | undefined, end: boolean, waitForReady: boolean): void {
    const session = this.#session;
    const calls = this.#calls;
    if (calls.closed !== undefined) return call.fail(calls.closed);
    const { peerLimits } = session;
    if (call.headers !== undefined && headerBytes(call.headers) > peerLimits.headerBytes) {
      return call.fail(tooMuchMetadata(call.headers, peerLimits.headerBytes));
    }
    const length = payload === undefined ? 0 : payload.length;
    if (session.state === "open" && length > peerLimits.messageBytes) {
      return call.fail(tooLarge(length, peerLimits.messageBytes));
    }
    if (end) call.sender.end();
    if (call.deadlineAt !== Number.POSITIVE_INFINITY) calls.setDeadline(call, call.deadlineAt);
    if (length <= WHOLE_BYTES && length + PAYLOAD_COST <= peerLimits.creditBytes && this.#mayOpen) {
      const frame = this.#openFrame(call, end, payload);
      call.sender.credit = peerLimits.creditBytes - (payload === undefined ? 0 : length + PAYLOAD_COST);
      return session.send(frame);
    }
    if (session.state !== "open" && !waitForReady) {
      // It waits for nothing; but who wants to call wants a connection, which may be idle.
      calls.host.onDeadline();
      const message = `not connected: ${calls.host.whyNotOpen()}`;
      return call.fail(new RpcError(message, Code.Unavailable, { executed: "no" }));
    }
    if (this.#waiting.size >= this.#init.maxWaitingCalls) {
      const message = `${this.#waiting.size} calls wait to be sent already (maxWaitingCalls): ${this.notOpenReason}`;
      return call.fail(new RpcError(message, Code.ResourceExhausted, { executed: "no" }));
    }
    this.#wait(call, payload, end);
  }

  /**
   * Begins a call whose only message goes straight into a packet, when it can go out now.
   *
   * @returns false: it cannot, and nothing was done
   */
  startMessage(call: CallingCall, message: MessageWriter): boolean {
    const { peerLimits } = this.#session;
    const { bound } = message;
    if (
      !(bound < BESIDE_BYTES && bound <= peerLimits.messageBytes) ||
      bound + PAYLOAD_COST > peerLimits.creditBytes ||
      call.headers !== undefined ||
      this.#calls.closed !== undefined ||
      !this.#mayOpen ||
      // Should the message turn out to be none, the method's name would be lost with it.
      !this.#methods.knows(call.name)
    ) {
      return false;
    }
    const length = this.#session.sendMessage(this.#openFrame(call, true, undefined), message);
    if (length < 0) {
      this.#forget(call.sender.id);
      call.sender.id = UNOPENED;
      return false;
    }
    call.sender.end();
    call.sender.credit = peerLimits.creditBytes - length - PAYLOAD_COST;
    if (call.deadlineAt !== Number.POSITIVE_INFINITY) this.#calls.setDeadline(call, call.deadlineAt);
    return true;
  }

  /** The Open of the next call that waits, when one may be opened. */
  pullFrame(): CallFrame | undefined {
    if (this.#waiting.size === 0 || this.#hold) return undefined;
    const { calls: most, creditBytes } = this.#session.peerLimits;
    if (this.#open.size >= most) return undefined;
    const call = this.#waiting.values().next().value as CallingCall;
    this.#waiting.delete(call);
    call.sender.credit = creditBytes;
    const frame = call.sender.next(() => this.#number(call));
    this.#calls.setDeadline(call, call.deadlineAt);
    if (call.sender.hasWaiting) this.#calls.output.addTurn(call);
    return frame !== undefined && call.plain ? { ...frame, plain: true } : frame;
  }

  /** Gives up a call; the other side is told, if it knows of the call. */
  cancel(call: CallingCall, code: Code, message: string): void {
    const { id } = call.sender;
    if (id !== UNOPENED && this.#open.get(id) !== undefined) {
      this.#session.send({ kind: "cancel", call: id, code, message });
    }
    this.#calls.remove(call);
  }

  /** Forgets a call. */
  remove(call: CallingCall): void {
    const { id } = call.sender;
    if (id === UNOPENED) this.#waiting.delete(call);
    else if (this.#forget(id) && this.#waiting.size > 0) this.#session.wake();
  }

  /** All open calls; what waits goes to the next session, and is numbered from the beginning there. */
  lose(): CallingCall[] {
    const lost = this.#open.all();
    this.#init.pace?.closed(this.#open.size);
    this.#open.clear();
    this.#methods = new OutgoingMethods();
    this.#nextId = firstId(this.#init);
    return lost;
  }

  /** Fails all calls that wait. */
  failWaiting(error: RpcError): void {
    for (const call of [...this.#waiting]) call.fail(error);
  }

  /** Whether a call may be opened now, past none that waits. */
  get #mayOpen(): boolean {
    const session = this.#session;
    return (
      session.writable &&
      !this.#hold &&
      this.#waiting.size === 0 &&
      this.#open.size < session.peerLimits.calls
    );
  }

  #wait(call: CallingCall, payload: Uint8Array | undefined, end: boolean): void {
    call.sender.openInfo = {
      name: call.name,
      headers: call.headers,
      resumeToken: call.resumeToken,
      idempotencyKey: call.idempotencyKey,
      timeoutMs: () => this.#timeLeft(call),
    };
    if (payload !== undefined || end) call.sender.wait(payload, end, undefined);
    this.#waiting.add(call);
    this.#calls.setDeadline(call, Math.min(call.deadlineAt, this.#init.clock() + this.#init.maxWaitMs));
    this.#calls.host.onDeadline();
    this.#session.wake();
  }

  /** The Open of a call that becomes an open one with it. */
  #openFrame(call: CallingCall, end: boolean, payload: Uint8Array | undefined): OpenFrame {
    const { call: id, method, name } = this.#number(call);
    return {
      kind: "open",
      call: id,
      method,
      name,
      headers: call.headers,
      timeoutMs: this.#timeLeft(call),
      end,
      size: 0,
      resumeToken: call.resumeToken,
      idempotencyKey: call.idempotencyKey,
      payload,
      plain: call.plain,
    };
  }

  /** Makes a call an open one. */
  #number(call: CallingCall): OpenNumbers {
    // Before the call has a number, or it would count as open.
    this.#session.check();
    const id = this.#nextId;
    this.#nextId += 2;
    call.sender.id = id;
    this.#open.add(id, call);
    this.#init.pace?.opened();
    const { method, name } = this.#methods.number(call.name);
    return { call: id, method, name };
  }

  /** Takes an open call out; whether it was there. */
  #forget(id: number): boolean {
    if (!this.#open.delete(id)) return false;
    this.#init.pace?.closed(1);
    return true;
  }

  #timeLeft(call: CallingCall): number {
    if (call.deadlineAt === Number.POSITIVE_INFINITY) return 0;
    return Math.min(Math.max(1, Math.ceil(call.deadlineAt - this.#init.clock())), Number.MAX_SAFE_INTEGER);
  }
}

/** The connecting side opens odd numbers, the other one even ones. */
function firstId({ role }: CallsInit): number {
  return role === "client" ? 1 : 2;
}
