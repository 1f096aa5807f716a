import type { DescMethod } from "@bufbuild/protobuf";
import type { Clock } from "../base/clock.js";
import { Code } from "../base/code.js";
import type { CallInfo, CallObserver, CallOutcome } from "../base/observer.js";
import { Durations } from "./durations.js";

/** What is known of the calls of one method, in one direction. */
export interface MethodRecord {
  /** "package.Service/Method". */
  readonly name: string;
  readonly method: DescMethod;
  readonly toClient: boolean;
  started: number;
  ended: number;
  /** Ended calls by status code. */
  readonly codes: number[];
  /** From the beginning to the outcome. */
  readonly durations: Durations;
}

/** Counts of calls since the log began. */
export interface CallTotals {
  started: number;
  ended: number;
  /** Ended with a status that is the fault of whoever answers. */
  failed: number;
  /** Ended with another status that is not OK. */
  refused: number;
}

/** Statuses that are the fault of whoever answers, as OpenTelemetry's conventions for RPC have them. */
const FAULTS: ReadonlySet<Code | 0> = new Set([
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.Unimplemented,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);

/** Error messages are kept up to this length. */
const MAX_MESSAGE = 300;

/** One call, in flight or ended. */
export class CallRecord implements CallObserver {
  readonly number: number;
  readonly of: MethodRecord;
  readonly session: string;
  readonly identity: string;
  /** Of the log's clock, in milliseconds. */
  readonly startedAt: number;
  /** Neighbours among those in flight. */
  before: CallRecord | undefined;
  after: CallRecord | undefined;
  durationMs = 0;
  code: Code | 0 = 0;
  message = "";
  sent = 0;
  received = 0;
  readonly #log: CallLog;

  constructor(log: CallLog, number: number, of: MethodRecord, info: CallInfo, startedAt: number) {
    this.#log = log;
    this.number = number;
    this.of = of;
    this.session = info.sessionId ?? "";
    this.identity = info.identity ?? "";
    this.startedAt = startedAt;
  }

  ended({ code, error, durationMs, sent, received }: CallOutcome): void {
    this.durationMs = durationMs;
    this.code = code;
    if (error !== undefined) this.message = error.rawMessage.slice(0, MAX_MESSAGE);
    this.sent = sent;
    this.received = received;
    this.#log.onEnded(this);
  }
}

/** The calls of a node: those in flight, the last ones that have ended, and figures by method. In fixed memory but for those in flight. */
export class CallLog {
  readonly totals: CallTotals = { started: 0, ended: 0, failed: 0, refused: 0 };
  /** Calls with one message each way that have ended since {@link Durations.clear}. */
  readonly recent: Durations;
  inFlight = 0;
  readonly #clock: Clock;
  readonly #methods = new Map<DescMethod, MethodRecord>();
  readonly #methodsToClient = new Map<DescMethod, MethodRecord>();
  /** A ring. */
  readonly #ended: CallRecord[] = [];
  readonly #kept: number;
  #next = 0;
  /** The newest of those in flight. */
  #last: CallRecord | undefined;

  /** @param kept ended calls that are kept */
  constructor(kept: number, clock: Clock) {
    this.#kept = kept;
    this.#clock = clock;
    this.recent = new Durations(clock());
  }

  /** A call begins. */
  start(info: CallInfo): CallRecord {
    const now = this.#clock();
    const of = this.#methodOf(info, now);
    const call = new CallRecord(this, ++this.totals.started, of, info, now);
    of.started++;
    this.inFlight++;
    call.before = this.#last;
    if (this.#last !== undefined) this.#last.after = call;
    this.#last = call;
    return call;
  }

  onEnded(call: CallRecord): void {
    const { before, after, of, code, durationMs } = call;
    if (before !== undefined) before.after = after;
    if (after !== undefined) after.before = before;
    else this.#last = before;
    // Or it would keep others that have long been dropped.
    call.before = undefined;
    call.after = undefined;
    this.inFlight--;
    of.ended++;
    of.codes[code] = (of.codes[code] ?? 0) + 1;
    const { totals } = this;
    totals.ended++;
    if (code !== 0) {
      if (FAULTS.has(code)) totals.failed++;
      else totals.refused++;
    }
    const now = call.startedAt + durationMs;
    of.durations.add(durationMs, now);
    if (of.method.methodKind === "unary") this.recent.add(durationMs, now);
    this.#ended[this.#next] = call;
    this.#next = this.#next + 1 === this.#kept ? 0 : this.#next + 1;
  }

  /** Calls in flight, the newest first. */
  *running(): Generator<CallRecord> {
    for (let call = this.#last; call !== undefined; call = call.before) yield call;
  }

  /** Ended calls that are kept, the one that ended last first. */
  *ended(): Generator<CallRecord> {
    const { length } = this.#ended;
    for (let i = 1; i <= length; i++) yield this.#ended[(this.#next - i + length) % length] as CallRecord;
  }

  /** Ended calls that are kept. */
  get keptCount(): number {
    return this.#ended.length;
  }

  /** Methods that were called. */
  *methods(): Generator<MethodRecord> {
    yield* this.#methods.values();
    yield* this.#methodsToClient.values();
  }

  #methodOf({ name, method, side }: CallInfo, now: number): MethodRecord {
    const toClient = side === "caller";
    const methods = toClient ? this.#methodsToClient : this.#methods;
    let record = methods.get(method);
    if (record === undefined) {
      record = { name, method, toClient, started: 0, ended: 0, codes: [], durations: new Durations(now) };
      methods.set(method, record);
    }
    return record;
  }
}
