// Prometheus, OpenTelemetry and pino, over real sockets.
import { readFileSync } from "node:fs";
import { context, propagation, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import * as sdk from "@opentelemetry/sdk-trace";
import pino from "pino";
import { Counter, Registry } from "prom-client";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import {
  Code,
  type ConnectOptions,
  connect,
  createClient,
  type LinkInfo,
  type Observer,
  RpcError,
} from "../../src/client/index.js";
import { otelObserver } from "../../src/otel/index.js";
import { pinoObserver } from "../../src/pino/index.js";
import { prometheusObserver } from "../../src/prometheus/index.js";
import { createServer, type ServerOptions } from "../../src/server/index.js";
import { createFaultProxy } from "../../src/testing/index.js";
import { echoHandlers } from "../support/echo.js";
import { rawConnect } from "../support/raw.js";
import { until } from "../support/until.js";

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(observer: Observer, options: Partial<ServerOptions> = {}) {
  const server = createServer({
    routes: (router) =>
      router.service(EchoService, {
        ...echoHandlers(),
        echo: ({ name }) => {
          if (name === "none") throw new RpcError("there is none", Code.NotFound);
          if (name === "fault") throw new Error("secret");
          return { name };
        },
      }),
    observer,
    logger: { warn: () => undefined, error: () => undefined },
    ...options,
  });
  closers.push(() => server.close());
  const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
  const proxy = await createFaultProxy({ target: { port } });
  closers.push(() => proxy.close());
  const open = async (more: ConnectOptions = {}) => {
    const connection = connect(`${proxy.url}?access_token=hidden`, {
      reconnect: { initialDelayMs: 1 },
      ...more,
    });
    closers.push(() => connection.close());
    await connection.ready();
    return connection;
  };
  return { server, port, proxy, open };
}

describe("Prometheus", () => {
  it("shows the longest round-trip time of all links that are open, whoever observes them, and none of those that are gone", async () => {
    const registry = new Registry();
    const [one, other] = [prometheusObserver({ registry }), prometheusObserver({ registry })];
    const traffic = { bytesIn: 0, bytesOut: 0, packetsIn: 0, packetsOut: 0 };
    const link = (rtt: number): LinkInfo => ({
      side: "server",
      kind: "websocket",
      address: undefined,
      local: true,
      transport: "websocket",
      traffic,
      sessionId: undefined,
      identity: undefined,
      rtt,
    });
    const [slow, fast] = [link(200), link(10)];
    const shown = async () =>
      (await registry.metrics()).split("\n").filter((line) => line.startsWith("hawser_rtt_seconds_max{"));
    one.linkOpened?.(slow);
    other.linkOpened?.(fast);
    expect(await shown()).toEqual(['hawser_rtt_seconds_max{side="server"} 0.2']);
    const end = { code: 1_000, reason: "", durationMs: 1 };
    one.linkClosed?.(slow, end);
    expect(await shown()).toEqual(['hawser_rtt_seconds_max{side="server"} 0.01']);
    other.linkClosed?.(fast, end);
    expect(await shown()).toEqual([]);
  });

  it("counts links, sessions, calls, bytes and limits of both sides in one registry", async () => {
    const registry = new Registry();
    const observer = () => prometheusObserver({ registry });
    const { proxy, port, open } = await serve(observer(), {
      maxConnectionsPerAddress: 3,
      pingIntervalMs: 20,
    });
    const connection = await open({ observer: observer() });
    const client = createClient(EchoService, connection);
    await client.echo({ name: "fine" });
    await client.echo({ name: "none" }).catch(() => undefined);
    for await (const _ of client.repeat({ count: 3 }));
    const resumed = new Promise((resolve) => connection.on("resumed", resolve));
    proxy.cut("reset");
    await resumed;
    const held = [
      await rawConnect(`ws://127.0.0.1:${port}/rpc`),
      await rawConnect(`ws://127.0.0.1:${port}/rpc`),
    ];
    await expect(rawConnect(`ws://127.0.0.1:${port}/rpc`)).rejects.toThrow("429");
    await until(() => connection.rtt !== undefined);
    const text = await registry.metrics();
    const line = (start: string) => text.split("\n").filter((one) => one.startsWith(start));
    const echo = 'service="hawser.test.v1.EchoService",method="Echo"';
    expect(line("hawser_calls_started_total").sort()).toEqual([
      `hawser_calls_started_total{side="caller",${echo}} 2`,
      `hawser_calls_started_total{side="caller",service="hawser.test.v1.EchoService",method="Repeat"} 1`,
      `hawser_calls_started_total{side="handler",${echo}} 2`,
      `hawser_calls_started_total{side="handler",service="hawser.test.v1.EchoService",method="Repeat"} 1`,
    ]);
    expect(text).toContain(`hawser_call_duration_seconds_count{side="handler",${echo},code="NOT_FOUND"} 1`);
    expect(text).toContain(`hawser_call_duration_seconds_count{side="caller",${echo},code="OK"} 1`);
    expect(text).toContain(
      'hawser_messages_total{side="handler",service="hawser.test.v1.EchoService",method="Repeat",direction="out"} 3',
    );
    expect(line("hawser_links{").sort()).toEqual(
      ['hawser_links{side="client"} 1', 'hawser_links{side="server"} 3'].sort(),
    );
    expect(line("hawser_links_closed_total").sort()).toEqual([
      'hawser_links_closed_total{side="client",code="1006"} 1',
      'hawser_links_closed_total{side="server",code="1006"} 1',
    ]);
    expect(line("hawser_sessions{").sort()).toEqual([
      'hawser_sessions{state="attached"} 1',
      'hawser_sessions{state="detached"} 0',
    ]);
    expect(line("hawser_session_events_total").sort()).toEqual([
      'hawser_session_events_total{event="detached"} 1',
      'hawser_session_events_total{event="opened"} 1',
      'hawser_session_events_total{event="resumed"} 1',
    ]);
    expect(text).toContain('hawser_limits_total{limit="maxConnectionsPerAddress"} 1');
    expect(text).toContain('hawser_refused_total{status="429"} 1');
    expect(text).toMatch(/hawser_rtt_seconds_max\{side="client"\} \d/);
    const bytes = (of: string) => Number(of.split(" ")[1]);
    const [clientIn, clientOut, serverIn, serverOut] = line("hawser_bytes_total{").sort().map(bytes);
    expect(Math.min(clientIn ?? 0, clientOut ?? 0, serverIn ?? 0, serverOut ?? 0)).toBeGreaterThan(50);
    // Read again: what goes over open links is counted once.
    const again = (await registry.metrics())
      .split("\n")
      .filter((one) => one.startsWith("hawser_bytes_total{"));
    expect(again.map(bytes).reduce((a, b) => a + b)).toBeLessThan(
      2 *
        line("hawser_bytes_total{")
          .map(bytes)
          .reduce((a, b) => a + b),
    );
    expect(text).not.toContain("hidden");
    expect(text).not.toContain("127.0.0.1");
    for (const raw of held) raw.ws.terminate();
  });

  it("says so when a name is taken by a metric of another kind", () => {
    const registry = new Registry();
    prometheusObserver({ registry, prefix: "a" });
    expect(() => prometheusObserver({ registry, prefix: "a" })).not.toThrow();
    registry.removeSingleMetric("a_links");
    new Counter({ name: "a_links", help: "-", registers: [registry] });
    expect(() => prometheusObserver({ registry, prefix: "a" })).toThrow(
      "give prometheusObserver() another prefix",
    );
  });

  it("has the metrics that the docs list", async () => {
    const registry = new Registry();
    prometheusObserver({ registry });
    const page = readFileSync("docs/observability.md", "utf8");
    const listed = [...page.matchAll(/^\| `(hawser_\w+)` \|/gm)].map(([, name]) => name);
    expect(listed.sort()).toEqual(
      registry
        .getMetricsAsArray()
        .map(({ name }) => name)
        .sort(),
    );
  });
});

describe("OpenTelemetry", () => {
  const exporter = new sdk.InMemorySpanExporter();
  const provider = new sdk.TracerProvider({ spanProcessors: [new sdk.SimpleSpanProcessor({ exporter })] });

  beforeAll(() => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  });

  it("carries spans over the wire, into handlers, streams, and the calls that they make", async () => {
    exporter.reset();
    const tracer = provider.getTracer("test");
    const observer = otelObserver({ tracerProvider: provider });
    const inside = async (name: string) => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      tracer.startSpan(name).end();
    };
    const { open } = await serve(observer, {
      routes: (router) =>
        router.service(EchoService, {
          ...echoHandlers(),
          echo: async ({ name }) => {
            await inside(`in ${name}`);
            if (name === "none") throw new RpcError("none", Code.NotFound);
            if (name === "fault") throw new Error("secret");
            return { name };
          },
          async *repeat({ count }) {
            for (let number = 1; number <= count; number++) {
              await inside(`in message ${number}`);
              yield { number };
            }
          },
        }),
    });
    const client = createClient(
      EchoService,
      await open({ observer: otelObserver({ tracerProvider: provider }) }),
    );
    const root = tracer.startSpan("root");
    await context.with(trace.setSpan(context.active(), root), async () => {
      await client.echo({ name: "fine" });
      await client.echo({ name: "none" }).catch(() => undefined);
      await client.echo({ name: "fault" }).catch(() => undefined);
      for await (const _ of client.repeat({ count: 2 }));
    });
    root.end();
    const spans = exporter.getFinishedSpans();
    const trees = spans
      .filter(({ name }) => name.startsWith("in "))
      .map((span) => {
        const path: string[] = [];
        for (let at: (typeof spans)[number] | undefined = span; at !== undefined; ) {
          path.push(`${["internal", "server", "client"][at.kind]} ${at.name.split("/").at(-1)}`);
          const parent: string | undefined = at.parentSpanContext?.spanId;
          at = spans.find((one) => one.spanContext().spanId === parent);
        }
        return path.join(" < ");
      });
    const within = (kind: string) => `server ${kind} < client ${kind} < internal root`;
    expect(trees.sort()).toEqual(
      [
        `internal in fault < ${within("Echo")}`,
        `internal in fine < ${within("Echo")}`,
        `internal in message 1 < ${within("Repeat")}`,
        `internal in message 2 < ${within("Repeat")}`,
        `internal in none < ${within("Echo")}`,
      ].sort(),
    );
    const calls = spans.filter(({ name }) => name.includes("/"));
    expect(
      calls.map(({ kind, status, attributes }) => [
        kind,
        attributes["rpc.status_code"],
        status.code,
        attributes["error.type"],
      ]),
    ).toEqual(
      expect.arrayContaining([
        [1, "OK", 0, undefined],
        [2, "OK", 0, undefined],
        // Not found is an answer of the server, and an error to its caller.
        [1, "NOT_FOUND", 0, undefined],
        [2, "NOT_FOUND", 2, "NOT_FOUND"],
        [1, "INTERNAL", 2, "INTERNAL"],
        [2, "INTERNAL", 2, "INTERNAL"],
      ]),
    );
    expect(calls[0]?.attributes).toMatchObject({
      "rpc.system.name": "hawser",
      "rpc.method": "hawser.test.v1.EchoService/Echo",
    });
    expect(JSON.stringify(calls.map(({ status, attributes }) => [status, attributes]))).not.toContain(
      "secret",
    );
  });

  it("measures calls under the conventions' names", async () => {
    const metricExporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({
      exporter: metricExporter,
      exportIntervalMillis: 3_600_000,
    });
    const meterProvider = new MeterProvider({ readers: [reader] });
    const observer = otelObserver({ tracerProvider: provider, meterProvider });
    const { open } = await serve(observer);
    const connection = await open({ observer });
    await createClient(EchoService, connection).echo({ name: "fine" });
    await connection.close();
    await reader.forceFlush();
    const names = metricExporter
      .getMetrics()
      .flatMap(({ scopeMetrics }) => scopeMetrics)
      .flatMap(({ metrics }) => metrics)
      .map(({ descriptor }) => `${descriptor.name} ${descriptor.unit}`);
    expect(names).toEqual(
      expect.arrayContaining([
        "rpc.client.call.duration s",
        "rpc.server.call.duration s",
        "hawser.links {link}",
        "hawser.io By",
      ]),
    );
    await meterProvider.shutdown();
  });
});

describe("pino", () => {
  it("writes a line for each link, warnings for what was turned away, and no secret", async () => {
    const lines: Record<string, unknown>[] = [];
    const logger = pino({ level: "debug" }, { write: (line: string) => void lines.push(JSON.parse(line)) });
    const { open, proxy, port } = await serve(pinoObserver(logger), {
      authenticate: ({ credentials }) => {
        if (credentials !== "token-of-ada") throw new RpcError("who are you", Code.Unauthenticated);
        return { id: "ada" };
      },
      maxConnectionsPerAddress: 2,
    });
    const connection = await open({ credentials: "token-of-ada", observer: pinoObserver(logger) });
    const client = createClient(EchoService, connection);
    await client.echo({ name: "the message" });
    await client.echo({ name: "none" }).catch(() => undefined);
    await client.echo({ name: "fault" }).catch(() => undefined);
    const resumed = new Promise((resolve) => connection.on("resumed", resolve));
    proxy.cut("reset");
    await resumed;
    await connect(proxy.url, { credentials: "wrong" })
      .ready()
      .catch(() => undefined);
    const held = await rawConnect(`ws://127.0.0.1:${port}/rpc`);
    for (let i = 0; i < 20; i++) await rawConnect(`ws://127.0.0.1:${port}/rpc`).catch(() => undefined);
    held.ws.terminate();
    await connection.close();
    await until(
      () => lines.filter(({ msg, side }) => msg === "link closed" && side === "server").length >= 4,
    );
    const of = (message: string) => lines.filter(({ msg }) => msg === message);
    const served = of("link closed").filter(({ side, identity }) => side === "server" && identity === "ada");
    expect(served).toHaveLength(2);
    expect(served[0]).toMatchObject({ level: 30, address: "127.0.0.1", code: 1006, resumes: 0 });
    expect(served[1]).toMatchObject({
      code: 1000,
      resumes: 1,
      sessionId: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    expect(served[0]?.["bytesIn"]).toBeGreaterThan(0);
    expect(served[0]?.["durationMs"]).toBeGreaterThanOrEqual(0);
    expect(of("connection refused")[0]).toMatchObject({ level: 40, status: 4401, reason: "who are you" });
    expect(of("limit met")).toHaveLength(1);
    expect(of("call failed")).toMatchObject([
      { level: 50, code: "INTERNAL", identity: "ada", error: "internal error" },
    ]);
    const all = JSON.stringify(lines);
    for (const secret of ["hidden", "token-of-ada", "the message", "secret"])
      expect(all).not.toContain(secret);
  });

  it("counts the resumes of a session that the server ends, too", async () => {
    const lines: Record<string, unknown>[] = [];
    const logger = pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line)) });
    const { open, proxy, server } = await serve(pinoObserver(logger));
    const connection = await open();
    for (let round = 0; round < 2; round++) {
      const resumed = new Promise((resolve) => connection.on("resumed", resolve));
      proxy.cut("reset");
      await resumed;
    }
    await server.close();
    const closed = lines.filter(({ msg }) => msg === "link closed");
    expect(closed.map(({ resumes }) => resumes)).toEqual([0, 1, 2]);
  });
});
