import type { Clock } from "../base/clock.js";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import { DeadlineHeap } from "../base/heap.js";
import type { Slices } from "../base/slices.js";
import { violation } from "../session/violation.js";
import type { CallFrame, DataFrame, EndFrame, TopicFrame, WireLimits } from "../wire/frame.js";
import { type Call, LOST, UNOPENED } from "./call.js";
import { CallOutput } from "./call-output.js";
import type { AnsweringCall, CallingCall, CallSession, CallsHost, CallsInit } from "./call-table.js";
import { Held } from "./held.js";
import { IncomingCalls } from "./incoming-calls.js";
import { tooLarge } from "./limit-errors.js";
import { OutgoingCalls } from "./outgoing-calls.js";
import { Subscriptions } from "./subscriptions.js";

/**
 * All calls of a session: those of both directions, what they send, and when they end.
 *
 * Most sessions of a server are idle at most times, so each part is made when it is first used.
 */
export class Calls {
  readonly host: CallsHost;
  readonly #init: CallsInit;
  readonly #session: CallSession;
  #outgoing: OutgoingCalls | undefined;
  #incoming: IncomingCalls | undefined;
  #output: CallOutput | undefined;
  #held: Held | undefined;
  #deadlines: DeadlineHeap<Call> | undefined;
  /** Calls of this side that get their messages from topics. */
  #subscriptions: Subscriptions | undefined;
  #closed: RpcError | undefined;

  constructor(init: CallsInit, session: CallSession, host: CallsHost) {
    this.host = host;
    this.#init = init;
    this.#session = session;
  }

  /** Calls of this side. */
  get outgoing(): OutgoingCalls {
    this.#outgoing ??= new OutgoingCalls(this, this.#init, this.#session);
    return this.#outgoing;
  }

  /** Calls of the other side. */
  get incoming(): IncomingCalls {
    this.#incoming ??= new IncomingCalls(this, this.#init, this.#session);
    return this.#incoming;
  }

  /** What calls of both directions send. */
  get output(): CallOutput {
    this.#output ??= new CallOutput(this, this.#init, this.#session);
    return this.#output;
  }

  /** Messages that wait for their readers, on either side. */
  get held(): Held {
    this.#held ??= new Held(this.#init.maxHeldBytes ?? Number.POSITIVE_INFINITY);
    return this.#held;
  }

  /** What the messages that wait take, on their way in and out, in bytes. */
  get heldBytes(): number {
    return this.#held === undefined ? 0 : this.#held.bytes;
  }

  /** The limit of what may wait was met; tells why. */
  tooMuchHeld(): string {
    this.host.onLimit?.("maxHeldBytes");
    return `messages of ${this.heldBytes} bytes wait for their readers already (maxHeldBytes)`;
  }

  /** Cuts the handing out of messages into slices, where that is wanted. */
  get slices(): Slices | undefined {
    return this.#init.slices;
  }

  /** What this side is ready to receive. */
  get limits(): WireLimits {
    return this.#init.limits;
  }

  /** What the other side is ready to receive. */
  get peerLimits(): WireLimits {
    return this.#session.peerLimits;
  }

  get clock(): Clock {
    return this.#init.clock;
  }

  /** Calls of both directions that have no outcome yet. */
  get size(): number {
    return (this.#outgoing?.size ?? 0) + (this.#incoming?.size ?? 0);
  }

  /** Grows with each call of both directions. */
  get opened(): number {
    return (this.#outgoing?.opened ?? 0) + (this.#incoming?.opened ?? 0);
  }

  /** Why calls fail since {@link Calls.close}. */
  get closed(): RpcError | undefined {
    return this.#closed;
  }

  /** Ends a call at a time, unless it is removed before; `Infinity`: never. */
  setDeadline(call: Call, at: number): void {
    if (at === Number.POSITIVE_INFINITY) {
      this.#deadlines?.delete(call);
      return;
    }
    this.#deadlines ??= new DeadlineHeap();
    this.#deadlines.set(call, at);
  }

  /** Forgets a call. Nothing of it is left in any table, and its writers are released. */
  remove(call: Call): void {
    const { id } = call.sender;
    if (id === UNOPENED || this.#isOwn(id)) this.#outgoing?.remove(call as CallingCall);
    else this.#incoming?.remove(id);
    if (call.heapIndex >= 0) this.#deadlines?.delete(call);
    call.receiver.tracker?.close();
    if (call.sender.hasWaiting) this.output.drop(call);
  }

  // ---- the session's side ------------------------------------------------------------------------------------

  /** The next frame of those that wait: new calls first, then one frame of each call in turn. */
  pullFrame(): CallFrame | undefined {
    return this.#outgoing?.pullFrame() ?? this.#output?.pullFrame();
  }

  /**
   * A call frame from the other side; each arrives here once, in order.
   *
   * @throws WireError (1002) when the other side breaks the protocol.
   */
  onFrame(frame: CallFrame): void {
    const { call: id } = frame;
    // What a frame has led to may have ended the session: the others of its packet mean nothing then.
    if (this.#closed !== undefined) return;
    if (frame.kind === "open") {
      if (this.#isOwn(id)) throw violation(`open of call ${id}, whose number is one of this side's`);
      return this.incoming.onOpen(frame);
    }
    const isOwn = this.#isOwn(id);
    const call = this.#find(id);
    if (call === undefined) {
      // What is on its way to a call that is over means nothing any more.
      const known = (isOwn ? this.#outgoing : this.#incoming)?.hasOpened(id) === true;
      if (!known || id === 0) throw violation(`${frame.kind} for call ${id}, which was never opened`);
      return;
    }
    switch (frame.kind) {
      case "data":
        return this.#onData(call, frame, isOwn);
      case "end":
        if (!isOwn) throw violation(`end for call ${id} from the side that opened it`);
        return this.#onEnd(call as CallingCall, frame);
      case "credit":
        call.sender.credit = Math.min(call.sender.credit + frame.bytes, MAX_CREDIT);
        if (call.sender.hasWaiting) this.output.takeTurn(call);
        return;
      case "cancel":
        if (isOwn) throw violation(`cancel for call ${id} from the side that answers it`);
        (call as AnsweringCall).cancelled(frame.code, frame.message);
        return;
    }
  }

  /** A frame of a topic from the other side. */
  onTopic(frame: TopicFrame): void {
    if (frame.kind === "publication") {
      if (this.#init.role === "server") throw violation("a publication from a client");
      this.#subscriptions?.publication(frame);
      return;
    }
    const { kind, call: id } = frame;
    const isOwn = kind === "attached";
    const call = this.#find(id);
    if (this.#isOwn(id) !== isOwn) throw violation(`${kind} for call ${id} from the wrong side`);
    // It may have ended while the frame was on its way.
    if (call === undefined) return;
    if (isOwn) {
      this.#subscriptions ??= new Subscriptions(this.#session, this.#init.limits);
      this.#subscriptions.attached(call as CallingCall, frame);
    } else (call as AnsweringCall).subscriber?.position(frame);
  }

  /** There is another link: subscribers say where they are. */
  resumed(): void {
    this.#subscriptions?.resumed();
  }

  /**
   * The session is lost: fails what was opened; what waits goes to the next session.
   *
   * @param lastOpenWritten later calls of this side were never written to any link: they certainly did not run.
   */
  onLost(lastOpenWritten: number): void {
    this.#output?.dropAll();
    for (const call of this.#lose()) {
      const { id } = call.sender;
      call.sender.id = LOST;
      call.lost(id > lastOpenWritten);
    }
  }

  /** The end: fails all calls, those that wait too, and any that come later. */
  close(message: string, code: Code): void {
    if (this.#closed !== undefined) return;
    this.#closed = new RpcError(message, code, { executed: "no" });
    this.#outgoing?.failWaiting(this.#closed);
    for (const call of this.#lose()) call.lost(false);
  }

  /** All open calls, with all tables as in a new session: a call that fails may be attempted again at once. */
  #lose(): Call[] {
    return [...(this.#outgoing?.lose() ?? []), ...(this.#incoming?.lose() ?? [])];
  }

  /** Earliest deadline, or the time at which messages have waited long enough for room. */
  deadline(): number {
    const next = this.#deadlines?.next ?? Number.POSITIVE_INFINITY;
    return this.#output === undefined ? next : Math.min(next, this.#output.starvesAt);
  }

  /** Ends the calls whose deadline has come. */
  expire(now: number): void {
    const deadlines = this.#deadlines;
    for (let call = deadlines?.takeDue(now); call !== undefined; call = deadlines?.takeDue(now)) {
      call.expired();
    }
    if (this.#output !== undefined && now >= this.#output.starvesAt) this.#output.starve(now);
  }

  #onData(call: Call, frame: DataFrame, isOwn: boolean): void {
    const { receiver } = call;
    const { payload } = frame;
    if (receiver.ended) throw violation(`data for call ${frame.call} after its end`);
    if (this.held.hasNoRoomFor(payload)) return this.#tooMuch(call, isOwn, this.tooMuchHeld());
    if (frame.headers !== undefined && isOwn) (call as CallingCall).answered(frame.headers);
    if (payload !== undefined) {
      // Tokens are for callers; one that a caller sends is not kept.
      const token = isOwn ? frame.resumeToken : "";
      const fault = receiver.take(payload, frame.size, false, token);
      if (fault === "violation") throw violation(`data for call ${frame.call} beyond its credit or its size`);
      if (fault === "tooLarge") {
        const bytes = Math.max(frame.size, payload.length);
        this.host.onLimit?.("limits.messageBytes");
        return this.#tooMuch(call, isOwn, tooLarge(bytes, this.#init.limits.messageBytes).rawMessage);
      }
      if (receiver.incomplete) this.output.giveCredit(call);
    }
    // Its answer waits for its turn: nobody reads any more.
    if (call.finished) receiver.drop();
    if (frame.end) call.endReceived();
    call.received();
  }

  #onEnd(call: CallingCall, frame: EndFrame): void {
    // Only an error may cut a message short.
    if (call.receiver.incomplete && (frame.code === 0 || frame.payload !== undefined)) {
      throw violation(`end of call ${frame.call} inside a message`);
    }
    if (frame.payload !== undefined) {
      const fault = call.receiver.take(frame.payload, 0, true, "");
      if (fault === "tooLarge") {
        return call.fail(tooLarge(frame.payload.length, this.#init.limits.messageBytes, "unknown"));
      }
    }
    call.receiver.ended = true;
    call.concluded(frame);
  }

  /** What a call has sent is more than this side takes: the call ends, on both sides. */
  #tooMuch(call: Call, isOwn: boolean, message: string): void {
    const code = Code.ResourceExhausted;
    if (isOwn) {
      this.outgoing.cancel(call as CallingCall, Code.Canceled, message);
      (call as CallingCall).fail(new RpcError(message, code, { executed: "unknown" }));
      return;
    }
    const { id } = call.sender;
    (call as AnsweringCall).cancelled(code, message);
    this.incoming.refuse(id, { code, message }, true);
  }

  #find(id: number): Call | undefined {
    return this.#isOwn(id) ? this.#outgoing?.get(id) : this.#incoming?.get(id);
  }

  #isOwn(id: number): boolean {
    return (id % 2 === 1) === (this.#init.role === "client");
  }
}

/** Beyond this, credit no longer grows: it keeps hostile sums exact. */
const MAX_CREDIT = 2 ** 48;
