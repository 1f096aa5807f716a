// A WebSocket that carries several links, byte by byte: what a server lets in, and what it does not.
import { connect as connectTcp } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { Code, createServer, RpcError, type ServerOptions } from "../../src/server/index.js";
import { decodePacket } from "../../src/wire/decode.js";
import type { Frame } from "../../src/wire/frame.js";
import { carryBytes, carryClose, readCarried } from "../../src/wire/trunk.js";
import { echoRoutes } from "../support/echo.js";
import { frames, packet } from "../support/frames.js";
import { rawConnect } from "../support/raw.js";
import { until } from "../support/until.js";

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(options: Partial<ServerOptions> = {}) {
  const limited: string[] = [];
  const server = createServer({
    routes: echoRoutes(),
    observer: { limited: ({ limit }) => limited.push(limit) },
    ...options,
  });
  closers.push(() => server.close());
  const { url, port } = await server.listen({ port: 0, host: "127.0.0.1" });
  return { server, url: url.replace("localhost", "127.0.0.1"), port, limited };
}

/** A trunk, and all that it has heard: frames and closes, by lane. */
async function trunk(url: string, protocols: string[] = ["hawser.trunk.v1", "hawser.v1"]) {
  const ws = new WebSocket(url, protocols, { perMessageDeflate: false });
  const heard = new Map<number, Frame[]>();
  const closed = new Map<number, { code: number; reason: string }>();
  ws.on("message", (data: Buffer) => {
    const carried = readCarried(new Uint8Array(data));
    if (carried.kind === "closed") closed.set(carried.lane, carried);
    else {
      const { frames } = decodePacket(carried.packet);
      heard.set(carried.lane, [...(heard.get(carried.lane) ?? []), ...frames]);
    }
  });
  const gone = new Promise<{ code: number; reason: string }>((resolve) =>
    ws.once("close", (code, reason) => resolve({ code, reason: String(reason) })),
  );
  await new Promise((resolve, reject) => ws.once("open", resolve).once("error", reject));
  closers.push(async () => ws.terminate());
  const of = (lane: number, kind: Frame["kind"]) =>
    heard.get(lane)?.filter((frame) => frame.kind === kind) ?? [];
  return {
    ws,
    gone,
    closed,
    of,
    send: (lane: number, bytes: Uint8Array) => ws.send(carryBytes(lane, bytes)),
    async greet(lane: number, hello: Parameters<typeof frames.hello>[0] = {}) {
      ws.send(carryBytes(lane, packet(0, frames.hello(hello))));
      await until(() => of(lane, "welcome").length > 0 || closed.has(lane));
    },
    async close(lane: number) {
      await until(() => closed.has(lane));
      return closed.get(lane)!;
    },
  };
}

const call = packet(1, frames.open());

test("each lane has a session of its own, with a close of its own", async () => {
  const { server, url } = await serve();
  const client = await trunk(url);
  expect(client.ws.protocol).toBe("hawser.trunk.v1");
  await client.greet(1);
  await client.greet(2);
  expect(server.sessions.size).toBe(2);
  client.send(2, call);
  await until(() => client.of(2, "end").length === 1);
  expect(client.of(1, "end")).toEqual([]);
  // 1000 ends the session, anything else leaves it to be resumed.
  client.ws.send(carryClose(1, 1000, "done"));
  await until(() => server.sessions.size === 1);
  client.ws.send(carryClose(2, 1001, "later"));
  await until(() => [...server.sessions].every(({ connected }) => !connected));
  expect(server.sessions.size).toBe(1);
});

test("sessions outlive their trunk, and go on over a link of any kind", async () => {
  const { server, url } = await serve();
  const client = await trunk(url);
  await client.greet(1);
  const [welcome] = client.of(1, "welcome") as Extract<Frame, { kind: "welcome" }>[];
  client.send(1, call);
  await until(() => client.of(1, "end").length === 1);
  // A tab that lets go of the WebSocket does not mean the others' sessions.
  client.ws.close(1000);
  await until(() => [...server.sessions].every(({ connected }) => !connected));
  const { session, epoch } = welcome!;
  const alone = await rawConnect(url);
  const again = await alone.greet({ mode: 2, session, epoch, received: 0, link: 2 });
  expect(again).toMatchObject({ resumed: true, received: 1 });
  // What was not acknowledged comes again.
  await alone.hear("end");
  alone.ws.terminate();
});

test("each lane is authenticated by its own credentials, also where upgrade requests are", async () => {
  const seen: (string | undefined)[] = [];
  const { server, url } = await serve({
    authenticateAt: "upgrade",
    authenticate: ({ credentials }) => {
      seen.push(credentials);
      if (credentials === "wrong") throw new RpcError("no", Code.Unauthenticated);
      return { id: credentials ?? "nobody" };
    },
  });
  const client = await trunk(url);
  await client.greet(1, { credentials: "ada" });
  await client.greet(2, { credentials: "grace" });
  await client.greet(3, { credentials: "wrong" });
  expect(await client.close(3)).toMatchObject({ code: 4401 });
  expect([...server.sessions].map(({ identity }) => identity?.id)).toEqual(["ada", "grace"]);
  expect(seen.slice(-3)).toEqual(["ada", "grace", "wrong"]);
});

test("only one identity's session is resumed by it, whoever else is on the trunk", async () => {
  const { server, url } = await serve({ authenticate: ({ credentials }) => ({ id: credentials ?? "" }) });
  const client = await trunk(url);
  await client.greet(1, { credentials: "ada" });
  const [welcome] = client.of(1, "welcome") as Extract<Frame, { kind: "welcome" }>[];
  const { session, epoch } = welcome!;
  await client.greet(2, { credentials: "eve", mode: 2, session, epoch, link: 2 });
  const [stranger] = client.of(2, "welcome") as Extract<Frame, { kind: "welcome" }>[];
  expect(stranger?.resumed ?? false).toBe(false);
  expect([...server.sessions].find(({ identity }) => identity?.id === "ada")?.connected).toBe(true);
});

describe("what it does not let in", () => {
  test("messages that are none", async () => {
    const { url } = await serve();
    for (const [message, code] of [
      [Uint8Array.of(0x08, 0, 0x12, 0), 1007],
      [Uint8Array.of(0xff), 1007],
      ["hello", 1003],
    ] as const) {
      const client = await trunk(url);
      await client.greet(1);
      client.ws.send(message);
      expect((await client.gone).code).toBe(code);
    }
  });

  test("a packet that is none closes its lane, and no other", async () => {
    const { url } = await serve();
    const client = await trunk(url);
    await client.greet(1);
    await client.greet(2);
    client.send(1, Uint8Array.of(0xff));
    expect(await client.close(1)).toMatchObject({ code: 1007 });
    // Out of order: a breach of the protocol, which ends the session.
    client.send(2, packet(5, frames.open()));
    expect(await client.close(2)).toMatchObject({ code: 1002 });
    await client.greet(3);
    client.send(3, call);
    await until(() => client.of(3, "end").length === 1);
  });

  test("packets over the limit close their lane; longer messages the WebSocket", async () => {
    const packetBytes = 4 * 65_536;
    const { url } = await serve({ limits: { packetBytes } });
    const client = await trunk(url);
    await client.greet(1);
    await client.greet(2);
    client.send(1, new Uint8Array(packetBytes + 1));
    expect(await client.close(1)).toMatchObject({ code: 1009 });
    client.send(2, new Uint8Array(packetBytes + 100));
    expect((await client.gone).code).toBe(1009);
  });

  test("lanes that are closed, and such as come out of order", async () => {
    const { server, url } = await serve();
    const client = await trunk(url);
    await client.greet(2);
    client.ws.send(carryClose(2, 1000, ""));
    client.send(2, packet(0, frames.hello()));
    client.send(1, packet(0, frames.hello()));
    client.ws.send(carryClose(4, 1000, "never begun"));
    client.send(4, packet(0, frames.hello()));
    await client.greet(5);
    expect(server.sessions.size).toBe(1);
    expect([1, 4].map((lane) => client.of(lane, "welcome"))).toEqual([[], []]);
  });

  test("more lanes than maxLanes, at once or in short time", async () => {
    const { url, limited } = await serve({ maxLanes: 3 });
    const client = await trunk(url);
    for (let lane = 1; lane <= 3; lane++) await client.greet(lane);
    await client.greet(4);
    expect(await client.close(4)).toMatchObject({ code: 4429 });
    for (let lane = 1; lane <= 3; lane++) client.ws.send(carryClose(lane, 1000, ""));
    await client.greet(5);
    expect(await client.close(5)).toMatchObject({ code: 4429, reason: expect.stringContaining("maxLanes") });
    expect(limited).toEqual(["maxLanes", "maxLanes"]);
  });

  test.each(["maxConnections", "maxConnectionsPerAddress"] as const)(
    "more lanes than %s: each counts as a connection, until it is closed",
    async (limit) => {
      const { server, url, limited } = await serve({ [limit]: 4 });
      const client = await trunk(url);
      const other = await trunk(url);
      for (const lane of [1, 2, 3]) await client.greet(lane);
      await client.greet(4);
      expect(await client.close(4)).toMatchObject({ code: 4429, reason: expect.stringContaining(limit) });
      await expect(rawConnect(url)).rejects.toThrow(limit === "maxConnections" ? "503" : "429");
      // Its only lane takes the place of the WebSocket itself.
      await other.greet(1);
      await other.greet(2);
      expect(await other.close(2)).toMatchObject({ code: 4429 });
      expect(new Set(limited)).toEqual(new Set([limit]));
      // Whichever lane is closed.
      client.ws.send(carryClose(1, 1000, ""));
      await until(() => server.sessions.size === 3);
      await client.greet(5);
      expect(client.of(5, "welcome")).toHaveLength(1);
      // A trunk without lanes is a connection still.
      for (const lane of [2, 3, 5]) client.ws.send(carryClose(lane, 1000, ""));
      await until(() => server.sessions.size === 1);
      for (const lane of [3, 4]) await other.greet(lane);
      await other.greet(5);
      expect([3, 4, 5].map((lane) => other.closed.has(lane))).toEqual([false, false, true]);
      // All of them are free again when the WebSocket is gone.
      other.ws.terminate();
      await until(() => [...server.sessions].every(({ connected }) => !connected));
      for (const lane of [6, 7, 8, 9]) await client.greet(lane);
      expect([6, 7, 8, 9].map((lane) => client.closed.has(lane))).toEqual([false, false, false, false]);
    },
  );

  test("anybody, with maxLanes: 0; who offers both gets a link", async () => {
    const { url } = await serve({ maxLanes: 0 });
    await expect(trunk(url, ["hawser.trunk.v1"])).rejects.toThrow("400");
    const ws = new WebSocket(url, ["hawser.trunk.v1", "hawser.v1"]);
    await new Promise((resolve) => ws.once("open", resolve));
    expect(ws.protocol).toBe("hawser.v1");
    ws.terminate();
  });

  test("a stranger's flood", async () => {
    const { url } = await serve();
    const client = await trunk(url);
    client.send(1, new Uint8Array(200_000));
    expect((await client.gone).code).toBeGreaterThan(1000);
  });

  test("a trunk without lanes, for long", async () => {
    const { url } = await serve({ handshakeTimeoutMs: 500 });
    expect((await (await trunk(url)).gone).code).toBe(4408);
    const client = await trunk(url);
    await client.greet(1);
    client.ws.send(carryClose(1, 1000, ""));
    expect((await client.gone).code).toBe(4408);
  });

  test("a lane that does not greet", async () => {
    const { url } = await serve();
    const client = await trunk(url);
    await client.greet(1);
    // One Ping may come ahead of Hello, to learn whether the way carries anything.
    for (const id of [1, 2]) client.send(2, packet(0, frames.ping({ id })));
    expect(await client.close(2)).toMatchObject({ code: 4400 });
  });
});

test("a server that closes closes its lanes, then its trunks", async () => {
  const { server, url, port } = await serve();
  const client = await trunk(url);
  await client.greet(1);
  await server.close();
  expect(await client.close(1)).toMatchObject({ code: 1001 });
  expect((await client.gone).code).toBe(1001);
  await new Promise((resolve) => connectTcp(port, "127.0.0.1").once("error", resolve));
});

test("while a server drains, no lane begins", async () => {
  const { server, url } = await serve();
  const client = await trunk(url);
  await client.greet(1);
  // A call that the client holds open, so that draining goes on.
  client.send(
    1,
    packet(1, frames.open({ name: "hawser.test.v1.EchoService/Collect", end: false, payload: undefined })),
  );
  await until(() => [...server.sessions].some(({ callsInFlight }) => callsInFlight === 1));
  const drained = server.drain({ timeoutMs: 1_000, spreadMs: 0 });
  await client.greet(2);
  expect(await client.close(2)).toMatchObject({ code: 1001 });
  expect(client.of(2, "welcome")).toEqual([]);
  await drained;
});
