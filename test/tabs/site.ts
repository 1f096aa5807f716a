// A site with pages, a worker and a Hawser server.
import { createServer as createHttpServer } from "node:http";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { BrowserContext, Page } from "playwright-core";
import { CounterService } from "../../gen/hawser/test/v1/counter_hawser.js";
import { EchoService } from "../../gen/hawser/test/v1/echo_hawser.js";
import { Code, createServer, RpcError, type Server, type ServerOptions } from "../../src/server/index.js";
import { echoHandlers } from "../support/echo.js";
import { Notes, topicRoutes } from "../support/topics.js";
import type { Seen, Setup } from "./page.js";

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** The scripts, by their path. */
export async function buildScripts(): Promise<ReadonlyMap<string, Uint8Array>> {
  const { outputFiles } = await build({
    entryPoints: [here("page.ts"), here("worker.ts")],
    bundle: true,
    write: false,
    outdir: "/",
    format: "esm",
    platform: "browser",
    target: "es2022",
    logLevel: "silent",
  });
  return new Map(outputFiles.map(({ path, contents }) => [path, contents]));
}

export interface Site {
  readonly url: string;
  readonly server: Server;
  /** How often each number was added. */
  readonly added: ReadonlyMap<bigint, number>;
  /** WebSockets that are open, and how many there were. */
  readonly sockets: { open: number; ever: number };
  /** Streams at work, and messages that were taken from the one of `repeat`. */
  readonly handlers: { following: number; repeated: number };
  close(): Promise<void>;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Serves scripts and calls on one port. */
export async function startSite(
  scripts: ReadonlyMap<string, Uint8Array>,
  options: Partial<ServerOptions> = {},
): Promise<Site> {
  const added = new Map<bigint, number>();
  const sockets = { open: 0, ever: 0 };
  const handlers = { following: 0, repeated: 0 };
  const server = createServer({
    observer: {
      linkOpened: () => {
        sockets.open++;
        sockets.ever++;
      },
      linkClosed: () => {
        sockets.open--;
      },
    },
    routes: (router) => {
      topicRoutes(router);
      router.service(EchoService, {
        ...echoHandlers(),
        async *repeat({ body, count }) {
          for (let number = 1; number <= count; number++) {
            handlers.repeated++;
            yield { number, body };
          }
        },
      });
      router.service(CounterService, {
        add: ({ number }) => {
          added.set(number, (added.get(number) ?? 0) + 1);
          return {};
        },
        set: (_, { requestHeader }) => {
          const metadata = { "x-tag": requestHeader.get("x-tag") ?? "" };
          throw new RpcError("no", Code.FailedPrecondition, { metadata });
        },
        async *follow({ count }, { signal }) {
          handlers.following++;
          try {
            for (let number = 1; number <= count && !signal.aborted; number++) {
              yield { number };
              await pause(2);
            }
          } finally {
            handlers.following--;
          }
        },
        async *exchange(requests) {
          for await (const { number } of requests) yield { number };
        },
      });
    },
    ...options,
  });
  const http = createHttpServer((request, response) => {
    const script = scripts.get(request.url ?? "");
    if (script === undefined && request.url !== "/") response.statusCode = 404;
    response.setHeader("Content-Type", script === undefined ? "text/html" : "text/javascript");
    response.end(script ?? '<!doctype html><title>tab</title><script type="module" src="/page.js"></script>');
  });
  server.attach(http);
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const { port } = http.address() as { port: number };
  let note = 0;
  const publishing = setInterval(() => void server.publish(Notes("all"), { number: ++note }), 5);
  return {
    url: `http://127.0.0.1:${port}/`,
    server,
    added,
    sockets,
    handlers,
    async close() {
      clearInterval(publishing);
      await server.close();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

/** Opens a page, which connects. */
export async function openTab(context: BrowserContext, url: string, setup: Setup): Promise<Page> {
  const page = await context.newPage();
  await page.goto(url);
  await start(page, setup);
  return page;
}

/** Connects a page that is there. */
export async function start(page: Page, setup: Setup): Promise<void> {
  await page.waitForFunction(() => "tab" in window);
  await page.evaluate((setup) => window.tab.start(setup), setup);
}

export const seenBy = (page: Page): Promise<Seen> => page.evaluate(() => window.tab.seen);

/** Waits until all that the page does has come on by so much, or something is wrong. */
export async function progress(page: Page, by: number): Promise<void> {
  const { stream, exchanged, adds, notes } = await seenBy(page);
  await page.waitForFunction(
    (least) => {
      const { seen } = window.tab;
      return (
        seen.faults.length > 0 ||
        (seen.stream >= least.stream &&
          seen.exchanged >= least.exchanged &&
          seen.adds >= least.adds &&
          seen.notes >= least.notes)
      );
    },
    { stream: stream + by, exchanged: exchanged + by, adds: adds + by, notes: notes + by },
    { polling: 20 },
  );
}
