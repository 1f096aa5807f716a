import type { Clock } from "../base/clock.js";
import { Code } from "../base/code.js";
import { type ErrorDetail, type Executed, RpcError } from "../base/error.js";
import { DeadlineHeap } from "../base/heap.js";
import type { Slices } from "../base/slices.js";
import { violation } from "../session/violation.js";
import type { MessageWriter } from "../wire/encode.js";
import type { CallFrame, DataFrame, EndFrame, OpenFrame, TopicFrame, WireLimits } from "../wire/frame.js";
import { BESIDE_BYTES, PAYLOAD_COST, WHOLE_BYTES } from "../wire/limits.js";
import type { Call } from "./call.js";
import { CallSlots } from "./call-slots.js";
import type { AnsweringCall, CallingCall, CallSession, CallsHost, CallsInit } from "./call-table.js";
import type { Held } from "./held.js";
import { tooLarge, tooMuchMetadata } from "./limit-errors.js";
import { headerBytes } from "./metadata.js";
import { IncomingMethods, OutgoingMethods } from "./method-numbers.js";
import type { Opener } from "./sender.js";
import { Subscriptions } from "./subscriptions.js";
import { tokenCost } from "./token-cost.js";

/**
 * All calls of a session, in both directions: numbers, the order in which what waits is sent, deadlines.
 */
export class Calls implements Opener {
  readonly host: CallsHost;
  readonly #init: CallsInit;
  readonly #session: CallSession;
  // Most sessions of a server are idle at most times: what they do not use, they do not have.
  #deadlines: DeadlineHeap<Call> | undefined;
  /** Calls that were opened by this side, and by the other. */
  #own: CallSlots<CallingCall> = NO_SLOTS;
  #peers: CallSlots<AnsweringCall> = NO_SLOTS;
  /** Calls of this side that wait to be opened, in order. */
  #unopened: Set<CallingCall> = NO_CALLS;
  /** Calls with something to send, in the order of their turns. */
  #turns: Set<Call> = NO_CALLS;
  #outgoing: OutgoingMethods | undefined;
  #incoming: IncomingMethods | undefined;
  #nextId: number;
  #lastPeerId = 0;
  #opening: CallingCall | undefined;
  #hold = false;
  /** Handlers that run though their calls are over. */
  #lingering = 0;
  /** Messages that wait for their readers, on either side. */
  readonly held: Held = { bytes: 0, messages: 0 };
  /** Calls of this side that get their messages from topics. */
  #subscriptions: Subscriptions | undefined;
  #starvedAt: number = Number.NEGATIVE_INFINITY;
  #closed: RpcError | undefined;

  constructor(init: CallsInit, session: CallSession, host: CallsHost) {
    this.host = host;
    this.#init = init;
    this.#session = session;
    this.#nextId = init.role === "client" ? 1 : 2;
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
    return this.#own.size + this.#peers.size + this.#unopened.size;
  }

  /** Calls of both directions so far. */
  get opened(): number {
    return this.#nextId + this.#lastPeerId;
  }

  /** While true, no new calls are opened: the link is about to go away. */
  set hold(hold: boolean) {
    this.#hold = hold;
    if (!hold) this.#session.wake();
  }

  // ---- calls of this side ------------------------------------------------------------------------------------

  /** Begins a call: sends its Open with the first message, or queues it. */
  start(call: CallingCall, payload: Uint8Array | undefined, end: boolean, waitForReady: boolean): void {
    const session = this.#session;
    if (this.#closed !== undefined) return call.fail(this.#closed);
    const { peerLimits } = session;
    if (call.headers !== undefined && headerBytes(call.headers) > peerLimits.headerBytes) {
      return call.fail(tooMuchMetadata(call.headers, peerLimits.headerBytes));
    }
    const length = payload === undefined ? 0 : payload.length;
    if (session.state === "open" && length > peerLimits.messageBytes) {
      return call.fail(tooLarge(length, peerLimits.messageBytes));
    }
    if (end) call.sender.end();
    if (call.deadlineAt !== Number.POSITIVE_INFINITY) this.setDeadline(call, call.deadlineAt);
    if (
      length <= WHOLE_BYTES &&
      length + PAYLOAD_COST <= peerLimits.creditBytes &&
      session.writable &&
      !this.#hold &&
      this.#unopened.size === 0 &&
      this.#own.size < peerLimits.calls
    ) {
      this.#opening = call;
      const { call: id, method, name } = this.open();
      call.sender.credit = peerLimits.creditBytes - (payload === undefined ? 0 : length + PAYLOAD_COST);
      const timeoutMs = this.#timeLeft(call);
      session.send({
        kind: "open",
        call: id,
        method,
        name,
        headers: call.headers,
        timeoutMs,
        end,
        size: 0,
        resumeToken: call.resumeToken,
        idempotencyKey: call.idempotencyKey,
        payload,
        ...(call.plain && PLAIN),
      });
      return;
    }
    if (session.state !== "open" && !waitForReady) {
      return call.fail(
        new RpcError(`not connected: ${this.host.whyNotOpen()}`, Code.Unavailable, { executed: "no" }),
      );
    }
    if (this.#unopened.size >= this.#init.maxWaitingCalls) {
      return call.fail(
        new RpcError(
          `${this.#unopened.size} calls wait to be sent already (maxWaitingCalls): ${this.notOpenReason}`,
          Code.ResourceExhausted,
          { executed: "no" },
        ),
      );
    }
    call.sender.openInfo = {
      name: call.name,
      headers: call.headers,
      resumeToken: call.resumeToken,
      idempotencyKey: call.idempotencyKey,
      timeoutMs: () => this.#timeLeft(call),
    };
    if (payload !== undefined || end) call.sender.wait(payload, end, undefined);
    if (this.#unopened === NO_CALLS) this.#unopened = new Set();
    this.#unopened.add(call);
    this.setDeadline(call, Math.min(call.deadlineAt, this.#init.clock() + this.#init.maxWaitMs));
    this.host.onDeadline();
    session.wake();
  }

  /**
   * Begins a call whose only message goes straight into a packet, when it can go out now.
   *
   * @returns false: it cannot, and nothing was done
   */
  startMessage(call: CallingCall, message: MessageWriter): boolean {
    const session = this.#session;
    const { peerLimits } = session;
    const { bound } = message;
    if (
      !(bound < BESIDE_BYTES && bound <= peerLimits.messageBytes) ||
      bound + PAYLOAD_COST > peerLimits.creditBytes ||
      call.headers !== undefined ||
      this.#closed !== undefined ||
      this.#hold ||
      this.#unopened.size > 0 ||
      this.#own.size >= peerLimits.calls ||
      !session.writable ||
      // Should the message turn out to be none, the method's name would be lost with it.
      this.#outgoing?.knows(call.name) !== true
    ) {
      return false;
    }
    this.#opening = call;
    const { call: id, method } = this.open();
    const length = session.sendMessage(
      {
        kind: "open",
        call: id,
        method,
        name: "",
        headers: undefined,
        timeoutMs: this.#timeLeft(call),
        end: true,
        size: 0,
        resumeToken: call.resumeToken,
        idempotencyKey: call.idempotencyKey,
        payload: undefined,
        plain: call.plain,
      },
      message,
    );
    if (length < 0) {
      this.#forget(id);
      call.sender.id = UNOPENED;
      return false;
    }
    call.sender.end();
    call.sender.credit = peerLimits.creditBytes - length - PAYLOAD_COST;
    if (call.deadlineAt !== Number.POSITIVE_INFINITY) this.setDeadline(call, call.deadlineAt);
    return true;
  }

  /** Numbers for the call that is being opened. */
  open(): { readonly call: number; readonly method: number; readonly name: string } {
    const call = this.#opening as CallingCall;
    // Before the call has a number, or it would count as open.
    this.#session.check();
    const id = this.#nextId;
    this.#nextId += 2;
    call.sender.id = id;
    if (this.#own === NO_SLOTS) this.#own = new CallSlots();
    this.#own.add(id, call);
    this.#init.pace?.opened();
    this.#outgoing ??= new OutgoingMethods();
    const { method, name } = this.#outgoing.number(call.name);
    return { call: id, method, name };
  }

  /** There is another link: subscribers say where they are. */
  resumed(): void {
    this.#subscriptions?.resumed();
  }

  /** Gives up a call of this side; the other side is told, if it knows of the call. */
  cancel(call: CallingCall, code: Code, message: string): void {
    const { id } = call.sender;
    if (id !== 0 && this.#own.get(id) !== undefined) {
      this.#session.send({ kind: "cancel", call: id, code, message });
    }
    this.remove(call);
  }

  /** Why a waiting call was not opened. */
  get notOpenReason(): string {
    if (this.#hold) return "the server is going away";
    if (this.#session.state !== "open") return this.host.whyNotOpen();
    const { calls } = this.#session.peerLimits;
    return this.#own.size >= calls
      ? `${calls} calls are open already, and the other side takes no more (limits.calls)`
      : "the outbox is full: the other side does not acknowledge (outboxBytes)";
  }

  /** Whether waiting calls wait for something else than a connection. */
  get isOpen(): boolean {
    return this.#session.state === "open" && !this.#hold;
  }

  // ---- both sides --------------------------------------------------------------------------------------------

  /**
   * Sends a message of a call that is open. `undefined` when it went out, else a promise for when the writer may go
   * on: the message is sent, or the call is over.
   *
   * @throws RpcError when the message is larger than the other side takes.
   */
  sendMessage(
    call: Call,
    payload: Uint8Array | undefined,
    end: boolean,
    resumeToken = "",
  ): Promise<void> | undefined {
    const { sender } = call;
    const length = payload === undefined ? 0 : payload.length;
    const { messageBytes } = this.#session.peerLimits;
    if (length > messageBytes) {
      throw tooLarge(length, messageBytes, sender.id === UNOPENED ? "no" : "unknown");
    }
    const cost = length + PAYLOAD_COST + tokenCost(resumeToken);
    if (sender.fits(length, cost) && this.#session.writable) {
      if (end) sender.end();
      const { headers } = sender;
      sender.headers = undefined;
      if (payload !== undefined) sender.credit -= cost;
      this.#session.send({
        kind: "data",
        call: sender.id,
        end,
        size: 0,
        headers,
        resumeToken,
        payload,
        ...(call.plain && PLAIN),
      });
      return undefined;
    }
    if (this.#heldIsFull(payload)) throw this.#tooMuchHeld(sender.id === UNOPENED ? "no" : "unknown");
    return new Promise((resolve) => {
      sender.wait(payload, end, resolve, resumeToken);
      if (sender.openInfo === undefined) this.#takeTurn(call);
    });
  }

  /**
   * Sends a message of a call that is open straight into a packet, when it can go out now.
   *
   * @returns false: it cannot, and nothing was done
   */
  sendWritten(call: Call, message: MessageWriter, resumeToken: string): boolean {
    const { sender } = call;
    const { bound } = message;
    const cost = PAYLOAD_COST + tokenCost(resumeToken);
    if (bound > this.#session.peerLimits.messageBytes || !sender.fits(bound, bound + cost)) return false;
    if (!this.#session.writable) return false;
    const length = this.#session.sendMessage(
      {
        kind: "data",
        call: sender.id,
        end: false,
        size: 0,
        headers: sender.headers,
        resumeToken,
        payload: undefined,
        plain: call.plain,
      },
      message,
    );
    if (length < 0) return false;
    sender.headers = undefined;
    sender.credit -= length + cost;
    return true;
  }

  /**
   * Answers a call with a message that goes straight into a packet, when it can go out now.
   *
   * @returns false: it cannot, and nothing was done
   */
  sendAnswer(call: Call, message: MessageWriter): boolean {
    const session = this.#session;
    if (message.bound > session.peerLimits.messageBytes || call.sender.hasWaiting || !session.writable) {
      return false;
    }
    const length = session.sendMessage(
      {
        kind: "end",
        call: call.sender.id,
        code: 0,
        message: "",
        details: undefined,
        headers: undefined,
        trailers: undefined,
        refused: false,
        unfinished: false,
        payload: undefined,
        plain: call.plain,
      },
      message,
    );
    if (length < 0) return false;
    call.sender.end();
    this.remove(call);
    return true;
  }

  /** Answers a call with its outcome, behind all of its messages that wait. */
  sendEnd(call: Call, frame: EndFrame): void {
    const length = frame.payload === undefined ? 0 : frame.payload.length;
    const goesNow = length <= WHOLE_BYTES && !call.sender.hasWaiting && this.#session.writable;
    if (!goesNow && this.#heldIsFull(frame.payload)) {
      // The answer does not fit any more; that it does not, does.
      const { code, rawMessage } = this.#tooMuchHeld("yes");
      return this.sendEnd(call, { ...frame, code, message: rawMessage, payload: undefined });
    }
    if (length > WHOLE_BYTES) {
      // The payload goes ahead in pieces, on credit.
      call.sender.headers = frame.headers;
      call.sender.wait(frame.payload, false, undefined);
      call.sender.finish({ ...frame, headers: undefined, payload: undefined });
      this.#takeTurn(call);
      return;
    }
    if (
      !call.sender.hasWaiting &&
      (this.#session.writable || (length === 0 && this.#session.state === "open"))
    ) {
      call.sender.end();
      this.remove(call);
      this.#session.send(call.plain ? { ...frame, ...PLAIN } : frame);
      return;
    }
    call.sender.finish(frame);
    this.#takeTurn(call);
  }

  /** The application has consumed messages of a call: gives credit back when there is enough of it. */
  giveCredit(call: Call): void {
    if (call.finished) return;
    call.receiver.tracker?.giveRoom();
    const bytes = call.receiver.takeCredit();
    if (bytes > 0) this.#session.send({ kind: "credit", call: call.sender.id, bytes });
  }

  /** Ends a call at a time, unless it is removed before. */
  setDeadline(call: Call, at: number): void {
    this.#deadlines ??= new DeadlineHeap();
    this.#deadlines.set(call, at);
  }

  /** Forgets a call. Nothing of it is left in any table, and its writers are released. */
  remove(call: Call): void {
    const { id } = call.sender;
    if (id === UNOPENED) this.#unopened.delete(call as CallingCall);
    else if (!this.#isOwn(id)) this.#peers.delete(id);
    else if (this.#forget(id) && this.#unopened.size > 0) this.#session.wake();
    if (call.heapIndex >= 0) this.#deadlines?.delete(call);
    call.receiver.tracker?.close();
    if (call.sender.hasWaiting) {
      this.#turns.delete(call);
      call.sender.drop();
    }
  }

  /** Takes a call of this side out of the table; whether it was there. */
  #forget(id: number): boolean {
    if (!this.#own.delete(id)) return false;
    this.#init.pace?.closed(1);
    return true;
  }

  #addTurn(call: Call): void {
    if (this.#turns === NO_CALLS) this.#turns = new Set();
    this.#turns.add(call);
  }

  #takeTurn(call: Call): void {
    this.#addTurn(call);
    this.#session.wake();
    if (this.#session.fullSince !== Number.POSITIVE_INFINITY) this.host.onDeadline();
  }

  /** A handler goes on though its call is over. So many may do so as calls may be open. */
  lingers(handlers: 1 | -1): void {
    this.#lingering += handlers;
  }

  #heldIsFull(payload: Uint8Array | undefined): boolean {
    // One message always has room, whatever its size: that has a limit of its own.
    const { bytes } = this.held;
    return (
      payload !== undefined &&
      bytes > 0 &&
      bytes + payload.length > (this.#init.maxHeldBytes ?? Number.POSITIVE_INFINITY)
    );
  }

  #tooMuchHeld(executed: Executed): RpcError {
    return new RpcError(this.#heldMessage(), Code.ResourceExhausted, { executed });
  }

  /** To be called when it is used: the limit was met. */
  #heldMessage(): string {
    this.host.onLimit?.("maxHeldBytes");
    return `messages of ${this.held.bytes} bytes wait for their readers already (maxHeldBytes)`;
  }

  /** What the messages that wait take, on their way in and out, in bytes. */
  get heldBytes(): number {
    return this.held.bytes;
  }

  // ---- the session's side ------------------------------------------------------------------------------------

  /** The next frame of those that wait: new calls first, then one frame of each call in turn. */
  pullFrame(): CallFrame | undefined {
    if (this.#unopened.size > 0 && !this.#hold) {
      const { calls, creditBytes } = this.#session.peerLimits;
      if (this.#own.size < calls) {
        const call = this.#unopened.values().next().value as CallingCall;
        this.#opening = call;
        call.sender.credit = creditBytes;
        this.#unopened.delete(call);
        const frame = call.sender.next(this);
        if (call.deadlineAt === Number.POSITIVE_INFINITY) this.#deadlines?.delete(call);
        else this.setDeadline(call, call.deadlineAt);
        if (call.sender.hasWaiting) this.#addTurn(call);
        return marked(call, frame);
      }
    }
    for (const call of this.#turns) {
      this.#turns.delete(call);
      const frame = call.sender.next(this);
      if (frame === undefined) continue; // No credit; its arrival gives the call its turn again.
      if (frame.kind === "end") this.remove(call);
      else if (call.sender.hasWaiting) this.#addTurn(call);
      return marked(call, frame);
    }
    return undefined;
  }

  /** A call frame from the other side; each arrives here once, in order. */
  onFrame(frame: CallFrame): void {
    if (frame.kind === "open") return this.#onOpen(frame);
    const call = this.#find(frame.call);
    if (call === undefined) {
      const known = this.#isOwn(frame.call) ? frame.call < this.#nextId : frame.call <= this.#lastPeerId;
      if (!known || frame.call === 0)
        throw violation(`${frame.kind} for call ${frame.call}, which was never opened`);
      return;
    }
    switch (frame.kind) {
      case "data":
        return this.#onData(call, frame);
      case "end":
        if (!this.#isOwn(frame.call))
          throw violation(`end for call ${frame.call} from the side that opened it`);
        return this.#onEnd(call as CallingCall, frame);
      case "credit":
        call.sender.credit = Math.min(call.sender.credit + frame.bytes, MAX_CREDIT);
        if (call.sender.hasWaiting) this.#takeTurn(call);
        return;
      case "cancel":
        if (this.#isOwn(frame.call))
          throw violation(`cancel for call ${frame.call} from the side that answers it`);
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

  /**
   * The session is lost: fails what was opened; what waits goes to the next session.
   *
   * @param lastOpenWritten later calls of this side were never written to any link: they certainly did not run.
   */
  onLost(lastOpenWritten: number): void {
    const lost = [...this.#own.all(), ...this.#peers.all()];
    // An End that waited for room belongs to the session that is gone.
    for (const call of this.#turns) call.sender.drop();
    this.#turns.clear();
    this.#init.pace?.closed(this.#own.size);
    this.#own.clear();
    this.#peers.clear();
    this.#outgoing = undefined;
    this.#incoming = undefined;
    this.#nextId = this.#init.role === "client" ? 1 : 2;
    this.#lastPeerId = 0;
    // Only now, with all tables as in a new session: a call that fails may be attempted again at once.
    for (const call of lost) {
      const { id } = call.sender;
      call.sender.id = LOST;
      call.lost(id > lastOpenWritten);
    }
  }

  /** The end: fails all calls, those that wait too, and any that come later. */
  close(message: string, code: Code): void {
    if (this.#closed !== undefined) return;
    this.#closed = new RpcError(message, code, { executed: "no" });
    for (const call of [...this.#unopened]) call.fail(this.#closed);
    for (const call of [...this.#own.all(), ...this.#peers.all()]) call.lost(false);
  }

  /** Why calls fail since {@link Calls.close}. */
  get closed(): RpcError | undefined {
    return this.#closed;
  }

  /** Earliest deadline, or the time at which messages have waited long enough for room. */
  deadline(): number {
    const next = this.#deadlines?.next ?? Number.POSITIVE_INFINITY;
    return this.#turns.size === 0 ? next : Math.min(next, this.#starvesAt);
  }

  /** Ends the calls whose deadline has come. */
  expire(now: number): void {
    const deadlines = this.#deadlines;
    for (let call = deadlines?.takeDue(now); call !== undefined; call = deadlines?.takeDue(now)) {
      call.expired();
    }
    if (this.#turns.size > 0 && now >= this.#starvesAt) this.#starve(now);
  }

  /** When messages have waited long enough for room; what came to wait after a check has as long again. */
  get #starvesAt(): number {
    return Math.max(this.#session.fullSince, this.#starvedAt) + this.#init.outboxWaitMs;
  }

  /** The outbox has been full for too long: fails what waits for room, but not what waits for its reader's credit. */
  #starve(now: number): void {
    this.#starvedAt = now;
    this.host.onLimit?.("outboxWaitMs");
    const reason = `the outbox was full for ${this.#init.outboxWaitMs} ms (outboxBytes, outboxWaitMs): the other side takes no more`;
    for (const call of [...this.#turns]) {
      if (call.sender.isStarving) call.starved(reason);
      // Without credit it has no turn; more credit gives it one.
      else if (call.sender.hasWaitingMessage) this.#turns.delete(call);
    }
  }

  #onOpen(frame: OpenFrame): void {
    const { call: id } = frame;
    if (this.#isOwn(id) || id <= this.#lastPeerId) {
      throw violation(
        `open of call ${id} after call ${this.#lastPeerId}; numbers increase, odd ones by the client`,
      );
    }
    this.#lastPeerId = id;
    this.#incoming ??= new IncomingMethods();
    const name = this.#incoming.name(frame.method, frame.name);
    const { limits, answerer } = this.#init;
    // Who cancels may open another call at once; but not for ever, while the handlers of the first ones run on.
    if (this.#peers.size >= limits.calls || this.#lingering >= limits.calls) {
      this.host.onLimit?.("limits.calls");
      const what =
        this.#peers.size >= limits.calls
          ? `${this.#peers.size} calls are open already`
          : `the handlers of ${this.#lingering} calls still run after they were cancelled`;
      return this.#refuse(id, Code.ResourceExhausted, `${what} (limits.calls)`);
    }
    const refusal = this.host.admit?.();
    if (refusal !== undefined) return this.#refuse(id, refusal.code, refusal.message, true, refusal.details);
    if (this.#heldIsFull(frame.payload)) return this.#refuse(id, Code.ResourceExhausted, this.#heldMessage());
    if (frame.headers !== undefined && headerBytes(frame.headers) > limits.headerBytes) {
      this.host.onLimit?.("limits.headerBytes");
      return this.#refuse(
        id,
        Code.ResourceExhausted,
        tooMuchMetadata(frame.headers, limits.headerBytes).rawMessage,
      );
    }
    if (
      frame.size > limits.messageBytes ||
      (frame.payload !== undefined && frame.payload.length > limits.messageBytes)
    ) {
      const size = Math.max(frame.size, frame.payload?.length ?? 0);
      this.host.onLimit?.("limits.messageBytes");
      return this.#refuse(id, Code.ResourceExhausted, tooLarge(size, limits.messageBytes).rawMessage);
    }
    const call = answerer.answer(frame, name, this);
    if ("refused" in call) return this.#refuse(id, call.code, call.message);
    call.sender.id = id;
    call.sender.credit = this.#session.peerLimits.creditBytes;
    if (this.#peers === NO_SLOTS) this.#peers = new CallSlots();
    this.#peers.add(id, call);
    if (frame.timeoutMs > 0) this.setDeadline(call, this.#init.clock() + frame.timeoutMs);
    if (
      frame.payload !== undefined &&
      call.receiver.take(frame.payload, frame.size, false, "") !== undefined
    ) {
      throw violation(`the first message of call ${id} does not fit its size or its credit`);
    }
    if (call.receiver.incomplete) this.giveCredit(call);
    if (frame.end) this.#ended(call);
    call.received();
  }

  #onData(call: Call, frame: DataFrame): void {
    const { receiver } = call;
    if (receiver.ended) throw violation(`data for call ${frame.call} after its end`);
    if (this.#heldIsFull(frame.payload)) {
      return this.#tooLarge(call, frame.call, new RpcError(this.#heldMessage(), Code.ResourceExhausted));
    }
    if (frame.headers !== undefined && this.#isOwn(frame.call)) (call as CallingCall).answered(frame.headers);
    if (frame.payload !== undefined) {
      // Tokens are for callers; one that a caller sends is not kept.
      const token = this.#isOwn(frame.call) ? frame.resumeToken : "";
      const fault = receiver.take(frame.payload, frame.size, false, token);
      if (fault === "violation") throw violation(`data for call ${frame.call} beyond its credit or its size`);
      if (fault === "tooLarge") {
        const size = Math.max(frame.size, frame.payload.length);
        this.host.onLimit?.("limits.messageBytes");
        return this.#tooLarge(call, frame.call, tooLarge(size, this.#init.limits.messageBytes));
      }
      if (receiver.incomplete) this.giveCredit(call);
    }
    if (frame.end) this.#ended(call);
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

  #ended(call: Call): void {
    if (call.receiver.incomplete) throw violation(`end of call ${call.sender.id} inside a message`);
    call.receiver.ended = true;
  }

  #tooLarge(call: Call, id: number, error: RpcError): void {
    if (this.#isOwn(id)) {
      this.cancel(call as CallingCall, Code.Canceled, error.rawMessage);
      (call as CallingCall).fail(new RpcError(error.rawMessage, error.code, { executed: "unknown" }));
      return;
    }
    (call as AnsweringCall).cancelled(Code.ResourceExhausted, error.rawMessage);
    this.#refuse(id, Code.ResourceExhausted, error.rawMessage, false);
  }

  /** @param refused no handler has seen the call; otherwise one is at work. */
  #refuse(call: number, code: Code, message: string, refused = true, details?: readonly ErrorDetail[]): void {
    this.#session.send({
      kind: "end",
      call,
      code,
      message,
      details,
      headers: undefined,
      trailers: undefined,
      refused,
      unfinished: !refused,
      payload: undefined,
    });
  }

  #timeLeft(call: CallingCall): number {
    if (call.deadlineAt === Number.POSITIVE_INFINITY) return 0;
    return Math.min(Math.max(1, Math.ceil(call.deadlineAt - this.#init.clock())), Number.MAX_SAFE_INTEGER);
  }

  #find(id: number): Call | undefined {
    return this.#isOwn(id) ? this.#own.get(id) : this.#peers.get(id);
  }

  #isOwn(id: number): boolean {
    return (id % 2 === 1) === (this.#init.role === "client");
  }
}

/** Stand for a set and a table until there is something to put into them. */
const NO_CALLS: Set<never> = new Set();
const NO_SLOTS: CallSlots<never> = new CallSlots();

const PLAIN = { plain: true } as const;

/** A frame with what its packet has to know of the call. */
function marked(call: Call, frame: CallFrame | undefined): CallFrame | undefined {
  const holds = frame?.kind === "data" || frame?.kind === "open" || frame?.kind === "end";
  return holds && call.plain ? { ...frame, ...PLAIN } : frame;
}

/** {@link Sender.id} before the Open is sent, and once the session it was sent in is lost. */
export const UNOPENED = 0;
const LOST = -1;

/** Beyond this, credit no longer grows: it keeps hostile sums exact. */
const MAX_CREDIT = 2 ** 48;
