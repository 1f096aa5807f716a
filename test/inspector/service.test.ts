// What the inspector's service tells of a server, and whom it tells.
import { readFileSync } from "node:fs";
import { fromBinary } from "@bufbuild/protobuf";
import { durationFromMs, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { afterEach, describe, expect, it } from "vitest";
import {
  InspectService,
  MethodKind,
  SessionOrder,
  SubscriberState,
  type WatchResponse,
} from "../../gen/hawser/inspect/v1/inspect_hawser.js";
import { EchoService } from "../../gen/hawser/test/v1/echo_hawser.js";
import { TopicService } from "../../gen/hawser/test/v1/topics_pb.js";
import {
  type Client,
  Code,
  type Connection,
  type ConnectOptions,
  connect,
  createClient,
  RpcError,
} from "../../src/client/index.js";
import { type InspectorOptions, inspector } from "../../src/inspector/index.js";
import { createServer, type Server, type ServerOptions } from "../../src/server/index.js";
import { echoHandlers } from "../support/echo.js";
import { ShortNotes, topicRoutes } from "../support/topics.js";
import { until } from "../support/until.js";

const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const LOOPBACK: InspectorOptions = { allow: "loopback" };

/** A server with echoes and topics; the echo of "wait" waits until it is cancelled, that of "fail" fails. */
async function serve(look: InspectorOptions = LOOPBACK, more: Partial<ServerOptions> = {}) {
  const server: Server = createServer({
    logger: { warn: () => undefined, error: () => undefined },
    inspector: inspector(look),
    routes: (router) => {
      topicRoutes(router);
      router.service(EchoService, {
        ...echoHandlers(),
        async echo(request, { signal }) {
          if (request.name === "fail") throw new RpcError("as you wish", Code.NotFound);
          if (request.name === "wait")
            await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
          return { id: request.id, name: request.name, body: request.body };
        },
      });
    },
    ...more,
  });
  open.push(server);
  const { url } = await server.listen({ port: 0, host: "127.0.0.1" });
  const join = (options: ConnectOptions = {}): Connection => {
    const connection = connect(url.replace("localhost", "127.0.0.1"), options);
    open.push(connection);
    return connection;
  };
  return { server, url, join };
}

type Request = Parameters<Client<typeof InspectService>["watch"]>[0];

/** The first response to a request for which something holds. */
async function watchUntil(
  connection: Connection,
  request: Request,
  holds: (response: WatchResponse) => boolean = () => true,
): Promise<WatchResponse> {
  const client = createClient(InspectService, connection);
  for await (const response of client.watch({ interval: durationFromMs(250), ...request }))
    if (holds(response)) return response;
  throw new Error("the watch has ended");
}

describe("whom the inspector tells", () => {
  const authenticate: ServerOptions["authenticate"] = ({ credentials }) => ({ id: credentials });
  const node = (connection: Connection) => createClient(InspectService, connection).getNode({});

  it("nobody, when a server is not given one", async () => {
    const { join } = await serve(LOOPBACK, { inspector: undefined as never });
    await expect(node(join())).rejects.toMatchObject({ code: Code.Unimplemented });
  });

  it("those whom `allow` lets through, whichever method they call", async () => {
    const { join } = await serve({ allow: async ({ id }) => id === "ada" }, { authenticate });
    expect(await node(join({ credentials: "ada" }))).toMatchObject({ identity: "ada" });
    const bob = createClient(InspectService, join({ credentials: "bob" }));
    const denied = { code: Code.PermissionDenied, rawMessage: "bob may not look into this server" };
    await expect(bob.getNode({})).rejects.toMatchObject(denied);
    await expect(bob.getSchema({})).rejects.toMatchObject(denied);
    await expect(bob.getTopic({ name: "x" })).rejects.toMatchObject(denied);
    await expect(bob.watch({})[Symbol.asyncIterator]().next()).rejects.toMatchObject(denied);
  });

  it("nobody whose permission is not plainly true, or cannot be found out", async () => {
    const { join } = await serve({ allow: () => "yes" as never }, { authenticate });
    await expect(node(join({ credentials: "ada" }))).rejects.toMatchObject({ code: Code.PermissionDenied });
    const broken = await serve(
      {
        allow: () => {
          throw new Error("the database is away");
        },
      },
      { authenticate },
    );
    await expect(node(broken.join({ credentials: "ada" }))).rejects.toMatchObject({ code: Code.Internal });
  });

  it("whoever comes from this machine, with loopback; not through a proxy", async () => {
    const { join } = await serve();
    expect(await node(join())).toMatchObject({ identity: "" });
    const proxied = join({ headers: { "x-forwarded-for": "127.0.0.1" } });
    await expect(node(proxied)).rejects.toMatchObject({ code: Code.PermissionDenied });
  });

  it("and is not made where it would be open to everybody", () => {
    const routes = () => undefined;
    const make = (options: unknown) => () => inspector(options as InspectorOptions);
    expect(make({})).toThrow("needs allow");
    expect(make({ allow: true })).toThrow("needs allow");
    expect(make({ allow: "loopback", path: "inspect" })).toThrow("path must be an absolute path");
    // It would take every request of the server.
    for (const path of ["/", "//"]) expect(make({ allow: "loopback", path })).toThrow('path must not be "/"');
    expect(make({ allow: "loopback", path: "/inspect/" })).not.toThrow();
    expect(make({ allow: "loopback", calls: 0 })).toThrow("calls must be");
    expect(make({ allow: "loopback", to: 1 })).toThrow('no option "to"');
    expect(() => createServer({ routes, inspector: inspector({ allow: () => true }) })).toThrow(
      "authenticate",
    );
    expect(() => createServer({ routes, inspector: {} as never })).toThrow("what inspector()");
    const before = process.env["NODE_ENV"];
    process.env["NODE_ENV"] = "production";
    try {
      expect(make(LOOPBACK)).toThrow("for development");
    } finally {
      process.env["NODE_ENV"] = before;
    }
  });

  it("for one server only", async () => {
    const one = inspector(LOOPBACK);
    const options = { routes: () => undefined, inspector: one };
    open.push(createServer(options));
    expect(() => createServer(options)).toThrow("make one for each");
  });
});

describe("what the inspector tells", () => {
  it("the node, its services and their schema", async () => {
    const { join } = await serve();
    const client = createClient(InspectService, join());
    const node = await client.getNode({});
    expect(node.node).toMatch(/^[0-9a-f]{32}$/);
    expect(node.process).toBe(process.pid);
    expect(node.version).toBe(JSON.parse(readFileSync("package.json", "utf8")).version);
    const echo = node.services.find(({ name }) => name === EchoService.typeName);
    expect(echo?.methods).toMatchObject([
      { name: "Echo", kind: MethodKind.UNARY },
      { name: "Repeat", kind: MethodKind.SERVER_STREAMING },
      { name: "Collect", kind: MethodKind.CLIENT_STREAMING },
      { name: "Converse", kind: MethodKind.BIDI_STREAMING },
    ]);
    const limits = Object.fromEntries(node.limits.map(({ option, value }) => [option, value]));
    expect(limits).toMatchObject({ maxConnections: 20_000 });
    expect(limits["idleTimeoutMs"]).toBeUndefined();
    const { fileDescriptorSet } = await client.getSchema({});
    const names = fromBinary(FileDescriptorSetSchema, fileDescriptorSet).file.map(({ name }) => name);
    expect(names).toContain("hawser/test/v1/echo.proto");
    expect(names.indexOf("google/protobuf/timestamp.proto")).toBeLessThan(
      names.indexOf("hawser/inspect/v1/inspect.proto"),
    );
  });

  it("sessions, with what is in flight in them, traffic and resumes", async () => {
    const { server, join } = await serve(
      { allow: ({ id }) => id === "ada" },
      { authenticate: ({ credentials }) => ({ id: credentials }) },
    );
    const ada = join({ credentials: "ada" });
    const bob = join({ credentials: "bob", reconnect: { initialDelayMs: 1 } });
    const echo = createClient(EchoService, bob);
    const waiting = echo.echo({ name: "wait" });
    waiting.catch(() => undefined);
    await until(() => bob.callsInFlight === 1 && server.sessions.size === 2);
    const { sessions } = await watchUntil(
      ada,
      { sessions: { filter: "BOB" } },
      ({ sessions }) => sessions?.sessions[0]?.callsInFlight === 1,
    );
    expect(sessions).toMatchObject({ total: 2, matching: 1 });
    const [session] = sessions?.sessions ?? [];
    expect(session).toMatchObject({
      id: bob.sessionId,
      identity: "bob",
      address: "127.0.0.1",
      transport: "websocket",
      connected: true,
      resumes: 0,
      writersWait: false,
    });
    expect(session?.bytesIn).toBeGreaterThan(10);
    expect(session?.packetsIn).toBeGreaterThanOrEqual(2);
    expect(session?.outboxLimit).toBeGreaterThan(0);
    for (const one of server.sessions)
      if (one.id === bob.sessionId) (one as unknown as { rotate(reason: string): void }).rotate("test");
    const id = bob.sessionId;
    const after = await watchUntil(
      ada,
      { sessions: { id } },
      ({ sessions }) => sessions?.sessions[0]?.resumes === 1,
    );
    expect(after.sessions?.sessions[0]).toMatchObject({ id, connected: true, callsInFlight: 1 });
    expect(after.sessions?.sessions[0]?.bytesIn).toBeGreaterThan(session?.bytesIn ?? 0);
    const { events } = await watchUntil(ada, { events: { last: 100, session: id } });
    expect(events?.events.map(({ what }) => what)).toEqual(["opened", "detached", "resumed"]);
    expect(server.sessions.size).toBe(2);
  });

  it("as many sessions as were asked for, in the order that was asked for", async () => {
    const { join } = await serve(
      { allow: ({ id }) => id === "a" },
      { authenticate: ({ credentials }) => ({ id: credentials }) },
    );
    const names = ["a", "d", "b", "e", "c"];
    const connections = names.map((credentials) => join({ credentials }));
    for (const connection of connections) await connection.ready();
    const listed = async (request: Request["sessions"]) =>
      (await watchUntil(connections[0]!, { sessions: request ?? {} })).sessions?.sessions.map(
        ({ identity }) => identity,
      );
    const order = SessionOrder.IDENTITY;
    expect(await listed({ order, ascending: true })).toEqual(["a", "b", "c", "d", "e"]);
    expect(await listed({ order, limit: 2 })).toEqual(["e", "d"]);
    expect(await listed({ order, limit: 2, offset: 2 })).toEqual(["c", "b"]);
    expect(await listed({ order, offset: 5 })).toEqual([]);
    const { sessions } = await watchUntil(connections[0]!, { sessions: { limit: 1 } });
    expect(sessions).toMatchObject({ total: 5, matching: 5 });
  });

  it("calls in flight, ended ones with duration and code, and figures of methods", async () => {
    const { join } = await serve({ ...LOOPBACK, calls: 3 });
    const connection = join();
    const echo = createClient(EchoService, connection);
    const cancel = new AbortController();
    const waiting = echo.echo({ name: "wait" }, { signal: cancel.signal });
    waiting.catch(() => undefined);
    for (let i = 0; i < 4; i++) await echo.echo({ name: "fine" });
    await echo.echo({ name: "fail" }).catch(() => undefined);
    for await (const { number } of echo.repeat({ count: 2 })) void number;
    const { calls, methods } = await watchUntil(connection, { calls: {}, methods: {} });
    const name = (method: string) => `${EchoService.typeName}/${method}`;
    expect(calls).toMatchObject({ inFlightTotal: 1, inFlightMatching: 1, endedKept: 3, endedMatching: 3 });
    expect(calls?.inFlight).toMatchObject([
      { number: 1, method: name("Echo"), session: connection.sessionId },
    ]);
    expect(calls?.inFlight[0]?.durationMs).toBeGreaterThan(0);
    expect(calls?.ended).toMatchObject([
      { method: name("Repeat"), kind: MethodKind.SERVER_STREAMING, code: 0, sent: 2, received: 1 },
      { method: name("Echo"), code: Code.NotFound, message: "as you wish" },
      { method: name("Echo"), code: 0, sent: 1, received: 1 },
    ]);
    const figures = methods?.methods.find(({ method }) => method === name("Echo"));
    expect(figures).toMatchObject({
      started: 6,
      inFlight: 1,
      codes: [
        { code: 0, count: 4 },
        { code: 5, count: 1 },
      ],
    });
    expect(figures?.p99Ms).toBeLessThanOrEqual(figures?.maxMs ?? 0);
    const failed = await watchUntil(connection, { calls: { failedOnly: true } });
    expect(failed.calls?.ended.map(({ code }) => code)).toEqual([5]);
    const slowest = await watchUntil(connection, { calls: { slowest: true, limit: 2 } });
    const [first, second, ...rest] = slowest.calls?.ended ?? [];
    expect(rest).toEqual([]);
    expect(first!.durationMs).toBeGreaterThanOrEqual(second!.durationMs);
    expect((await watchUntil(connection, { calls: { filter: "collect" } })).calls).toMatchObject({
      endedMatching: 0,
      inFlightMatching: 0,
    });
    cancel.abort();
    const ended = await watchUntil(connection, { calls: {} }, ({ calls }) => calls?.inFlightTotal === 0);
    expect(ended.calls?.ended[0]).toMatchObject({ number: 1, code: Code.Canceled });
  });

  it("topics with subscribers, history, rates and the newest publications", async () => {
    const { server, join } = await serve();
    const connection = join();
    const reader = join();
    const stream = createClient(TopicService, reader).watch({ name: "short" });
    const got: unknown[] = [];
    const reading = (async () => {
      for await (const note of stream) got.push(note);
    })();
    reading.catch(() => undefined);
    const seen = await watchUntil(
      connection,
      { topics: {} },
      ({ topics }) => topics?.topics[0]?.subscribers === 1,
    );
    expect(seen.topics).toMatchObject({ total: 1, matching: 1, lookedAt: 1 });
    for (let number = 1; number <= 3; number++) await server.publish(ShortNotes("short"), { number });
    await until(() => got.length === 3);
    const [topic] =
      (await watchUntil(connection, { topics: { session: reader.sessionId } })).topics?.topics ?? [];
    expect(topic).toMatchObject({ subscribers: 1, behind: 0, received: 3, offset: 3, kept: 3, stale: false });
    expect(topic?.historySize).toBeGreaterThan(0);
    expect(topic?.receivedBytes).toBeGreaterThan(0);
    expect((await watchUntil(connection, { topics: { filter: "nothing" } })).topics?.topics).toEqual([]);
    const client = createClient(InspectService, connection);
    const details = await client.getTopic({ name: topic!.name, publications: 2 });
    expect(details.publications.map(({ offset }) => offset)).toEqual([3, 2]);
    expect(fromBinary(ShortNotes("short").schema, details.publications[0]!.payload)).toMatchObject({
      number: 3,
    });
    expect(details.type).toBe(ShortNotes("short").schema.typeName);
    expect(details.subscribers).toMatchObject([
      { session: reader.sessionId, state: SubscriberState.LIVE, sent: 3, behind: 0 },
    ]);
    await expect(client.getTopic({ name: "none" })).rejects.toMatchObject({ code: Code.NotFound });
  });

  it("of large publications those that fit into 1 MiB, the newest first, and of each how large it is", async () => {
    const { join } = await serve();
    const reader = join();
    const topics = createClient(TopicService, reader);
    const seen: number[] = [];
    (async () => {
      for await (const { number } of topics.watch({ name: "large" })) seen.push(number);
    })().catch(() => undefined);
    const client = createClient(InspectService, join());
    await watchUntil(reader, { topics: {} }, ({ topics }) => topics?.topics[0]?.subscribers === 1);
    const key = "x".repeat(60_000);
    for (let number = 1; number <= 30; number++) await topics.post({ name: "large", note: { number, key } });
    await topics.post({ name: "large", note: { number: 31, key: "x".repeat(70_000) } });
    await until(() => seen.length === 31);
    const { publications } = await client.getTopic({ name: "notes.large", publications: 100 });
    expect(publications.map(({ offset }) => offset)).toEqual(Array.from({ length: 31 }, (_, i) => 31 - i));
    const [largest, ...others] = publications;
    expect([largest?.payload.length, largest!.payloadBytes > 70_000]).toEqual([0, true]);
    const size = others[0]!.payloadBytes;
    const fit = Math.floor(2 ** 20 / size);
    expect(fit).toBeLessThan(30);
    expect(others.map(({ payload }) => payload.length)).toEqual([
      ...Array(fit).fill(size),
      ...Array(30 - fit).fill(0),
    ]);
    expect(others.every(({ payloadBytes }) => Math.abs(payloadBytes - size) < 3)).toBe(true);
  });

  it("a sample for each second, with what went on in it, and those before", async () => {
    const { join } = await serve({ ...LOOPBACK, samples: 2 });
    const connection = join();
    const echo = createClient(EchoService, connection);
    await echo.echo({ name: "fine" });
    await echo.echo({ name: "fail" }).catch(() => undefined);
    const first = await watchUntil(connection, { samples: {} }, ({ samples }) => samples.length > 0);
    expect(first.samples[0]).toMatchObject({ sessions: 1, detached: 0, links: 1, callsInFlight: 0 });
    const all = await watchUntil(connection, { samples: { last: 900 } });
    const sum = (name: "callsStarted" | "callsRefused" | "callsFailed" | "sessionsOpened") =>
      all.samples.reduce((total, sample) => total + sample[name], 0);
    expect([sum("callsStarted"), sum("callsRefused"), sum("callsFailed"), sum("sessionsOpened")]).toEqual([
      2, 1, 0, 1,
    ]);
    for (const { spanMs, memoryBytes, bytesIn, p50Ms, p99Ms } of all.samples.slice(0, 1)) {
      expect(spanMs).toBeGreaterThan(0);
      expect(memoryBytes).toBeGreaterThan(1_000_000);
      expect(bytesIn).toBeGreaterThan(0);
      expect(p99Ms).toBeGreaterThanOrEqual(p50Ms);
    }
    // However long it goes on, two are kept.
    const third = await watchUntil(connection, { samples: {} }, ({ samples }) => samples.length > 0);
    await watchUntil(connection, { samples: {} }, ({ samples }) => samples.length > 0);
    const later = await watchUntil(connection, { samples: { last: 900 } });
    expect(later.samples).toHaveLength(2);
    expect(Number(later.samples[0]?.at?.seconds)).toBeGreaterThanOrEqual(
      Number(third.samples[0]?.at?.seconds),
    );
  });

  it("connections that were turned away", async () => {
    const { url, join } = await serve();
    const port = new URL(url).port;
    const socket = new WebSocket(`ws://127.0.0.1:${port}/rpc`, {
      protocols: "hawser.v1",
      headers: { origin: "https://evil.example" },
    } as never);
    await new Promise((resolve) => socket.addEventListener("close", resolve));
    const { events } = await watchUntil(join(), { events: { last: 100 } });
    expect(events?.events[0]).toMatchObject({ what: "refused", address: "127.0.0.1" });
    expect(events?.events[0]?.reason).toContain("403");
  });

  it("as often as it was asked to, and then no more", async () => {
    const { join } = await serve();
    const client = createClient(InspectService, join());
    const responses: WatchResponse[] = [];
    for await (const response of client.watch({ interval: durationFromMs(1), count: 2 }))
      responses.push(response);
    expect(responses).toHaveLength(2);
    expect(responses[0]?.sessions).toBeUndefined();
  });
});
