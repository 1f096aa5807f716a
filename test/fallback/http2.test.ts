// Links over HTTP/2, from pages of a real Chromium: behind a real nginx that speaks it, and at a Node server that does.
import type { IncomingMessage } from "node:http";
import { createServer as createHttpServer } from "node:http";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type AttachableServer, createServer, type Server } from "../../src/server/index.js";
import type {} from "../browser/page/kit.js";
import { kitFiles, type SiteFiles } from "../browser/site.js";
import { launchChromium } from "../demo/chromium.js";
import { selfSigned } from "../support/certificate.js";
import { echoRoutes, expectedResult } from "../support/echo.js";
import { until } from "../support/until.js";
import { startNginx } from "./nginx.js";

/** More than the six connections that a browser opens to a host with HTTP/1.1, each of which a link would hold. */
const TABS = 7;

let browser: Browser;
let files: SiteFiles;

beforeAll(async () => {
  [browser, files] = await Promise.all([launchChromium(), kitFiles()]);
});
afterAll(() => browser.close());

interface Front {
  readonly server: Server;
  readonly port: number;
  /** Of each request of a link: what it was for, its version of HTTP, and over which connection of the client it came. */
  readonly asked: { readonly what: string; readonly version: string; readonly connection: string }[];
}

type HeardOf = (request: IncomingMessage) => { version: string; connection: string };

/** A site and a Hawser server on a server of Node. */
async function serve(http: AttachableServer, heardOf: HeardOf) {
  const asked: Front["asked"] = [];
  const server = createServer({ routes: echoRoutes() });
  server.attach(http);
  const { emit } = http;
  http.emit = function (this: typeof http, event: string, ...values: unknown[]) {
    const [request] = values as [IncomingMessage];
    const what = event === "request" ? request.headers["hawser-do"] : undefined;
    if (typeof what === "string") asked.push({ what, ...heardOf(request) });
    return Reflect.apply(emit, this, [event, ...values]) as boolean;
  } as typeof http.emit;
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    await server.close();
    http.close();
  });
  return { server, asked, port: (http.address() as AddressInfo).port };
}

function respond(path: string | undefined): { status: number; type: string; body: string | Uint8Array } {
  const file = files.get(path === "/" ? "/index.html" : (path ?? ""));
  const type = path?.endsWith(".js") === true ? "text/javascript" : "text/html";
  return { status: file === undefined ? 404 : 200, type: `${type}; charset=utf-8`, body: file ?? "" };
}

async function behindNginx(): Promise<Front> {
  const http = createHttpServer((request, response) => {
    const { status, type, body } = respond(request.url);
    response.writeHead(status, { "content-type": type }).end(body);
  });
  const { server, asked, port } = await serve(http, ({ headers }) => {
    const [version = "", connection = ""] = String(headers["x-client"]).split(" ");
    return { version, connection };
  });
  const nginx = await startNginx(port, { refusesUpgrades: true, buffers: false, tls: selfSigned() });
  onTestFinished(async () => {
    await nginx.stop();
    http.closeAllConnections();
  });
  return { server, asked, port: nginx.port };
}

async function atNode(): Promise<Front> {
  const http = createSecureServer({ ...selfSigned(), allowHTTP1: true }, (request, response) => {
    const { status, type, body } = respond(request.url);
    response.writeHead(status, { "content-type": type }).end(body);
  });
  const front = await serve(http, ({ httpVersion, socket }) => ({
    version: `HTTP/${httpVersion}`,
    connection: String(socket.remotePort),
  }));
  http.removeAllListeners("upgrade");
  http.on("upgrade", (_request: IncomingMessage, socket: Duplex) => {
    socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  });
  return front;
}

/** Tabs of one profile, which share their connections. */
async function openTabs(port: number, count: number): Promise<Page[]> {
  const context: BrowserContext = await browser.newContext({ ignoreHTTPSErrors: true });
  onTestFinished(() => context.close());
  return Promise.all(
    Array.from({ length: count }, async () => {
      const page = await context.newPage();
      await page.goto(`https://localhost:${port}/`);
      await page.waitForFunction(() => "kit" in globalThis);
      return page;
    }),
  );
}

/** All four kinds of calls, by a link that the page keeps. */
const exchangeFrom = (page: Page, tag: string) =>
  page.evaluate((tag) => {
    const { kit } = globalThis;
    kit.kept.connection ??= kit.connect(`wss://${location.host}/rpc`, { reconnect: { initialDelayMs: 5 } });
    return kit.exchange(kit.createClient(kit.EchoService, kit.kept.connection), tag);
  }, tag);

describe.each([
  ["nginx", behindNginx],
  ["a Node server", atNode],
] as const)("%s that speaks HTTP/2 and refuses upgrades", (_, start) => {
  test("streamed answers come down and requests go up, small and large", async () => {
    const { server, port, asked } = await start();
    const [page] = (await openTabs(port, 1)) as [Page];
    expect(await exchangeFrom(page, "early")).toEqual(expectedResult("early"));
    await until(() => [...server.sessions].every(({ linkKind }) => linkKind === "http-stream"));
    expect(await exchangeFrom(page, "streamed")).toEqual(expectedResult("streamed"));
    const length = await page.evaluate(async () => {
      const { kit } = globalThis;
      const client = kit.createClient(kit.EchoService, kit.kept.connection!);
      return (await client.echo({ body: new Uint8Array(3_000_000) })).body.length;
    });
    expect(length).toBe(3_000_000);
    expect([...server.sessions].map(({ linkKind }) => linkKind)).toEqual(["http-stream"]);
    expect(new Set(asked.map(({ version }) => version))).toEqual(new Set(["HTTP/2.0"]));
    expect(new Set(asked.map(({ what }) => what))).toEqual(new Set(["open", "send", "poll", "stream"]));
    await page.evaluate(() => globalThis.kit.kept.connection?.close());
    await until(() => server.sessions.size === 0);
  });

  test("seven tabs share one connection of the browser, and none waits for another", async () => {
    const { server, port, asked } = await start();
    const pages = await openTabs(port, TABS);
    const tags = pages.map((__, index) => `tab ${index}`);
    const all = () => Promise.all(pages.map((page, index) => exchangeFrom(page, tags[index]!)));
    expect(await all()).toEqual(tags.map(expectedResult));
    // Each holds one request from now on.
    await until(() => [...server.sessions].every(({ linkKind }) => linkKind === "http-stream"));
    expect(server.sessions.size).toBe(TABS);
    expect(await all()).toEqual(tags.map(expectedResult));
    expect(new Set(asked.map(({ connection }) => connection)).size).toBe(1);
  });
});
