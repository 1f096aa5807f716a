// Sessions without a link are bounded by count, bytes and age; every one that has to go is an event.
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { type Connection, connect, createClient } from "../../src/client/index.js";
import { createServer, type Server, type ServerEvents, type ServerOptions } from "../../src/server/index.js";
import { createFaultProxy, type FaultProxy } from "../../src/testing/index.js";
import { until } from "../support/until.js";

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Noted {
  readonly name: keyof ServerEvents;
  readonly id: string;
  readonly event: ServerEvents[keyof ServerEvents];
}

async function setUp(options: Partial<ServerOptions>) {
  const server: Server = createServer({
    routes: (router) =>
      router.service(EchoService, {
        async *repeat({ body, count }) {
          for (let number = 1; number <= count; number++) yield { number, body };
        },
      }),
    ...options,
  });
  closers.push(() => server.close());
  const noted: Noted[] = [];
  for (const name of ["opened", "detached", "resumed", "evicted", "ended"] as const) {
    server.on(name, (event) => noted.push({ name, id: event.session.id, event }));
  }
  const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
  /** A client that does not come back for a long time once its link is cut. */
  const client = async (): Promise<{ connection: Connection; link: FaultProxy; id: string }> => {
    const link = await createFaultProxy({ target: { port } });
    const connection = connect(link.url, { reconnect: { initialDelayMs: 3_600_000, maxDelayMs: 3_600_000 } });
    closers.push(
      () => link.close(),
      () => connection.close(),
    );
    await connection.ready();
    return { connection, link, id: connection.sessionId };
  };
  const names = (id: string) => noted.filter((event) => event.id === id).map(({ name }) => name);
  return { server, noted, client, names };
}

describe("sessions without a link", () => {
  it("go beyond maxDetachedSessions, the oldest first", async () => {
    const { client, noted, names, server } = await setUp({ maxDetachedSessions: 2 });
    const ids: string[] = [];
    for (let i = 0; i < 4; i++) {
      const { link, id } = await client();
      ids.push(id);
      link.cut("reset");
      await until(() => names(id).includes("detached"));
    }
    await until(() => server.sessions.size === 2);
    expect(ids.map(names)).toEqual([
      ["opened", "detached", "evicted", "ended"],
      ["opened", "detached", "evicted", "ended"],
      ["opened", "detached"],
      ["opened", "detached"],
    ]);
    expect(noted.find(({ name }) => name === "evicted")?.event).toMatchObject({
      limit: "maxDetachedSessions",
    });
    expect(noted.find(({ name }) => name === "ended")?.event).toMatchObject({ by: "eviction" });
  });

  it("go beyond maxDetachedBytes, by what they keep", async () => {
    const { client, noted, names, server } = await setUp({ maxDetachedBytes: 100_000 });
    const idle = await client();
    idle.link.cut("reset");
    await until(() => names(idle.id).includes("detached"));
    // A stream whose messages are not acknowledged: what the server keeps of it is too much.
    const busy = await client();
    const stream = createClient(EchoService, busy.connection).repeat({
      body: new Uint8Array(50_000),
      count: 100,
    });
    const reading = (async () => {
      for await (const _ of stream) busy.link.stall("up");
    })();
    reading.catch(() => undefined);
    const session = [...server.sessions].find(({ id }) => id === busy.id);
    await until(() => (session?.bufferedBytes ?? 0) > 100_000);
    expect(noted.filter(({ name }) => name === "evicted")).toEqual([]);
    busy.link.cut("reset");
    await until(() => names(busy.id).includes("ended"));
    const evicted = noted.filter(({ name }) => name === "evicted").map(({ id, event }) => [id, event]);
    expect(evicted).toEqual([
      [idle.id, expect.objectContaining({ limit: "maxDetachedBytes" })],
      [busy.id, expect.objectContaining({ limit: "maxDetachedBytes" })],
    ]);
    const last = evicted[1]?.[1] as ServerEvents["evicted"] | undefined;
    expect(last?.bytes).toBeGreaterThan(100_000);
  });

  it("go after graceMs", async () => {
    const { client, noted, names } = await setUp({ graceMs: 50 });
    const { link, id } = await client();
    link.cut("reset");
    await until(() => names(id).includes("ended"));
    expect(names(id)).toEqual(["opened", "detached", "evicted", "ended"]);
    const { event } = noted.find(({ name }) => name === "evicted") as Noted;
    expect(event).toMatchObject({ limit: "graceMs" });
    expect((event as ServerEvents["evicted"]).detachedMs).toBeGreaterThanOrEqual(50);
    expect((event as ServerEvents["evicted"]).bytes).toBeGreaterThan(0);
  });
});

describe("the events of a session", () => {
  it("tell that it went on over another link", async () => {
    const { server, noted, names } = await setUp({});
    const { port } = await new Promise<{ port: number }>((resolve) => {
      const http = createHttpServer();
      server.attach(http);
      http.listen(0, "127.0.0.1", () => resolve(http.address() as AddressInfo));
      closers.push(() => http.close());
    });
    const link = await createFaultProxy({ target: { port } });
    const connection = connect(link.url, { reconnect: { initialDelayMs: 10 } });
    closers.push(
      () => link.close(),
      () => connection.close(),
    );
    await connection.ready();
    const id = connection.sessionId;
    link.cut("reset");
    await until(() => names(id).includes("resumed"));
    expect(names(id)).toEqual(["opened", "detached", "resumed"]);
    expect(noted.find(({ name }) => name === "detached")?.event).toMatchObject({ code: 1006 });
    const resumed = noted.find(({ name }) => name === "resumed")?.event as
      | ServerEvents["resumed"]
      | undefined;
    expect(resumed?.downMs).toBeGreaterThan(0);
  });

  it("reach listeners until they are removed, and say who ended it", async () => {
    const { server, client, names, noted } = await setUp({});
    const seen: string[] = [];
    const off = server.on("opened", ({ session }) => seen.push(session.id));
    const one = await client();
    off();
    const two = await client();
    expect(seen).toEqual([one.id]);
    await one.connection.close();
    await until(() => names(one.id).includes("ended"));
    expect(names(one.id)).toEqual(["opened", "ended"]);
    [...server.sessions].find(({ id }) => id === two.id)?.close();
    await until(() => names(two.id).includes("ended"));
    const by = (id: string) =>
      noted
        .filter((event) => event.id === id && event.name === "ended")
        .map(({ event }) => (event as ServerEvents["ended"]).by);
    expect([by(one.id), by(two.id)]).toEqual([["client"], ["server"]]);
  });
});
