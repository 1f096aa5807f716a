// Behind a real nginx that refuses upgrades, and one that holds answers back too: from Node, and from a real page.
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { build } from "esbuild";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { connect, createClient } from "../../src/client/index.js";
import { type AuthRequest, createServer, type Server, type ServerOptions } from "../../src/server/index.js";
import type {} from "../browser/page/kit.js";
import { openPage, type SiteFiles } from "../browser/site.js";
import { launchChromium } from "../demo/chromium.js";
import { echoRoutes, exchange, expectedResult } from "../support/echo.js";
import { until } from "../support/until.js";
import { SOON } from "./blocked.js";
import { type Obstacles, type RunningNginx, startNginx } from "./nginx.js";

/** A web site with a Hawser server at `/rpc`, behind nginx. */
async function behindNginx(
  obstacles: Obstacles,
  options: Partial<ServerOptions> = {},
  files: SiteFiles = new Map(),
): Promise<{
  readonly server: Server;
  readonly nginx: RunningNginx;
  readonly asked: string[];
  readonly loaded: string[];
}> {
  const asked: string[] = [];
  const loaded: string[] = [];
  const http = createHttpServer((request, response) => {
    loaded.push(request.url ?? "");
    const file = files.get(request.url === "/" ? "/index.html" : (request.url ?? ""));
    const type = request.url?.endsWith(".js") === true ? "text/javascript" : "text/html";
    response
      .writeHead(file === undefined ? 404 : 200, { "content-type": `${type}; charset=utf-8` })
      .end(file);
  });
  const server = createServer({ routes: echoRoutes(), ...options });
  server.attach(http);
  const { emit } = http;
  http.emit = function (this: typeof http, event: string, ...values: unknown[]) {
    if (event === "request") {
      const [{ headers }] = values as [{ headers: Record<string, string> }];
      asked.push(String(headers["hawser-do"]));
    }
    return Reflect.apply(emit, this, [event, ...values]) as boolean;
  } as typeof http.emit;
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const nginx = await startNginx((http.address() as AddressInfo).port, obstacles);
  onTestFinished(async () => {
    await server.close();
    await nginx.stop();
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  });
  return { server, nginx, asked, loaded };
}

/** From Node, closed when the test is over. */
function fromNode({ port }: RunningNginx, options = SOON) {
  const connection = connect(`ws://127.0.0.1:${port}/rpc`, options);
  onTestFinished(() => connection.close());
  return connection;
}

describe("nginx that refuses upgrades", () => {
  test("lets streamed answers through, since the server asks for it", async () => {
    const { nginx, server } = await behindNginx({ refusesUpgrades: true, buffers: false });
    const connection = fromNode(nginx);
    const client = createClient(EchoService, connection);
    expect(await exchange(client, "early")).toEqual(expectedResult("early"));
    await until(() => connection.linkKind === "http-stream");
    expect(await exchange(client, "streamed")).toEqual(expectedResult("streamed"));
    expect([...server.sessions].map(({ linkKind }) => linkKind)).toEqual(["http-stream"]);
  });

  test.each(["whole", "in part"] as const)(
    "and holds answers back, %s: polls are used, and the stream never",
    async (buffers) => {
      const { nginx, server, asked } = await behindNginx({ refusesUpgrades: true, buffers });
      const connection = fromNode(nginx);
      const client = createClient(EchoService, connection);
      for (let round = 0; round < 20; round++)
        expect(await exchange(client, "polled")).toEqual(expectedResult("polled"));
      const body = new Uint8Array(1_000_000);
      expect((await client.echo({ body })).body).toHaveLength(1_000_000);
      expect(asked.filter((what) => what === "stream")).toHaveLength(1);
      expect(connection.linkKind).toBe("http-poll");
      expect([...server.sessions].map(({ linkKind }) => linkKind)).toEqual(["http-poll"]);
    },
  );

  test("until it no longer does: the session goes on over a WebSocket", async () => {
    const { nginx, server } = await behindNginx({ refusesUpgrades: true, buffers: false });
    const connection = fromNode(nginx, { ...SOON, fallback: { retryWebSocketMs: 50 } });
    let lost = 0;
    connection.on("lost", () => lost++);
    const client = createClient(EchoService, connection);
    await connection.ready();
    const { sessionId } = connection;
    let over = false;
    const work = (async () => {
      while (!over) expect(await exchange(client, "all the time")).toEqual(expectedResult("all the time"));
    })();
    await until(() => connection.linkKind === "http-stream");
    nginx.change({ refusesUpgrades: false, buffers: false });
    await until(() => connection.linkKind === "websocket" && connection.state === "open");
    over = true;
    await work;
    expect([connection.sessionId, lost]).toEqual([sessionId, 0]);
    expect(server.sessions.size).toBe(1);
  });
});

describe("a page in Chromium", () => {
  let browser: Browser;
  let files: SiteFiles;

  beforeAll(async () => {
    [browser, files] = await Promise.all([launchChromium(), splitFiles()]);
  });
  afterAll(() => browser.close());

  /** All four kinds from a page of the site at a port, by a connection to a server at a port. */
  async function exchangeFrom(site: number, port: number) {
    const { page } = await openPage(browser, `http://127.0.0.1:${site}/`);
    onTestFinished(() => page.context().close());
    return page.evaluate(async (to) => {
      const { kit } = globalThis;
      // biome-ignore lint/suspicious/noDocumentCookie: what every browser has.
      document.cookie = "user=ada";
      kit.kept.connection = kit.connect(`ws://127.0.0.1:${to}/rpc`, {
        credentials: "secret",
        reconnect: { initialDelayMs: 5 },
      });
      return kit.exchange(kit.createClient(kit.EchoService, kit.kept.connection), "page");
    }, port);
  }

  test.each([
    ["lets WebSockets through", { refusesUpgrades: false, buffers: false }, "websocket", false],
    ["refuses upgrades", { refusesUpgrades: true, buffers: false }, "http-stream", true],
    ["holds answers back, too", { refusesUpgrades: true, buffers: "whole" }, "http-poll", true],
  ] as const)(
    "behind nginx that %s: all four kinds, with the page's cookies",
    async (_, obstacles, kind, loads) => {
      const requests: AuthRequest[] = [];
      const authenticate = (request: AuthRequest) => {
        requests.push(request);
        return { id: "ada" };
      };
      const { nginx, server, loaded } = await behindNginx(obstacles, { authenticate }, files);
      expect(await exchangeFrom(nginx.port, nginx.port)).toEqual(expectedResult("page"));
      await until(() => [...server.sessions].some(({ linkKind }) => linkKind === kind));
      expect(requests.map(({ credentials, cookies }) => [credentials, cookies["user"]])).toEqual([
        ["secret", "ada"],
      ]);
      // The code for it is fetched by those only who need it.
      expect(loaded.some((path) => path.startsWith("/web-"))).toBe(loads);
    },
  );

  test("of another origin: let in where that is allowed, and nowhere else", async () => {
    const site = await behindNginx({ refusesUpgrades: false, buffers: false }, {}, files);
    const allowedOrigins = [`http://127.0.0.1:${site.nginx.port}`];
    const open = await behindNginx({ refusesUpgrades: true, buffers: false }, { allowedOrigins });
    expect(await exchangeFrom(site.nginx.port, open.nginx.port)).toEqual(expectedResult("page"));
    const refused: number[] = [];
    const observer = { refused: ({ status }: { readonly status: number }) => void refused.push(status) };
    const closed = await behindNginx({ refusesUpgrades: true, buffers: false }, { observer });
    void exchangeFrom(site.nginx.port, closed.nginx.port).catch(() => undefined);
    await until(() => refused.length > 0);
    expect(new Set(refused)).toEqual(new Set([403]));
    expect(closed.server.sessions.size).toBe(0);
  });
});

/** A page that has the client, in files as a bundler makes them: what is loaded later is in files of its own. */
async function splitFiles(): Promise<SiteFiles> {
  const { outputFiles } = await build({
    entryPoints: ["test/browser/page/kit.ts"],
    bundle: true,
    splitting: true,
    write: false,
    outdir: "/",
    format: "esm",
    platform: "browser",
    target: "es2022",
  });
  const page =
    '<!doctype html><title>kit</title><link rel="icon" href="data:,"><script type="module" src="/kit.js"></script>';
  return new Map([["/index.html", page], ...outputFiles.map(({ path, text }) => [path, text] as const)]);
}
