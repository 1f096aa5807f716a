import {
  type Attributes,
  type Context,
  context,
  type Meter,
  type MeterProvider,
  metrics,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  type TextMapSetter,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import { Code, codeName } from "../base/code.js";
import type { CallInfo, CallObserver, CallOutcome, LinkInfo, Observer } from "../base/observer.js";

/** What {@link otelObserver} takes. */
export interface OtelOptions {
  /** Default: the global one. */
  readonly tracerProvider?: TracerProvider;
  /** Default: the global one. */
  readonly meterProvider?: MeterProvider;
}

const NAME = "hawser";

/** Bounds that the semantic conventions advise for durations of calls, in seconds. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/**
 * Statuses that are a server's fault, and make its span an error; the others are its answer (OpenTelemetry's conventions for
 * gRPC). For a client all but OK are errors.
 */
const SERVER_FAULTS: readonly Code[] = [
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.Unimplemented,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
];

const SETTER: TextMapSetter<Headers> = { set: (headers, name, value) => headers.set(name, value) };

const GETTER: TextMapGetter<Headers> = {
  keys: (headers) => [...headers.keys()],
  get: (headers, name) => headers.get(name) ?? undefined,
};

/**
 * An observer that reports to OpenTelemetry: a span for each call on either side, the context carried in the call's metadata by
 * the global propagator (W3C Trace Context as a rule), and metrics. Handlers and interceptors run inside their span's context.
 *
 * Names are those of the semantic conventions for RPC, 1.45: `rpc.system.name`, `rpc.method`, `rpc.status_code`,
 * `rpc.client.call.duration`, `rpc.server.call.duration`. A call that is attempted several times is one span of its caller, and
 * one span of each handler that it reached.
 */
export function otelObserver(options: OtelOptions = {}): Observer {
  const tracer = (options.tracerProvider ?? trace).getTracer(NAME);
  const meter = (options.meterProvider ?? metrics).getMeter(NAME);
  const durations = {
    caller: duration(meter, "rpc.client.call.duration", "Duration of calls that were made"),
    handler: duration(meter, "rpc.server.call.duration", "Duration of calls that were answered"),
  };
  const links = meter.createUpDownCounter("hawser.links", {
    description: "Links that are open",
    unit: "{link}",
  });
  const closed = meter.createCounter("hawser.links.closed", {
    description: "Links that have ended",
    unit: "{link}",
  });
  const refused = meter.createCounter("hawser.refused", {
    description: "Connections that were turned away",
    unit: "{connection}",
  });
  const sessions = meter.createCounter("hawser.sessions", {
    description: "What happened to sessions",
    unit: "{event}",
  });
  const retries = meter.createCounter("hawser.retries", {
    description: "Attempts that failed and were followed by another",
    unit: "{attempt}",
  });
  const limits = meter.createCounter("hawser.limits", {
    description: "Limits that were met",
    unit: "{event}",
  });
  const traffic = meter.createCounter("hawser.io", {
    description: "Bytes of packets, before compression",
    unit: "By",
  });
  const rtt = meter.createHistogram("hawser.rtt", {
    description: "Round-trip time when a link ended",
    unit: "s",
  });
  const side = ({ side }: LinkInfo): Attributes => ({ "hawser.side": side });

  return {
    linkOpened: (link) => links.add(1, side(link)),
    linkClosed(link, { code }) {
      links.add(-1, side(link));
      closed.add(1, { ...side(link), "hawser.close_code": code });
      traffic.add(link.traffic.bytesIn, { ...side(link), "network.io.direction": "receive" });
      traffic.add(link.traffic.bytesOut, { ...side(link), "network.io.direction": "transmit" });
      if (link.rtt !== undefined) rtt.record(link.rtt / 1_000, side(link));
    },
    refused: ({ status }) => refused.add(1, { "hawser.status": status }),
    session: ({ what }) => sessions.add(1, { "hawser.event": what }),
    callRetried: (name, code) => retries.add(1, { "rpc.method": name, "rpc.status_code": codeName(code) }),
    limited: ({ limit }) => limits.add(1, { "hawser.limit": limit }),
    callStarted(call) {
      const attributes: Attributes = { "rpc.system.name": NAME, "rpc.method": call.name };
      const isCaller = call.side === "caller";
      const outer = isCaller ? context.active() : propagation.extract(context.active(), call.header, GETTER);
      const kind = isCaller ? SpanKind.CLIENT : SpanKind.SERVER;
      const span = tracer.startSpan(call.name, { kind, attributes }, outer);
      const inner = trace.setSpan(outer, span);
      if (isCaller) propagation.inject(inner, call.header, SETTER);
      return follow(call, span, inner, ({ durationMs }, outcome) =>
        durations[call.side].record(durationMs / 1_000, { ...attributes, ...outcome }, inner),
      );
    },
  };
}

function follow(
  call: CallInfo,
  span: Span,
  inner: Context,
  record: (outcome: CallOutcome, attributes: Attributes) => void,
): CallObserver {
  return {
    run: (task) => context.with(inner, task),
    ended(outcome) {
      const { code, error } = outcome;
      const name = code === 0 ? "OK" : codeName(code);
      const isError = code !== 0 && (call.side === "caller" || SERVER_FAULTS.includes(code));
      const attributes: Attributes = { "rpc.status_code": name, ...(isError && { "error.type": name }) };
      span.setAttributes(attributes);
      if (isError) {
        const message = error?.rawMessage;
        span.setStatus({
          code: SpanStatusCode.ERROR,
          ...(message !== undefined && message !== "" && { message }),
        });
      }
      span.end();
      record(outcome, attributes);
    },
  };
}

function duration(meter: Meter, name: string, description: string) {
  return meter.createHistogram(name, {
    description,
    unit: "s",
    advice: { explicitBucketBoundaries: BUCKETS },
  });
}
