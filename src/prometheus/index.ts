import { Counter, Gauge, Histogram, type Metric, type Registry, register } from "prom-client";
import { codeName } from "../base/code.js";
import type { LinkInfo, Observer } from "../base/observer.js";

/** What {@link prometheusObserver} takes. */
export interface PrometheusOptions {
  /** Where the metrics are kept. Default: `register`, prom-client's own. */
  readonly registry?: Registry;
  /** Begins the name of each metric. Default `hawser`. */
  readonly prefix?: string;
  /** Upper bounds of the buckets of call durations, in seconds. Default: 1 ms to 60 s. */
  readonly buckets?: readonly number[];
}

const CALL_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const LINK_BUCKETS = [1, 10, 60, 300, 1_800, 7_200, 43_200, 86_400];
const DOWN_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const TOPIC_EVENTS = ["published", "received", "delivered", "recovered", "fellBehind", "gaps"] as const;
const CALL = ["side", "service", "method"] as const;

/**
 * An observer that keeps metrics for Prometheus, in `prom-client`. Labels have few values: services, methods, statuses, close
 * codes and names of limits, but never sessions, identities or addresses.
 *
 * Several observers may share a registry, such as those of a server and of the clients in one process: they count together.
 *
 * @throws Error when a metric of another kind has one of the names already.
 */
export function prometheusObserver(options: PrometheusOptions = {}): Observer {
  const { registry = register, prefix = "hawser", buckets = CALL_BUCKETS } = options;
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    once(
      registry,
      Counter,
      `${prefix}_${name}`,
      (full) => new Counter({ name: full, help, labelNames, registers: [registry] }),
    );
  const gauge = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    once(
      registry,
      Gauge,
      `${prefix}_${name}`,
      (full) => new Gauge({ name: full, help, labelNames, registers: [registry] }),
    );
  const histogram = <Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    bounds: readonly number[],
  ) =>
    once(
      registry,
      Histogram,
      `${prefix}_${name}`,
      (full) => new Histogram({ name: full, help, labelNames, buckets: [...bounds], registers: [registry] }),
    );

  // Read before the other one: both are brought up to date then.
  const topicEvents = counter("topic_events_total", "What topics did, by event", ["event"]);
  const topicSubscribers = gauge("topic_subscribers", "Calls that are attached to a topic", []);
  const links = gauge("links", "Links that are open", ["side"]);
  const linksClosed = counter("links_closed_total", "Links that have ended, by close code", ["side", "code"]);
  const linkSeconds = histogram("link_duration_seconds", "How long links stood", ["side"], LINK_BUCKETS);
  const refused = counter("refused_total", "Connections turned away, by HTTP status or close code", [
    "status",
  ]);
  const bytes = counter("bytes_total", "Bytes of packets, before compression", ["side", "direction"]);
  const packets = counter("packets_total", "Packets", ["side", "direction"]);
  const rtt = gauge("rtt_seconds_max", "Longest of the last round-trip times of all links that are open", [
    "side",
  ]);
  const sessions = gauge("sessions", "Sessions, by whether they have a link", ["state"]);
  const sessionEvents = counter("session_events_total", "What happened to sessions", ["event"]);
  const down = histogram("session_down_seconds", "How long resumed sessions had no link", [], DOWN_BUCKETS);
  const started = counter("calls_started_total", "Calls begun", CALL);
  const running = gauge("calls_in_flight", "Calls without an outcome", CALL);
  const callSeconds = histogram("call_duration_seconds", "Calls, by status", [...CALL, "code"], buckets);
  const messages = counter("messages_total", "Messages of calls that have ended", [...CALL, "direction"]);
  const retries = counter("retries_total", "Attempts that failed and were followed by another", [
    "service",
    "method",
    "code",
  ]);
  const limits = counter("limits_total", "Limits met, by option", ["limit"]);

  const open = new Set<LinkInfo>();
  const counted = new WeakMap<LinkInfo, LinkInfo["traffic"]>();
  /** Adds what has gone over a link since it was looked at last. */
  const count = (link: LinkInfo) => {
    const { side, traffic } = link;
    const last = counted.get(link);
    counted.set(link, { ...traffic });
    bytes.inc({ side, direction: "in" }, traffic.bytesIn - (last?.bytesIn ?? 0));
    bytes.inc({ side, direction: "out" }, traffic.bytesOut - (last?.bytesOut ?? 0));
    packets.inc({ side, direction: "in" }, traffic.packetsIn - (last?.packetsIn ?? 0));
    packets.inc({ side, direction: "out" }, traffic.packetsOut - (last?.packetsOut ?? 0));
  };
  onCollect(bytes, () => {
    for (const link of open) count(link);
  });
  const known = linksOf.get(rtt);
  const all = known ?? new Set();
  all.add(open);
  linksOf.set(rtt, all);
  if (known === undefined)
    onCollect(rtt, () => {
      for (const side of ["client", "server"] as const) {
        let longest = -1;
        for (const links of all)
          for (const link of links) if (link.side === side) longest = Math.max(longest, link.rtt ?? -1);
        if (longest >= 0) rtt.set({ side }, longest / 1_000);
        // What was is not what is.
        else rtt.remove({ side });
      }
    });

  return {
    linkOpened(link) {
      open.add(link);
      links.inc({ side: link.side });
    },
    linkClosed(link, { code, durationMs }) {
      open.delete(link);
      count(link);
      links.dec({ side: link.side });
      linksClosed.inc({ side: link.side, code });
      linkSeconds.observe({ side: link.side }, durationMs / 1_000);
    },
    refused: ({ status }) => refused.inc({ status }),
    session({ what, downMs, hadLink }) {
      sessionEvents.inc({ event: what });
      if (what === "opened") sessions.inc({ state: "attached" });
      else if (what === "detached") {
        sessions.dec({ state: "attached" });
        sessions.inc({ state: "detached" });
      } else if (what === "resumed") {
        if (hadLink !== true) {
          sessions.dec({ state: "detached" });
          sessions.inc({ state: "attached" });
        }
        down.observe((downMs ?? 0) / 1_000);
      } else if (what === "ended") sessions.dec({ state: hadLink === true ? "attached" : "detached" });
    },
    callStarted({ side, method }) {
      const labels = { side, service: method.parent.typeName, method: method.name };
      started.inc(labels);
      running.inc(labels);
      return {
        ended({ code, durationMs, sent, received }) {
          running.dec(labels);
          callSeconds.observe({ ...labels, code: code === 0 ? "OK" : codeName(code) }, durationMs / 1_000);
          if (sent > 0) messages.inc({ ...labels, direction: "out" }, sent);
          if (received > 0) messages.inc({ ...labels, direction: "in" }, received);
        },
      };
    },
    callRetried(name, code) {
      const [service = "", method = ""] = name.split("/");
      retries.inc({ service, method, code: codeName(code) });
    },
    limited: ({ limit }) => limits.inc({ limit }),
    topics(figures) {
      let before = { ...figures };
      onCollect(topicEvents, () => {
        for (const event of TOPIC_EVENTS) topicEvents.inc({ event }, figures[event] - before[event]);
        topicSubscribers.inc(figures.subscribers - before.subscribers);
        before = { ...figures };
      });
    },
  };
}

/** The metric of this name, made now or before. */
function once<M extends Metric>(
  registry: Registry,
  // biome-ignore lint/suspicious/noExplicitAny: only for instanceof; labels differ from metric to metric.
  kind: new (...values: any[]) => Metric<any>,
  name: string,
  make: (name: string) => M,
): M {
  const known: unknown = registry.getSingleMetric(name);
  if (known === undefined) return make(name);
  if (known instanceof kind) return known as unknown as M;
  throw new Error(
    `the metric ${name} is there already and is of another kind; give prometheusObserver() another prefix`,
  );
}

/** By the metric of their longest round-trip time: links that are open, of each observer. */
const linksOf = new WeakMap<object, Set<ReadonlySet<LinkInfo>>>();

const collectors = new WeakMap<object, (() => void)[]>();

/** Calls a function before a metric is read, beside those of other observers. */
function onCollect(metric: object, collect: () => void): void {
  const list = collectors.get(metric) ?? [];
  list.push(collect);
  collectors.set(metric, list);
  if (list.length > 1) return;
  (metric as { collect?: () => void }).collect = () => {
    for (const one of list) one();
  };
}
