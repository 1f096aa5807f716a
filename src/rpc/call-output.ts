import { Code } from "../base/code.js";
import { type Executed, RpcError } from "../base/error.js";
import type { MessageWriter } from "../wire/encode.js";
import type { CallFrame, EndFrame } from "../wire/frame.js";
import { PAYLOAD_COST, WHOLE_BYTES } from "../wire/limits.js";
import { type Call, UNOPENED } from "./call.js";
import type { CallSession, CallsInit } from "./call-table.js";
import type { Calls } from "./calls.js";
import { answerFrame } from "./ending.js";
import { tooLarge } from "./limit-errors.js";
import { tokenCost } from "./token-cost.js";

/** What the calls of a session send: at once while there is room and credit, else in turn, one frame of each call. */
export class CallOutput {
  readonly #calls: Calls;
  readonly #init: CallsInit;
  readonly #session: CallSession;
  /** Calls with something to send, in the order of their turns. */
  readonly #turns = new Set<Call>();
  #starvedAt: number = Number.NEGATIVE_INFINITY;

  constructor(calls: Calls, init: CallsInit, session: CallSession) {
    this.#calls = calls;
    this.#init = init;
    this.#session = session;
  }

  /**
   * Sends a message of a call that is open. `undefined` when it went out, else a promise for when the writer may go
   * on: the message is sent, or the call is over.
   *
   * @throws RpcError when the message is larger than the other side takes.
   */
  send(
    call: Call,
    payload: Uint8Array | undefined,
    end: boolean,
    resumeToken = "",
  ): Promise<void> | undefined {
    const { sender } = call;
    const length = payload === undefined ? 0 : payload.length;
    const { messageBytes } = this.#session.peerLimits;
    const executed = sender.id === UNOPENED ? "no" : "unknown";
    if (length > messageBytes) throw tooLarge(length, messageBytes, executed);
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
        plain: call.plain,
      });
      return undefined;
    }
    if (this.#calls.held.hasNoRoomFor(payload)) throw this.#tooMuchHeld(executed);
    return new Promise((resolve) => {
      sender.wait(payload, end, resolve, resumeToken);
      if (sender.openInfo === undefined) this.takeTurn(call);
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
  answer(call: Call, message: MessageWriter): boolean {
    const session = this.#session;
    if (message.bound > session.peerLimits.messageBytes || call.sender.hasWaiting || !session.writable) {
      return false;
    }
    const { id } = call.sender;
    const length = session.sendMessage(answerFrame(id, undefined, undefined, undefined, call.plain), message);
    if (length < 0) return false;
    call.sender.end();
    this.#calls.remove(call);
    return true;
  }

  /** Answers a call with its outcome, behind all of its messages that wait. */
  end(call: Call, frame: EndFrame): void {
    const { sender } = call;
    const length = frame.payload === undefined ? 0 : frame.payload.length;
    const isWhole = length <= WHOLE_BYTES;
    const { state, writable } = this.#session;
    const goesNow = isWhole && !sender.hasWaiting && writable;
    if (!goesNow && this.#calls.held.hasNoRoomFor(frame.payload)) {
      // The answer does not fit any more; that it does not, does.
      const { code, rawMessage } = this.#tooMuchHeld("yes");
      return this.end(call, { ...frame, code, message: rawMessage, payload: undefined });
    }
    // Without a message it needs no room.
    if (goesNow || (length === 0 && !sender.hasWaiting && state === "open")) {
      sender.end();
      this.#calls.remove(call);
      this.#session.send(call.plain ? { ...frame, plain: true } : frame);
      return;
    }
    if (isWhole) sender.finish(frame);
    else {
      // The payload goes ahead in pieces, on credit.
      sender.headers = frame.headers;
      sender.wait(frame.payload, false, undefined);
      sender.finish({ ...frame, headers: undefined, payload: undefined });
    }
    this.takeTurn(call);
  }

  /** The application has consumed messages of a call: gives credit back when there is enough of it. */
  giveCredit(call: Call): void {
    if (call.finished) return;
    call.receiver.tracker?.giveRoom();
    const bytes = call.receiver.takeCredit();
    if (bytes > 0) this.#session.send({ kind: "credit", call: call.sender.id, bytes });
  }

  // ---- turns -------------------------------------------------------------------------------------------------

  /** The next frame of those that wait. */
  pullFrame(): CallFrame | undefined {
    for (const call of this.#turns) {
      this.#turns.delete(call);
      const frame = call.sender.next();
      if (frame === undefined) continue; // No credit; its arrival gives the call its turn again.
      if (frame.kind === "end") this.#calls.remove(call);
      else if (call.sender.hasWaiting) this.#turns.add(call);
      return call.plain ? { ...frame, plain: true } : frame;
    }
    return undefined;
  }

  /** A call with something to send goes behind those that wait already. */
  addTurn(call: Call): void {
    this.#turns.add(call);
  }

  /** The same, for a call that found no room before. */
  takeTurn(call: Call): void {
    this.#turns.add(call);
    this.#session.wake();
    if (this.#session.fullSince !== Number.POSITIVE_INFINITY) this.#calls.host.onDeadline();
  }

  /** Drops what waits of a call; its writers are told. */
  drop(call: Call): void {
    this.#turns.delete(call);
    call.sender.drop();
  }

  /** The session is lost: an End that waited for room belongs to it. */
  dropAll(): void {
    for (const call of this.#turns) call.sender.drop();
    this.#turns.clear();
  }

  /** When messages have waited long enough for room; what came to wait after a check has as long again. */
  get starvesAt(): number {
    if (this.#turns.size === 0) return Number.POSITIVE_INFINITY;
    return Math.max(this.#session.fullSince, this.#starvedAt) + this.#init.outboxWaitMs;
  }

  /** The outbox has been full for too long: fails what waits for room, but not what waits for its reader's credit. */
  starve(now: number): void {
    this.#starvedAt = now;
    this.#calls.host.onLimit?.("outboxWaitMs");
    const reason = `the outbox was full for ${this.#init.outboxWaitMs} ms (outboxBytes, outboxWaitMs): the other side takes no more`;
    for (const call of [...this.#turns]) {
      if (call.sender.isStarving) call.starved(reason);
      // Without credit it has no turn; more credit gives it one.
      else if (call.sender.hasWaitingMessage) this.#turns.delete(call);
    }
  }

  #tooMuchHeld(executed: Executed): RpcError {
    return new RpcError(this.#calls.tooMuchHeld(), Code.ResourceExhausted, { executed });
  }
}
