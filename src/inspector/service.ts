import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  InspectService,
  type WatchRequest,
  type WatchResponseSchema,
} from "../../gen/hawser/inspect/v1/inspect_pb.js";
import type { Clock } from "../base/clock.js";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { HandlerContext } from "../rpc/context.js";
import type { Routes } from "../rpc/router.js";
import type { InspectedServer } from "../server/inspection.js";
import { listCalls, listMethods, type MethodLook } from "./call-view.js";
import { describeNode } from "./node-view.js";
import type { InspectorSettings } from "./options.js";
import type { Recorder } from "./recorder.js";
import type { Sampler } from "./sampler.js";
import { schemaOf } from "./schema.js";
import { listSessions } from "./session-view.js";
import { describeTopic, listTopics, type TopicLook } from "./topic-view.js";

type Response = MessageInitShape<typeof WatchResponseSchema>;

/** What the handlers work on; there once the server is made. */
export interface Inspected {
  readonly server: InspectedServer;
  readonly sampler: Sampler;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
}

const DEFAULT_INTERVAL_MS = 1_000;
const MIN_INTERVAL_MS = 250;
const MAX_INTERVAL_MS = 60_000;
const MEASURE_EVERY_MS = 5_000;
/** Whoever goes on watching is asked for again after this time. */
const ALLOWED_FOR_MS = 60_000;

/**
 * Routes of the inspector's service.
 *
 * @param inspected throws before the server is made
 */
export function inspectRoutes(
  settings: InspectorSettings,
  recorder: Recorder,
  inspected: () => Inspected,
  clock: Clock,
): Routes {
  const guard = (context: HandlerContext) => checkAllowed(settings, recorder, context);
  let schema: Uint8Array<ArrayBuffer> | undefined;
  return (router) =>
    router.service(InspectService, {
      async getNode(_, context) {
        await guard(context);
        const { server, startedAt } = inspected();
        return {
          ...describeNode(server, startedAt),
          identity: context.session.identity?.id ?? "",
          samplesKept: settings.samples,
          callsKept: settings.calls,
        };
      },
      async getSchema(_, context) {
        await guard(context);
        schema ??= schemaOf(inspected().server.settings.routes);
        return { fileDescriptorSet: schema };
      },
      async getTopic(request, context) {
        await guard(context);
        return describeTopic(inspected().server, request);
      },
      async *watch(request, context) {
        await guard(context);
        let checkedAt = clock();
        const watch = new Watch(request, recorder, inspected(), clock);
        const intervalMs = intervalOf(request);
        for (let sent = 1; ; sent++) {
          const lookedAt = clock();
          yield watch.look();
          if (sent === request.count) return;
          // Time that the reader has taken counts: one that is slow gets the next as soon as it is ready for it.
          await pause(Math.max(1, intervalMs - (clock() - lookedAt)), context.signal);
          if (clock() - checkedAt < ALLOWED_FOR_MS) continue;
          await guard(context);
          checkedAt = clock();
        }
      },
    });
}

/** What one caller watches, and what it has been given so far. */
class Watch {
  readonly #request: WatchRequest;
  readonly #recorder: Recorder;
  readonly #inspected: Inspected;
  readonly #clock: Clock;
  #samples: number;
  #events: number;
  #methods: MethodLook | undefined;
  #topics: TopicLook | undefined;
  #measuredAt = Number.NEGATIVE_INFINITY;

  constructor(request: WatchRequest, recorder: Recorder, inspected: Inspected, clock: Clock) {
    this.#request = request;
    this.#recorder = recorder;
    this.#inspected = inspected;
    this.#clock = clock;
    this.#samples = inspected.sampler.count - (request.samples?.last ?? 0);
    this.#events = recorder.sessions.before(request.events?.last ?? 0);
  }

  /** The state at this moment. */
  look(): Response {
    const { samples, sessions, calls, methods, topics, events } = this.#request;
    const { server, sampler } = this.#inspected;
    const recorder = this.#recorder;
    const wallClock = server.sessions.wallClock();
    const now = { clock: this.#clock(), wallClock };
    const response: Response = { at: timestampFromMs(wallClock) };
    if (samples !== undefined) {
      response.samples = [...sampler.after(this.#samples)];
      this.#samples = sampler.count;
    }
    if (sessions !== undefined)
      response.sessions = listSessions(server, recorder.sessions, sessions, this.#measures(now.clock));
    if (calls !== undefined) response.calls = listCalls(recorder.calls, calls, now);
    if (methods !== undefined) {
      const { list, look } = listMethods(recorder.calls, methods, now, this.#methods);
      response.methods = list;
      this.#methods = look;
    }
    if (topics !== undefined) {
      const { list, look } = listTopics(server, topics, now.clock, this.#topics);
      response.topics = list;
      this.#topics = look;
    }
    if (events !== undefined) {
      const found = recorder.sessions.events(this.#events);
      this.#events = recorder.sessions.lastEvent;
      response.events = {
        events: found
          .filter(({ session }) => events.session === "" || session === events.session)
          .map((event) => ({ ...event, at: timestampFromMs(event.at) })),
      };
    }
    return response;
  }

  /** Round-trip times of what is shown are measured, but seldom: a ping wakes a telephone. */
  #measures(now: number): boolean {
    if (now < this.#measuredAt + MEASURE_EVERY_MS) return false;
    this.#measuredAt = now;
    return true;
  }
}

/** @throws RpcError UNAUTHENTICATED or PERMISSION_DENIED for whoever may not look. */
async function checkAllowed(
  { allow }: InspectorSettings,
  recorder: Recorder,
  context: HandlerContext,
): Promise<void> {
  const { id, identity } = context.session;
  if (allow === "loopback") {
    for (const link of recorder.sessions.links) if (link.sessionId === id && link.local) return;
    throw new RpcError(
      "only who connects from the server's own machine may look into it",
      Code.PermissionDenied,
    );
  }
  if (identity === undefined) throw new RpcError("sign in to look into this server", Code.Unauthenticated);
  if ((await allow(identity, context)) !== true)
    throw new RpcError(`${identity.id} may not look into this server`, Code.PermissionDenied);
}

function intervalOf({ interval }: WatchRequest): number {
  const wanted = interval === undefined ? 0 : durationMs(interval);
  return wanted <= 0 ? DEFAULT_INTERVAL_MS : Math.min(Math.max(wanted, MIN_INTERVAL_MS), MAX_INTERVAL_MS);
}

/** Waits, or throws when the call is over. */
function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, delayMs);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}
