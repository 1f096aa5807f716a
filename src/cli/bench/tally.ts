import { Code, codeName } from "../../base/code.js";
import { RpcError } from "../../base/error.js";
import { Latencies } from "./latency.js";

/** Errors of one code. */
export interface ErrorCount {
  count: number;
  /** What the first of them said. */
  readonly message: string;
}

/** A call that is under way. All times are those of the run's clock, in milliseconds. */
export interface CallTimes {
  /** When it was to be made. */
  readonly due: number;
  /** When it was made. */
  readonly sent: number;
}

/**
 * What a run has measured. Calls count that were due within its window; throughput goes by what was answered within it. Nothing
 * changes any more once it is closed.
 */
export class Tally {
  /** From the moment that a call was due to its end: of calls that succeeded, and of those that took too long. */
  readonly fromDue: Latencies = new Latencies();
  /** The same from the moment that it was made. */
  readonly fromSent: Latencies = new Latencies();
  /** How long after its moment a call was made. */
  readonly late: Latencies = new Latencies();
  /** From the making of a call to its first message, for streams of answers. */
  readonly firstMessage: Latencies = new Latencies();
  readonly errors: Map<string, ErrorCount> = new Map();
  /** Calls that were due, and have an outcome. */
  calls = 0;
  succeeded = 0;
  /** Calls that succeeded within the window, whenever they began. */
  answered = 0;
  /** Messages that arrived within the window. */
  messages = 0;
  /** Calls that were due and were never made. */
  unsent = 0;
  #from: number = Number.POSITIVE_INFINITY;
  #to: number = Number.POSITIVE_INFINITY;
  #closed = false;

  get failed(): number {
    return this.calls - this.succeeded;
  }

  /** Whether a call that was due at that time counts. */
  covers(due: number): boolean {
    return !this.#closed && due >= this.#from && due < this.#to;
  }

  /** The window begins. */
  openAt(from: number, to: number): void {
    this.#from = from;
    this.#to = to;
  }

  /** The window ends early. */
  cutAt(to: number): void {
    this.#to = Math.min(this.#to, to);
  }

  close(): void {
    this.#closed = true;
  }

  message(now: number, call: CallTimes, first: boolean): void {
    if (this.covers(now)) this.messages++;
    if (first && this.covers(call.due)) this.firstMessage.add(now - call.sent);
  }

  success(now: number, call: CallTimes): void {
    if (this.covers(now)) this.answered++;
    if (!this.covers(call.due)) return;
    this.calls++;
    this.succeeded++;
    this.#measure(now, call);
  }

  failure(now: number, call: CallTimes, reason: unknown): void {
    if (!this.covers(call.due)) return;
    this.calls++;
    const error = RpcError.from(reason);
    const name = codeName(error.code);
    const known = this.errors.get(name);
    if (known === undefined) this.errors.set(name, { count: 1, message: error.rawMessage });
    else known.count++;
    // Without those that took too long the slowest would be missing.
    if (error.code === Code.DeadlineExceeded) this.#measure(now, call);
  }

  /** A call was due, and there was no room for it until the end. Its latency is at least what it has waited. */
  neverSent(now: number, due: number): void {
    if (!this.covers(due)) return;
    this.unsent++;
    this.fromDue.add(now - due);
  }

  #measure(now: number, { due, sent }: CallTimes): void {
    this.fromDue.add(now - due);
    this.fromSent.add(now - sent);
    this.late.add(sent - due);
  }
}
