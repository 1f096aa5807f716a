import { expect } from "vitest";
import { Code } from "../../src/base/code.js";
import { type RetryOptions, resolveRetryOptions } from "../../src/retry/options.js";
import { Retrier } from "../../src/retry/retrier.js";
import { createTransport } from "../../src/retry/transport.js";
import type { CallSession, CallsHost } from "../../src/rpc/call-table.js";
import { Calls } from "../../src/rpc/calls.js";
import type { Transport } from "../../src/rpc/transport.js";
import type { CallFrame, DataFrame, EndFrame, OpenFrame } from "../../src/wire/frame.js";
import { DEFAULT_LIMITS } from "../../src/wire/limits.js";

interface Timer {
  readonly at: number;
  readonly task: () => void;
}

/** The calling side alone: what it sends is looked at, what it hears is made up, and time stands still. */
export class CallerBench {
  now = 0;
  /** What the random source gives. */
  random = 0.5;
  keys = 0;
  readonly sent: CallFrame[] = [];
  readonly timers: Set<Timer> = new Set();
  readonly calls: Calls;
  readonly retrier: Retrier;
  readonly transport: Transport;

  constructor(options?: RetryOptions | false) {
    const session: CallSession = {
      state: "open",
      writable: true,
      fullSince: Number.POSITIVE_INFINITY,
      peerLimits: DEFAULT_LIMITS,
      send: (frame) => {
        this.sent.push(frame);
      },
      // What is not taken here is encoded by itself.
      check: () => undefined,
      sendMessage: () => -1,
      wake: () => undefined,
      position: () => undefined,
    } as CallSession;
    this.calls = new Calls(
      {
        role: "client",
        clock: () => this.now,
        limits: DEFAULT_LIMITS,
        maxWaitingCalls: 10,
        maxWaitMs: 1_000,
        outboxWaitMs: 1_000,
        answerer: { answer: () => expect.fail("nobody calls") },
      },
      session,
      { whyNotOpen: () => "", onDeadline: () => undefined } as CallsHost,
    );
    this.retrier = new Retrier(resolveRetryOptions(options), {
      clock: () => this.now,
      random: () => this.random,
      after: (delayMs, task) => {
        const timer = { at: this.now + delayMs, task };
        this.timers.add(timer);
        return () => this.timers.delete(timer);
      },
    });
    this.transport = createTransport(
      { calls: this.calls, retrier: this.retrier, newKey: () => `key-${++this.keys}` },
      [],
    );
  }

  /** All Opens so far. */
  get opens(): OpenFrame[] {
    return this.sent.filter((frame) => frame.kind === "open");
  }

  /** The last Open. */
  get open(): OpenFrame {
    return this.opens.at(-1) ?? expect.fail("nothing was sent");
  }

  /** Delays of the timers that run. */
  get delays(): number[] {
    return [...this.timers].map(({ at }) => at - this.now).sort((a, b) => a - b);
  }

  /** Numbers of earlier attempts, as each Open says. */
  get previousAttempts(): (string | undefined)[] {
    return this.opens.map(
      ({ headers }) => headers?.find(([name]) => name === "grpc-previous-rpc-attempts")?.[1],
    );
  }

  /** Goes on to a time, timer by timer. */
  advance(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const [next] = [...this.timers].sort((a, b) => a.at - b.at);
      if (next === undefined || next.at > until) break;
      this.timers.delete(next);
      this.now = Math.max(this.now, next.at);
      next.task();
    }
    this.now = until;
    this.calls.expire(this.now);
  }

  /** The other side ends a call; the last one unless it is named. */
  end(frame: Partial<EndFrame>): void {
    this.calls.onFrame({
      kind: "end",
      call: this.open.call,
      code: 0,
      message: "",
      details: undefined,
      headers: undefined,
      trailers: undefined,
      refused: false,
      unfinished: false,
      payload: undefined,
      ...frame,
    });
  }

  /** The other side fails the last call. */
  fail(code: Code = Code.Unavailable, frame: Partial<EndFrame> = {}): void {
    this.end({ code, message: "no", ...frame });
  }

  /** The other side sends a message into the last call. */
  data(payload: Uint8Array, frame: Partial<DataFrame> = {}): void {
    this.calls.onFrame({
      kind: "data",
      call: this.open.call,
      end: false,
      size: 0,
      headers: undefined,
      resumeToken: "",
      payload,
      ...frame,
    });
  }

  /** The session is lost; of these calls nothing was ever written. */
  lose(unwritten: readonly number[] = []): void {
    this.calls.onLost(Math.min(...unwritten) - 1);
  }
}

/** Lets promises settle. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
