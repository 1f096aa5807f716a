// The configurations of examples/deploy, for clients whose WebSockets are blocked.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { openConnection } from "../../src/client/connector.js";
import { type Connection, createClient } from "../../src/client/index.js";
import { nodePlatform } from "../../src/client/node.js";
import { resolveConnectOptions } from "../../src/client/options.js";
import { HOLD_MS } from "../../src/fallback/protocol.js";
import { rawPost } from "../fallback/blocked.js";
import { behind, closing, quick } from "../support/counted.js";
import { exchange, expectedResult } from "../support/echo.js";
import { nodeOf } from "../support/nodes.js";
import { startHaproxy, startNginx } from "../support/proxies.js";
import { until } from "../support/until.js";

/** A connection whose WebSockets are refused on the way, with an id of its own; all refusals and breaks that it has seen. */
function overHttp(url: string): { readonly connection: Connection; readonly breaks: string[] } {
  const settings = resolveConnectOptions({
    ...quick,
    fallback: { retryWebSocketMs: Number.POSITIVE_INFINITY },
  });
  const platform = nodePlatform(settings.session.limits.packetBytes, {}, undefined);
  const connection = closing(
    openConnection(`${url}?client=${randomUUID()}`, settings, {
      ...platform,
      dial(_url, _request, _events, _onOpen, onFailure) {
        setImmediate(() => onFailure({ code: 1006, reason: "blocked", by: "between" }));
        return { abort: () => undefined };
      },
    }),
    (open) => open.close(),
  );
  const breaks: string[] = [];
  connection.on("reconnecting", ({ reason }) => breaks.push(reason));
  return { connection, breaks };
}

/** Nodes that only count what a proxy passes on to them, and give an answer or none. */
async function counting(answerOf: (what: string) => number | undefined) {
  const seen: string[] = [];
  const ports = await Promise.all(
    [1, 2, 3].map(async () => {
      const http = createHttpServer((request, response) => {
        const what = request.headers["hawser-do"];
        if (typeof what !== "string") {
          response.writeHead(200).end();
          return;
        }
        seen.push(what);
        const status = answerOf(what);
        if (status === undefined) request.socket.destroy();
        else response.writeHead(status, { "hawser-version": "1" }).end();
      });
      closing(http, () => {
        http.closeAllConnections();
        http.close();
      });
      await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
      return (http.address() as AddressInfo).port;
    }),
  );
  return { seen, ports };
}

describe.each([
  ["nginx", startNginx],
  ["HAProxy", startHaproxy],
])("%s", (_name, startProxy) => {
  it("passes links over HTTP on, streams and large packets too", async () => {
    const { proxy } = await behind(startProxy);
    const { connection, breaks } = overHttp(proxy.url);
    const client = createClient(EchoService, connection);
    expect(await exchange(client, "early")).toEqual(expectedResult("early"));
    await until(() => connection.linkKind === "http-stream");
    const body = new Uint8Array(3_000_000).map((_, index) => index % 251);
    expect(Buffer.compare((await client.echo({ body })).body, body)).toBe(0);
    expect(breaks).toEqual([]);
  });

  it("leads new links over HTTP past a node that drains", async () => {
    const gates: (() => void)[] = [];
    const { nodes, proxy } = await behind(startProxy, {
      server: {
        routes: (router) =>
          router.service(EchoService, {
            echo: () => new Promise((resolve) => gates.push(() => resolve({ name: "done" }))),
          }),
      },
    });
    const first = overHttp(proxy.url);
    await first.connection.ready();
    const node = nodeOf(nodes, first.connection)!;
    const call = createClient(EchoService, first.connection).echo({});
    await until(() => gates.length === 1);
    const drained = node.server.drain({ spreadMs: 0, timeoutMs: 60_000 });
    const late = Array.from({ length: 12 }, () => overHttp(proxy.url));
    await Promise.all(late.map(({ connection }) => connection.ready()));
    expect(late.flatMap(({ breaks }) => breaks)).toEqual([]);
    expect(late.filter(({ connection }) => nodeOf(nodes, connection) === node)).toEqual([]);
    gates[0]?.();
    expect((await call).name).toBe("done");
    await drained;
  });

  it("gives what belongs to a link to no other node, whatever becomes of it there", async () => {
    for (const status of [undefined, 503]) {
      const { seen, ports } = await counting(() => status);
      const proxy = closing(await startProxy({ nodes: ports }), (started) => started.stop());
      const ask = async (what: string) => {
        seen.length = 0;
        const { status: told } = await rawPost(proxy.port, { "hawser-do": what });
        expect(told).toBeGreaterThanOrEqual(500);
        return seen.length;
      };
      for (const what of ["send", "poll", "stream"]) expect(await ask(what), what).toBe(1);
      expect(await ask("open")).toBeGreaterThan(1);
    }
  });
});

it("HAProxy waits for longer than a poll is held, and than a stream may be silent", () => {
  const text = readFileSync("examples/deploy/haproxy.cfg", "utf8");
  for (const name of ["client", "server"]) {
    const [, value] = new RegExp(`^  timeout ${name} (\\d+)s$`, "m").exec(text) ?? [];
    expect(Number(value) * 1_000, name).toBeGreaterThan(HOLD_MS);
    // Its heartbeat comes after 25 s, and its answer within 10 s.
    expect(Number(value) * 1_000, name).toBeGreaterThan(35_000);
  }
});
