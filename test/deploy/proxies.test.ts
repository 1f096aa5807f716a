// The configurations of examples/deploy, in the real proxies.
import { randomUUID } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { type Connection, type ConnectOptions, connect, createClient } from "../../src/client/index.js";
import type { AuthRequest } from "../../src/server/index.js";
import { createFaultProxy } from "../../src/testing/index.js";
import { exchange, expectedResult } from "../support/echo.js";
import { type Node, nodeOf, startNodes } from "../support/nodes.js";
import { startHaproxy, startNginx } from "../support/proxies.js";
import { until } from "../support/until.js";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Has something closed at the end of the test. */
function closing<T extends object>(thing: T, close: (thing: T) => unknown): T {
  closers.push(() => close(thing));
  return thing;
}

const quick: ConnectOptions = { reconnect: { initialDelayMs: 20, maxDelayMs: 100 } };

/** So many clients, each with an id of its own in the URL, all connected. */
async function identified(url: string, count: number): Promise<Counted[]> {
  const clients = Array.from({ length: count }, () => counted(`${url}?client=${randomUUID()}`));
  await Promise.all(clients.map(({ connection }) => connection.ready()));
  return clients;
}

/** A connection that counts what becomes of its session. */
interface Counted {
  readonly connection: Connection;
  resumed: number;
  lost: number;
}

function counted(url: string, options: ConnectOptions = quick): Counted {
  const connection = closing(connect(url, options), (open) => open.close());
  const counts = { connection, resumed: 0, lost: 0 };
  connection.on("resumed", () => counts.resumed++);
  connection.on("lost", () => counts.lost++);
  return counts;
}

const stopAll = (nodes: readonly Node[]) => Promise.all(nodes.map(({ server }) => server.close()));

describe.each([
  ["nginx", startNginx],
  ["HAProxy", startHaproxy],
])("%s", (_name, startProxy) => {
  it("passes all four kinds of calls on, and tells who has sent them", async () => {
    const requests: AuthRequest[] = [];
    const authenticate = (request: AuthRequest) => {
      requests.push(request);
      return { id: "" };
    };
    const nodes = closing(await startNodes({ authenticate }), stopAll);
    const proxy = closing(await startProxy({ nodes: nodes.map(({ port }) => port) }), (open) => open.stop());
    const headers = { "x-forwarded-for": "192.0.2.1" };
    const { connection } = counted(`${proxy.url}?client=ada`, { ...quick, headers });
    expect(await exchange(createClient(EchoService, connection), "plain")).toEqual(expectedResult("plain"));
    expect(requests.map(({ url }) => url)).toEqual(["/rpc?client=ada"]);
    expect(requests[0]?.headers).toMatchObject({
      host: `127.0.0.1:${proxy.port}`,
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-proto": "http",
    });
    expect(requests[0]?.remoteAddress).toBe("127.0.0.1");
    const answers = ["/healthz", "/readyz", "/"].map((path) =>
      fetch(`http://127.0.0.1:${proxy.port}${path}`),
    );
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([404, 404, 404]);
  });

  it("ends TLS, for clients that trust its certificate", async () => {
    const protocols: unknown[] = [];
    const authenticate = ({ headers }: AuthRequest) => {
      protocols.push(headers["x-forwarded-proto"]);
      return { id: "" };
    };
    const nodes = closing(await startNodes({ authenticate }), stopAll);
    const proxy = closing(await startProxy({ nodes: nodes.map(({ port }) => port) }), (open) => open.stop());
    const other = counted(proxy.secureUrl, { reconnect: { initialDelayMs: 1, maxAttempts: 1 } });
    await expect(other.connection.ready()).rejects.toThrow(/certificate/);
    expect(protocols).toEqual([]);
    const { connection } = counted(`${proxy.secureUrl}?client=ada`, { ...quick, tls: { ca: proxy.cert } });
    expect(await exchange(createClient(EchoService, connection), "tls")).toEqual(expectedResult("tls"));
    expect(protocols).toEqual(["https"]);
  });

  it("does not cut a link that is silent but for its heartbeat", async () => {
    const heartbeat = { pingIntervalMs: 200, pingTimeoutMs: 2_000 };
    const nodes = closing(await startNodes({ pingIntervalMs: 60_000 }), stopAll);
    const ports = nodes.map(({ port }) => port);
    const proxy = closing(await startProxy({ nodes: ports, silenceS: 1 }), (open) => open.stop());
    const alive = counted(`${proxy.url}?client=alive`, { ...quick, ...heartbeat });
    // The other one is cut, which also tells that the time is up for both.
    const mute = counted(`${proxy.url}?client=mute`, { ...quick, pingIntervalMs: 60_000 });
    await Promise.all([alive.connection.ready(), mute.connection.ready()]);
    await until(() => mute.resumed === 2);
    expect(alive).toMatchObject({ resumed: 0, lost: 0 });
    expect(mute.lost).toBe(0);
    for (const { connection } of [alive, mute]) {
      expect(await exchange(createClient(EchoService, connection), "after")).toEqual(expectedResult("after"));
    }
  });

  it("brings clients back to the node that has their sessions", async () => {
    const nodes = closing(await startNodes(), stopAll);
    const proxy = closing(await startProxy({ nodes: nodes.map(({ port }) => port) }), (open) => open.stop());
    const link = closing(await createFaultProxy({ target: proxy }), (open) => open.close());
    const clients = await identified(link.url, 20);
    const homes = clients.map(({ connection }) => nodeOf(nodes, connection)?.port);
    expect(new Set(homes).size, "nodes with clients").toBeGreaterThan(1);
    for (const times of [1, 2, 3]) {
      link.cut(times === 2 ? "end" : "reset");
      await until(() => clients.every(({ resumed, lost }) => resumed + lost === times));
    }
    expect(clients.filter(({ lost }) => lost > 0)).toEqual([]);
    expect(clients.map(({ connection }) => nodeOf(nodes, connection)?.port)).toEqual(homes);
  });

  it("goes by the address of a client that gives no id", async () => {
    const nodes = closing(await startNodes(), stopAll);
    const proxy = closing(await startProxy({ nodes: nodes.map(({ port }) => port) }), (open) => open.stop());
    const link = closing(await createFaultProxy({ target: proxy }), (open) => open.close());
    const clients = Array.from({ length: 5 }, () => counted(link.url));
    await Promise.all(clients.map(({ connection }) => connection.ready()));
    expect(new Set(clients.map(({ connection }) => nodeOf(nodes, connection))).size).toBe(1);
    link.cut("reset");
    await until(() => clients.every(({ resumed, lost }) => resumed + lost === 1));
    expect(clients.filter(({ lost }) => lost > 0)).toEqual([]);
  });

  it("is started anew under calls, and nothing is lost", async () => {
    const nodes = closing(await startNodes(), stopAll);
    const ports = nodes.map(({ port }) => port);
    const proxy = closing(await startProxy({ nodes: ports, reloadS: 1 }), (open) => open.stop());
    const clients = Array.from({ length: 20 }, (_, number) =>
      counted(`${proxy.url}?client=number-${number}`),
    );
    await Promise.all(clients.map(({ connection }) => connection.ready()));
    let over = false;
    const work = clients.map(async ({ connection }) => {
      const client = createClient(EchoService, connection);
      let calls = 0;
      do {
        expect(await exchange(client, "reload")).toEqual(expectedResult("reload"));
        calls++;
        await new Promise((resolve) => setTimeout(resolve, 5));
      } while (!over);
      return calls;
    });
    await proxy.reload();
    // The old workers cut what they have when their time is up.
    await until(() => clients.every(({ resumed, lost }) => resumed + lost > 0));
    over = true;
    await Promise.all(work);
    expect(clients.filter(({ lost }) => lost > 0)).toEqual([]);
  });

  it("leads clients of a node that is down to another one", async () => {
    const nodes = closing(await startNodes(), stopAll);
    const proxy = closing(await startProxy({ nodes: nodes.map(({ port }) => port) }), (open) => open.stop());
    const clients = Array.from({ length: 20 }, (_, number) =>
      counted(`${proxy.url}?client=number-${number}`),
    );
    await Promise.all(clients.map(({ connection }) => connection.ready()));
    const down = nodeOf(nodes, clients[0]!.connection)!;
    const its = clients.filter(({ connection }) => nodeOf(nodes, connection) === down);
    await down.server.close();
    await until(() => its.every(({ lost }) => lost === 1));
    const all = clients.map(({ connection }) => exchange(createClient(EchoService, connection), "down"));
    expect(await Promise.all(all)).toEqual(clients.map(() => expectedResult("down")));
    expect(clients.filter(({ lost }) => lost > 0)).toEqual(its);
    // New ones find their way too, whoever they are.
    const late = await identified(proxy.url, 20);
    expect(new Set(late.map(({ connection }) => nodeOf(nodes, connection)))).toEqual(
      new Set(nodes.filter((node) => node !== down)),
    );
  });
});
