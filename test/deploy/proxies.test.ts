// The configurations of examples/deploy, in the real proxies.
import { describe, expect, it } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { createClient } from "../../src/client/index.js";
import type { AuthRequest } from "../../src/server/index.js";
import { createFaultProxy } from "../../src/testing/index.js";
import { behind, closing, counted, identified, quick } from "../support/counted.js";
import { exchange, expectedResult } from "../support/echo.js";
import { nodeOf } from "../support/nodes.js";
import { type RunningProxy, type StartProxy, startHaproxy, startNginx } from "../support/proxies.js";
import { until } from "../support/until.js";

/** Nodes behind a proxy, one of which drains, and waits for a call. */
async function draining<T extends RunningProxy>(startProxy: StartProxy<T>) {
  const gates: (() => void)[] = [];
  const echo = () => new Promise<{ name: string }>((resolve) => gates.push(() => resolve({ name: "done" })));
  const { nodes, proxy } = await behind(startProxy, {
    server: { routes: (router) => router.service(EchoService, { echo }) },
  });
  const [first] = await identified(proxy.url, 1);
  const node = nodeOf(nodes, first!.connection)!;
  const call = createClient(EchoService, first!.connection).echo({});
  await until(() => gates.length === 1);
  const drained = node.server.drain({ spreadMs: 0, timeoutMs: 60_000 });
  const finish = async () => {
    gates[0]?.();
    expect((await call).name).toBe("done");
    await drained;
  };
  return { nodes, proxy, node, finish };
}

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
    const { proxy } = await behind(startProxy, { server: { authenticate } });
    const headers = { "x-forwarded-for": "192.0.2.1" };
    const { connection } = counted(`${proxy.url}?client=ada`, { ...quick, headers });
    expect(await exchange(createClient(EchoService, connection), "plain")).toEqual(expectedResult("plain"));
    expect(requests).toMatchObject([{ url: "/rpc?client=ada", remoteAddress: "127.0.0.1" }]);
    expect(requests[0]?.headers).toMatchObject({
      host: `127.0.0.1:${proxy.port}`,
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-proto": "http",
    });
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
    const { proxy } = await behind(startProxy, { server: { authenticate } });
    const stranger = counted(proxy.secureUrl, { reconnect: { initialDelayMs: 1, maxAttempts: 1 } });
    await expect(stranger.connection.ready()).rejects.toThrow(/certificate/);
    expect(protocols).toEqual([]);
    const { connection } = counted(`${proxy.secureUrl}?client=ada`, { ...quick, tls: { ca: proxy.cert } });
    expect(await exchange(createClient(EchoService, connection), "tls")).toEqual(expectedResult("tls"));
    expect(protocols).toEqual(["https"]);
  });

  it("does not cut a link that is silent but for its heartbeat", async () => {
    const { proxy } = await behind(startProxy, {
      server: { pingIntervalMs: 60_000 },
      proxy: { silenceS: 1 },
    });
    const alive = counted(`${proxy.url}?client=alive`, { ...quick, pingIntervalMs: 200 });
    // The other one is cut, which also tells that the time is up for both.
    const mute = counted(`${proxy.url}?client=mute`, { ...quick, pingIntervalMs: 60_000 });
    await Promise.all([alive.connection.ready(), mute.connection.ready()]);
    await until(() => mute.resumed + mute.lost === 2);
    expect(alive).toMatchObject({ resumed: 0, lost: 0 });
    expect(mute).toMatchObject({ resumed: 2, lost: 0 });
    for (const { connection } of [alive, mute]) {
      expect(await exchange(createClient(EchoService, connection), "after")).toEqual(expectedResult("after"));
    }
  });

  it("brings clients back to the node that has their sessions", async () => {
    const { nodes, proxy } = await behind(startProxy);
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
    const { nodes, proxy } = await behind(startProxy);
    const link = closing(await createFaultProxy({ target: proxy }), (open) => open.close());
    const clients = Array.from({ length: 5 }, () => counted(link.url));
    await Promise.all(clients.map(({ connection }) => connection.ready()));
    expect(new Set(clients.map(({ connection }) => nodeOf(nodes, connection))).size).toBe(1);
    link.cut("reset");
    await until(() => clients.every(({ resumed, lost }) => resumed + lost === 1));
    expect(clients.filter(({ lost }) => lost > 0)).toEqual([]);
  });

  it("is started anew under calls, and nothing is lost", async () => {
    const { proxy } = await behind(startProxy, { proxy: { reloadS: 1 } });
    const clients = await identified(proxy.url, 20);
    let over = false;
    const work = clients.map(async ({ connection }) => {
      const client = createClient(EchoService, connection);
      while (!over) {
        expect(await exchange(client, "reload")).toEqual(expectedResult("reload"));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    });
    await proxy.reload();
    // The old workers cut what they have when their time is up.
    await until(() => clients.every(({ resumed, lost }) => resumed + lost > 0));
    over = true;
    await Promise.all(work);
    expect(clients.filter(({ lost }) => lost > 0)).toEqual([]);
  });

  it("leads clients of a node that is down to another one", async () => {
    const { nodes, proxy } = await behind(startProxy);
    const clients = await identified(proxy.url, 20);
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
    expect(late.filter(({ retries }) => retries > 0)).toEqual([]);
  });

  it("leads new clients past a node that drains", async () => {
    const { nodes, proxy, node, finish } = await draining(startProxy);
    // At once, before anybody has asked for its health.
    const late = await identified(proxy.url, 20);
    expect(late.filter(({ connection }) => nodeOf(nodes, connection) === node)).toEqual([]);
    expect(late.filter(({ retries }) => retries > 0)).toEqual([]);
    await finish();
  });
});

describe("HAProxy", () => {
  it("finds out that a node drains, and that it is back", async () => {
    const { nodes, proxy, node, finish } = await draining(startHaproxy);
    const name = `nodes,node${nodes.indexOf(node) + 1},`;
    const status = async (wanted: string) => {
      for (let found = ""; !found.includes(`,${wanted},`); ) {
        const lines = (await proxy.command("show stat")).split("\n");
        found = lines.find((line) => line.startsWith(name)) ?? "";
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    await status("DOWN");
    await finish();
    await node.restart();
    await status("UP");
  });

  it("leaves clients where a drain has sent them, when the node is back, and when it is started anew itself", async () => {
    const { nodes, proxy } = await behind(startHaproxy, { proxy: { reloadS: 1 } });
    const link = closing(await createFaultProxy({ target: proxy }), (open) => open.close());
    const clients = await identified(link.url, 20);
    const home = nodeOf(nodes, clients[0]!.connection)!;
    const moved = clients.filter(({ connection }) => nodeOf(nodes, connection) === home);
    await home.server.drain({ spreadMs: 0 });
    await until(() => moved.every(({ lost }) => lost === 1));
    await home.restart();
    // Somebody new comes to the node: it is taken for good again.
    let isBack = false;
    while (!isBack) {
      const [fresh] = await identified(link.url, 1);
      isBack = nodeOf(nodes, fresh!.connection) === home;
      await fresh!.connection.close();
    }
    const breaks = () => clients.map(({ resumed, lost }) => resumed + lost);
    const before = breaks();
    link.cut("reset");
    await until(() => breaks().every((count, index) => count === before[index]! + 1));
    // It takes some seconds until a process knows that it has no predecessor, and becomes one itself.
    let knows = false;
    while (!knows) {
      const [, flags = "0"] = /flags=0x([0-9a-f]+)/.exec(await proxy.command("show peers")) ?? [];
      knows = (Number.parseInt(flags, 16) & 3) === 3;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    // The new process gets the table from the old one, which then cuts what it has.
    await proxy.reload();
    await until(() => breaks().every((count, index) => count === before[index]! + 2));
    const others = clients.filter((client) => !moved.includes(client));
    expect(moved.map(({ resumed, lost }) => [resumed, lost])).toEqual(moved.map(() => [2, 1]));
    expect(others.map(({ resumed, lost }) => [resumed, lost])).toEqual(others.map(() => [2, 0]));
  });
});
