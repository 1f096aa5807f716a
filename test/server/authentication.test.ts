// Where credentials come from, how long they are good for, and what strangers may do.
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { Code, type ConnectOptions, connect, createClient, RpcError } from "../../src/client/index.js";
import { type AuthRequest, createServer, type Server, type ServerOptions } from "../../src/server/index.js";
import { createPair } from "../../src/testing/index.js";
import { echoHandlers, echoRoutes } from "../support/echo.js";
import { frames, packet } from "../support/frames.js";
import { rawConnect } from "../support/raw.js";
import { until } from "../support/until.js";

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(options: Partial<ServerOptions> = {}) {
  const requests: AuthRequest[] = [];
  const logged: string[] = [];
  const log = (message: string) => void logged.push(message);
  const server: Server = createServer({
    routes: echoRoutes(),
    logger: { warn: log, error: log },
    authenticate: (request) => {
      requests.push(request);
      return { id: "ada" };
    },
    ...options,
  });
  closers.push(() => server.close());
  const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
  return { server, requests, logged, url: `ws://127.0.0.1:${port}/rpc` };
}

async function connected(url: string, options: ConnectOptions = {}) {
  const connection = connect(url, options);
  closers.push(() => connection.close());
  await connection.ready();
  return connection;
}

const failed = (promise: Promise<unknown>): Promise<RpcError> =>
  promise.then(
    () => expect.fail("it did not fail"),
    (error: RpcError) => error,
  );

describe("a bearer token of the upgrade request", () => {
  test("comes from Authorization", async () => {
    const { url, requests } = await serve();
    await connected(url, { headers: { authorization: "bearer  abc.def " } });
    await connected(url, { headers: { authorization: "Basic YTpi" } });
    await connected(url, { credentials: "t", credentialsIn: "header" });
    expect(requests.map(({ bearer, credentials }) => [bearer, credentials])).toEqual([
      ["abc.def", ""],
      [undefined, ""],
      ["t", "t"],
    ]);
  });

  test("comes from the list of subprotocols, whatever its characters, and is not the one that is spoken", async () => {
    const { url, requests } = await serve();
    await connected(url, { credentials: "å+/= token", credentialsIn: "subprotocol" });
    expect(requests[0]).toMatchObject({ bearer: "å+/= token", credentials: "å+/= token", reason: "connect" });
    const ws = new WebSocket(url, ["hawser.bearer.YWJj", "hawser.v1"]);
    await new Promise((resolve) => ws.once("open", resolve));
    expect(ws.protocol).toBe("hawser.v1");
    ws.terminate();
  });

  test("comes from the query only where that is switched on, which is warned of", async () => {
    const off = await serve();
    await connected(`${off.url}?access_token=abc`);
    expect(off.requests[0]?.bearer).toBeUndefined();
    expect(off.logged).toEqual([]);
    const on = await serve({ queryToken: "access_token" });
    expect(on.logged).toEqual([expect.stringContaining("logs of servers and proxies")]);
    await connected(`${on.url}?a=1&access_token=a%2Bb`);
    await connected(`${on.url}?access_token=no`, { headers: { authorization: "Bearer yes" } });
    expect(on.requests.map(({ bearer }) => bearer)).toEqual(["a+b", "yes"]);
  });

  test("cookies are parsed", async () => {
    const { url, requests } = await serve();
    await connected(url, { headers: { cookie: "session=s%20id; theme=dark" } });
    await connected(url);
    expect(requests.map(({ cookies }) => ({ ...cookies }))).toEqual([{ session: "s id", theme: "dark" }, {}]);
  });
});

describe('authenticateAt: "upgrade"', () => {
  const authenticate: ServerOptions["authenticate"] = ({ bearer, reason }) => {
    if (bearer === undefined) throw new RpcError("no token", Code.Unauthenticated);
    if (bearer === "mallory") throw new RpcError("not you", Code.PermissionDenied);
    if (bearer === "later") throw new RpcError("the user store is down", Code.Unavailable);
    if (bearer === "fault") throw new Error("secret detail");
    return { id: `${bearer} at ${reason}` };
  };

  test.each([
    ["", 401, "no token"],
    ["mallory", 403, "not you"],
    ["later", 503, "the user store is down"],
    ["fault", 500, "authentication failed inside the server"],
  ])("%j is answered with HTTP %i", async (token, status, text) => {
    const { url } = await serve({ authenticate, authenticateAt: "upgrade" });
    const { port } = new URL(url);
    const response = await new Promise<{ status: number; body: string; challenge: unknown }>((resolve) => {
      const ws = new WebSocket(`ws://127.0.0.1:${port}/rpc`, "hawser.v1", {
        headers: token === "" ? {} : { authorization: `Bearer ${token}` },
      });
      ws.once("unexpected-response", (_request, message) => {
        let body = "";
        message.on("data", (chunk: Buffer) => {
          body += chunk.toString();
        });
        message.on("end", () => {
          const challenge = message.headers["www-authenticate"];
          resolve({ status: message.statusCode ?? 0, body, challenge });
        });
      });
    });
    expect(response).toEqual({ status, body: `${text}\n`, challenge: status === 401 ? "Bearer" : undefined });
  });

  test("who is let in is not asked for again, and says who it is to the handlers", async () => {
    let asked = 0;
    const { url, server } = await serve({
      authenticate: async (request) => {
        asked++;
        return authenticate(request);
      },
      authenticateAt: "upgrade",
    });
    await connected(url, { credentials: "ada", credentialsIn: "header" });
    expect([...server.sessions].map(({ identity }) => identity?.id)).toEqual(["ada at upgrade"]);
    expect(asked).toBe(1);
  });

  test("a client that is turned away stops, and its calls say why", async () => {
    const { url } = await serve({ authenticate, authenticateAt: "upgrade" });
    const connection = connect(url, { credentials: "mallory", credentialsIn: "header" });
    const error = await failed(createClient(EchoService, connection).echo({}));
    expect(error).toMatchObject({ code: Code.PermissionDenied, executed: "no" });
  });

  test("a hook that takes too long is answered with 503, and what it says then is not used", async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { url, server } = await serve({
      authenticate: async () => {
        await gate;
        return { id: "late" };
      },
      authenticateAt: "upgrade",
      handshakeTimeoutMs: 20,
    });
    await expect(rawConnect(url)).rejects.toThrow("503");
    release();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(server.sessions.size).toBe(0);
  });
});

describe("credentials that expire", () => {
  const LIFE_MS = 120_000;

  /** Tokens "name until"; a name may be changed, and issuing may fail. */
  function pairOf(name: string, options: { readonly server?: Partial<ServerOptions>; fixed?: boolean } = {}) {
    const state = { name, issued: 0, failing: false, unavailable: false };
    const issue = async () => {
      // The first time, the clock is not there yet.
      await undefined;
      if (state.failing) throw new Error("the issuer is down");
      state.issued++;
      return `${state.name} ${pair.clock.now() + LIFE_MS}`;
    };
    const pair = createPair({
      server: {
        routes: echoRoutes(),
        authenticate: ({ credentials, reason }) => {
          if (state.unavailable && reason === "refresh") throw new RpcError("down", Code.Unavailable);
          const [id = "", until = "0"] = credentials.split(" ");
          return { id, expiresAt: Number(until), claims: { until: Number(until) } };
        },
        ...options.server,
      },
      client: {
        credentials: options.fixed === true ? `${name} ${LIFE_MS}` : issue,
        reconnect: { initialDelayMs: 10 },
      },
    });
    const breaks: string[] = [];
    pair.connection.on("reconnecting", ({ code, reason }) => breaks.push(`${code} ${reason}`));
    return { pair, state, breaks };
  }

  test("are asked for ahead of time, and calls go on over many lives of them", async () => {
    const { pair, state, breaks } = pairOf("ada");
    const client = createClient(EchoService, pair.connection);
    for (let minute = 0; minute < 20; minute++) {
      await pair.clock.advance(60_000);
      const call = client.echo({ name: "x" });
      await pair.clock.advance(100);
      expect(await call).toMatchObject({ name: "x" });
    }
    expect(breaks).toEqual([]);
    // One at the beginning, and one 30 s before the end of each.
    expect(state.issued).toBe(1 + Math.floor((20 * 60_100) / (LIFE_MS - 30_000)));
    const [session] = pair.sessions;
    expect(session?.identity?.claims).toMatchObject({ until: expect.any(Number) });
    expect((session?.identity?.expiresAt ?? 0) > pair.clock.now()).toBe(true);
    await pair.close();
    pair.assertFinished();
  });

  test("that cannot be renewed end the link with 4401, and the connection", async () => {
    const { pair } = pairOf("ada", { fixed: true });
    const closed = new Promise((resolve) => pair.connection.on("closed", resolve));
    await pair.clock.advance(LIFE_MS + 100);
    expect(await closed).toEqual({ code: 4401, reason: "the credentials have expired" });
    await pair.close();
  });

  test("whose issuer is down for a while end the link, and the session goes on when it is back", async () => {
    const { pair, state, breaks } = pairOf("ada");
    await pair.clock.advance(1_000);
    const { sessionId } = pair.connection;
    state.failing = true;
    await pair.clock.advance(LIFE_MS);
    expect(breaks[0]).toBe("4401 the credentials have expired");
    state.failing = false;
    await pair.clock.runUntil(() => pair.connection.state === "open");
    expect(pair.connection.sessionId).toBe(sessionId);
    await pair.close();
    pair.assertFinished();
  });

  test("of somebody else are no fresh credentials", async () => {
    const { pair, state } = pairOf("ada");
    const closed = new Promise((resolve) => pair.connection.on("closed", resolve));
    await pair.clock.advance(1_000);
    state.name = "grace";
    await pair.clock.advance(LIFE_MS);
    expect(await closed).toEqual({ code: 4403, reason: "the fresh credentials are those of somebody else" });
    await pair.close();
  });

  test("that cannot be looked at now are good until they expire", async () => {
    const { pair, state, breaks } = pairOf("ada");
    await pair.clock.advance(1_000);
    state.unavailable = true;
    await pair.clock.advance(LIFE_MS - 2_000);
    expect(breaks).toEqual([]);
    await pair.clock.advance(2_000);
    expect(breaks).toEqual(["4401 the credentials have expired"]);
    await pair.close();
  });

  test("that have expired already are none", async () => {
    const { url, requests } = await serve({ authenticate: () => ({ id: "ada", expiresAt: Date.now() - 1 }) });
    const raw = await rawConnect(url);
    raw.send(packet(0, frames.hello()));
    expect(await raw.closed).toEqual({ code: 4401, reason: "the credentials have expired" });
    expect(requests).toEqual([]);
  });

  test("come unasked, one at a time", async () => {
    let asked = 0;
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { url } = await serve({
      authenticate: async ({ reason }) => {
        if (reason === "refresh") {
          asked++;
          await gate;
        }
        return { id: "ada", expiresAt: Date.now() + 3_600_000 };
      },
    });
    const raw = await rawConnect(url);
    await raw.greet();
    const refresh = { kind: "refresh", credentials: "new", withinMs: 0 } as const;
    raw.send(packet(0, refresh));
    raw.send(packet(0, refresh, refresh));
    await raw.settled();
    expect(asked).toBe(1);
    release();
    await raw.settled();
    raw.send(packet(0, refresh));
    await until(() => asked === 2);
    raw.ws.terminate();
  });
});

describe("credentials() of a client", () => {
  test("that never settles is given up, and asked again", async () => {
    const { url } = await serve();
    let asked = 0;
    const connection = connect(url, {
      credentials: () => (++asked === 1 ? new Promise(() => undefined) : "token"),
      handshakeTimeoutMs: 30,
      reconnect: { initialDelayMs: 1 },
    });
    const reasons: string[] = [];
    connection.on("reconnecting", ({ reason }) => reasons.push(reason));
    await connection.ready();
    expect(reasons).toEqual(["credentials() gave nothing within 30 ms"]);
    await connection.close();
  });

  test("gets one more chance after 4401", async () => {
    const { url } = await serve({
      authenticate: ({ credentials }) => {
        if (credentials !== "fresh") throw new RpcError("stale", Code.Unauthenticated);
        return { id: "ada" };
      },
    });
    const tokens = ["stale", "fresh"];
    const connection = connect(url, {
      credentials: () => tokens.shift() ?? "none",
      reconnect: { initialDelayMs: 1 },
    });
    await connection.ready();
    expect(tokens).toEqual([]);
    await connection.close();
  });
});

describe("a stranger", () => {
  test("may send 36 KiB; more is not even read to its end", async () => {
    let entered = 0;
    const { url, server } = await serve({
      routes: (router) =>
        router.service(EchoService, {
          ...echoHandlers(),
          echo: () => {
            entered++;
            return {};
          },
        }),
    });
    const raw = await rawConnect(url);
    // The head of a WebSocket message of 1 MiB, then a part of it.
    const head = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0]);
    raw.socket.write(Buffer.concat([head, Buffer.alloc(40 * 1024)]));
    expect(await raw.closed).toEqual({ code: 1009, reason: "more than 36864 bytes before authentication" });
    expect([entered, server.sessions.size]).toEqual([0, 0]);
  });

  test("has five seconds by default", async () => {
    const pair = createPair({
      server: { routes: echoRoutes(), authenticate: () => new Promise(() => undefined) },
    });
    const reasons: string[] = [];
    pair.connection.on("reconnecting", ({ code, reason }) => reasons.push(`${code} ${reason}`));
    await pair.clock.advance(5_100);
    expect(reasons).toEqual(["4408 the handshake took longer than 5000 ms"]);
    await pair.close();
  });

  test("that calls before Welcome is cut off, and no handler runs", async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    let entered = 0;
    const { url } = await serve({
      authenticate: async () => {
        await gate;
        return { id: "ada" };
      },
      routes: (router) =>
        router.service(EchoService, {
          ...echoHandlers(),
          echo: () => {
            entered++;
            return {};
          },
        }),
    });
    const raw = await rawConnect(url);
    raw.send(packet(0, frames.hello()));
    raw.send(packet(1, frames.open()));
    expect(await raw.closed).toMatchObject({ code: 4400 });
    release();
    expect(entered).toBe(0);
  });
});
