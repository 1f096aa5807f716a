// Calls from a real page: all kinds, metadata, cancellation, deadlines, large messages, credentials.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { Code, type HandlerContext, RpcError } from "../../src/index.js";
import type { AuthRequest } from "../../src/server/index.js";
import { launchChromium } from "../demo/chromium.js";
import { echoHandlers, expectedResult } from "../support/echo.js";
import { until } from "../support/until.js";
import type {} from "./page/kit.js";
import { kitFiles, openPage, openSite, type Site } from "./site.js";

const MiB = 1024 * 1024;

let site: Site;
let browser: Browser;
let page: Page;
let faults: readonly string[];
/** What the server was shown, connection by connection. */
const shown: { readonly credentials: string; readonly bearer: string | undefined }[] = [];
/** Names of calls that are in their handlers. */
const running = new Set<string>();

async function linger(name: string, { signal }: HandlerContext): Promise<void> {
  running.add(name);
  await new Promise((done) => signal.addEventListener("abort", done));
  running.delete(name);
}

beforeAll(async () => {
  browser = await launchChromium();
  const handlers = echoHandlers();
  site = await openSite(await kitFiles(), {
    limits: { messageBytes: 16 * MiB },
    authenticate({ credentials, bearer }: AuthRequest) {
      shown.push({ credentials, bearer });
      if (credentials === "wrong") throw new RpcError("nobody knows you", Code.Unauthenticated);
      return { id: "ada" };
    },
    routes: (router) =>
      router.service(EchoService, {
        ...handlers,
        async echo(request, context) {
          for (const [name, value] of context.requestHeader)
            if (name.startsWith("x-")) context.responseHeader.set(name, value);
          context.responseTrailer.set("x-trailer", "behind");
          if (request.name === "fail") throw new RpcError("as you wish", Code.Aborted);
          if (request.name.startsWith("linger")) await linger(request.name, context);
          return { id: request.id, name: request.name, body: request.body };
        },
        async *repeat(request, context) {
          if (request.count === 0) await linger("repeat", context);
          yield* handlers.repeat(request, context) as AsyncIterable<{ number: number }>;
        },
      }),
  });
  ({ page, faults } = await openPage(browser, site.url));
});

afterAll(async () => {
  await browser?.close();
  await site?.close();
  expect(faults).toEqual([]);
  expect([...running]).toEqual([]);
});

test("all four kinds, side by side", async () => {
  const result = await page.evaluate(async () => {
    const connection = kit.connect(kit.url);
    const client = kit.createClient(kit.EchoService, connection);
    const results = await Promise.all(["a", "b", "c"].map((tag) => kit.exchange(client, tag)));
    await connection.close();
    return results;
  });
  expect(result).toEqual(["a", "b", "c"].map(expectedResult));
});

test("metadata of both directions, and an error with its code", async () => {
  const result = await page.evaluate(async () => {
    const connection = kit.connect(kit.url);
    const client = kit.createClient(kit.EchoService, connection);
    const seen: (string | null)[] = [];
    await client.echo(
      { name: "ada" },
      {
        headers: { "x-asked": "of a page" },
        onHeader: (headers) => seen.push(headers.get("x-asked")),
        onTrailer: (trailers) => seen.push(trailers.get("x-trailer")),
      },
    );
    const error = await client.echo({ name: "fail" }).catch((reason: unknown) => kit.RpcError.from(reason));
    await connection.close();
    if (!(error instanceof kit.RpcError)) return { seen };
    return {
      seen,
      code: error.code,
      message: error.rawMessage,
      executed: error.executed,
      trailer: error.metadata.get("x-trailer"),
    };
  });
  expect(result).toEqual({
    seen: ["of a page", "behind"],
    code: Code.Aborted,
    message: "as you wish",
    executed: "yes",
    trailer: "behind",
  });
});

test("cancellation by signal, by leaving a loop and by deadline reaches the handler", async () => {
  const calls = page.evaluate(async () => {
    const connection = kit.connect(kit.url);
    const client = kit.createClient(kit.EchoService, connection);
    const control = new AbortController();
    const codeOf = (reason: unknown) => kit.RpcError.from(reason).code;
    const bySignal = client.echo({ name: "linger" }, { signal: control.signal }).catch(codeOf);
    const byDeadline = client.echo({ name: "linger shortly" }, { timeoutMs: 50 }).catch(codeOf);
    const replies = client.repeat({ count: 0 })[Symbol.asyncIterator]();
    const waits = replies.next();
    kit.kept.connection = connection;
    kit.kept.done = Promise.all([bySignal, byDeadline, waits.then(({ done }) => done)]);
    addEventListener("abort-now", () => {
      control.abort();
      void replies.return?.();
    });
    return byDeadline;
  });
  await until(() => running.has("linger") && running.has("repeat"));
  expect(await calls).toBe(Code.DeadlineExceeded);
  await page.evaluate(() => dispatchEvent(new Event("abort-now")));
  const outcomes = await page.evaluate(() => kit.kept.done);
  expect(outcomes).toEqual([Code.Canceled, Code.DeadlineExceeded, true]);
  await until(() => running.size === 0);
  await page.evaluate(() => kit.kept.connection?.close());
});

test("messages of 8 MiB, there and back over a link that breaks in the middle", async () => {
  const result = page.evaluate(async (bytes) => {
    const connection = kit.connect(kit.url, {
      limits: { messageBytes: 16 * 1024 * 1024 },
      reconnect: { initialDelayMs: 10 },
    });
    const client = kit.createClient(kit.EchoService, connection);
    const body = new Uint8Array(bytes);
    for (let at = 0; at < bytes; at += 65_536) crypto.getRandomValues(body.subarray(at, at + 65_536));
    let resumed = 0;
    connection.on("resumed", () => resumed++);
    let small = 0;
    let done = false;
    const beside = (async () => {
      for (; !done; small++) await client.echo({ name: "beside" });
    })();
    const { body: answer } = await client.echo({ body });
    done = true;
    await beside;
    await connection.close();
    const same = answer.length === body.length && answer.every((byte, index) => byte === body[index]);
    return { same, resumed, beside: small > 0 };
  }, 8 * MiB);
  const passed = () => site.proxy.passed.at(-1)?.up ?? 0;
  await until(() => site.proxy.live > 0 && passed() > MiB);
  site.proxy.cut("reset");
  expect(await result).toEqual({ same: true, resumed: 1, beside: true });
});

test("credentials in the first packet, and in a subprotocol", async () => {
  shown.length = 0;
  const spoken = await page.evaluate(async () => {
    const results: unknown[] = [];
    for (const credentialsIn of ["hello", "subprotocol"] as const) {
      let asked = 0;
      const connection = kit.connect(kit.url, {
        credentialsIn,
        credentials: async () => `token ${++asked} äöü`,
      });
      await connection.ready();
      results.push((await kit.createClient(kit.EchoService, connection).echo({ name: credentialsIn })).name);
      await connection.close();
    }
    return results;
  });
  expect(spoken).toEqual(["hello", "subprotocol"]);
  const credentials = "token 1 äöü";
  expect(shown).toEqual([
    { credentials, bearer: undefined },
    { credentials, bearer: credentials },
  ]);
});

test("who is turned away learns why", async () => {
  const result = await page.evaluate(async () => {
    const connection = kit.connect(kit.url, { credentials: "wrong" });
    const error = await kit.createClient(kit.EchoService, connection).echo({}).catch(kit.RpcError.from);
    return error instanceof kit.RpcError && { code: error.code, message: error.rawMessage };
  });
  expect(result).toEqual({
    code: Code.Unauthenticated,
    message: "the server closed the connection: nobody knows you (4401)",
  });
});
