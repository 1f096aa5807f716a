import { performance } from "node:perf_hooks";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { SampleSchema } from "../../gen/hawser/inspect/v1/inspect_pb.js";
import type { Clock } from "../base/clock.js";
import type { InspectedServer } from "../server/inspection.js";
import type { Recorder } from "./recorder.js";

/** One second of a node. */
export type SampleInit = MessageInitShape<typeof SampleSchema>;

const EVERY_MS = 1_000;

/** Counters that only grow, of which samples have the differences. */
type Totals = Readonly<
  Record<
    | "callsStarted"
    | "callsEnded"
    | "callsFailed"
    | "callsRefused"
    | "bytesIn"
    | "bytesOut"
    | "packetsIn"
    | "packetsOut"
    | "published"
    | "received"
    | "delivered"
    | "fellBehind"
    | "gaps"
    | "sessionsOpened"
    | "sessionsResumed"
    | "sessionsEnded"
    | "refused"
    | "limited",
    number
  >
>;

/** Looks at a node once a second, and keeps what it has seen for some minutes. */
export class Sampler {
  readonly #server: InspectedServer;
  readonly #recorder: Recorder;
  readonly #clock: Clock;
  readonly #kept: number;
  readonly #timer: NodeJS.Timeout;
  readonly #samples: SampleInit[] = [];
  /** Number of samples so far. */
  #count = 0;
  #at: number;
  #totals: Totals;
  #cpu: NodeJS.CpuUsage = process.cpuUsage();
  #loop: ReturnType<typeof performance.eventLoopUtilization> = performance.eventLoopUtilization();

  /** @param kept samples that are kept */
  constructor(server: InspectedServer, recorder: Recorder, kept: number, clock: Clock) {
    this.#server = server;
    this.#recorder = recorder;
    this.#clock = clock;
    this.#kept = kept;
    this.#at = clock();
    this.#totals = this.#totalsNow();
    // Nobody is kept waiting for the end of a process by it.
    this.#timer = setInterval(() => this.#sample(), EVERY_MS).unref();
  }

  /** Number of samples so far; what {@link Sampler.after} goes by. */
  get count(): number {
    return this.#count;
  }

  /** Samples behind this number that are kept, the oldest first. */
  after(number: number): readonly SampleInit[] {
    return this.#samples.slice(Math.max(0, this.#samples.length - (this.#count - number)));
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #sample(): void {
    const { sessions } = this.#server;
    const { calls, sessions: log } = this.#recorder;
    const now = this.#clock();
    const spanMs = now - this.#at;
    const cpu = process.cpuUsage(this.#cpu);
    const loop = performance.eventLoopUtilization();
    const memory = process.memoryUsage();
    const totals = this.#totalsNow();
    const [p50Ms = 0, p99Ms = 0] = calls.recent.percentiles([50, 99], now);
    calls.recent.clear();
    const { counters } = sessions.hub;
    const sample: SampleInit = {
      at: timestampFromMs(sessions.wallClock()),
      spanMs,
      sessions: sessions.size,
      detached: log.detached,
      links: log.links.size,
      callsInFlight: calls.inFlight,
      outboxBytes: sessions.outboxBudget.used,
      topics: counters.channels,
      subscribers: counters.subscribers,
      memoryBytes: memory.rss,
      heapBytes: memory.heapUsed,
      ...difference(totals, this.#totals),
      cpu: (cpu.user + cpu.system) / 1_000 / spanMs,
      eventLoop: performance.eventLoopUtilization(loop, this.#loop).utilization,
      p50Ms,
      p99Ms,
    };
    this.#at = now;
    this.#totals = totals;
    this.#cpu = process.cpuUsage();
    this.#loop = loop;
    this.#samples.push(sample);
    if (this.#samples.length > this.#kept) this.#samples.shift();
    this.#count++;
  }

  #totalsNow(): Totals {
    const { counters } = this.#server.sessions.hub;
    const { calls, sessions } = this.#recorder;
    const { started, ended, failed, refused } = calls.totals;
    const { bytesIn, bytesOut, packetsIn, packetsOut } = sessions.traffic();
    const { totals } = sessions;
    return {
      callsStarted: started,
      callsEnded: ended,
      callsFailed: failed,
      callsRefused: refused,
      bytesIn,
      bytesOut,
      packetsIn,
      packetsOut,
      published: counters.published,
      received: counters.received,
      delivered: counters.delivered,
      fellBehind: counters.fellBehind,
      gaps: counters.gaps,
      sessionsOpened: totals.opened,
      sessionsResumed: totals.resumed,
      sessionsEnded: totals.ended,
      refused: totals.refused,
      limited: totals.limited,
    };
  }
}

function difference(now: Totals, before: Totals): Totals {
  return Object.fromEntries(
    Object.entries(now).map(([name, value]) => [name, value - before[name as keyof Totals]]),
  ) as Totals;
}
