// Servers call services that their clients serve.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { Code, type Connection, connect, createClient, type HandlerContext } from "../../src/client/index.js";
import { createServer, type Server, type ServerSession } from "../../src/server/index.js";
import { createFaultProxy, type FaultProxy } from "../../src/testing/index.js";
import { Executions, echoHandlers, echoRoutes, exchange, expectedResult } from "../support/echo.js";
import { until } from "../support/until.js";

let server: Server;
let link: FaultProxy;
let connection: Connection;
let seen: HandlerContext | undefined;
let executions: Executions;

beforeEach(async () => {
  executions = new Executions();
  server = createServer({
    authenticate: ({ credentials }) => ({ id: credentials, claims: { admin: true } }),
    routes: (router) =>
      router.service(EchoService, {
        ...echoHandlers(),
        // Asks the caller back, on the same connection, before it answers.
        async echo(request, context) {
          seen = context;
          if (request.name !== "ask") return { name: request.name };
          return createClient(EchoService, context.peer).echo({ name: "asked back" });
        },
      }),
    logger: { warn: () => undefined, error: () => undefined },
  });
  const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
  link = await createFaultProxy({ target: { port: port } });
  connection = connect(link.url, {
    credentials: "ada",
    routes: echoRoutes(executions),
    reconnect: { initialDelayMs: 1, maxDelayMs: 4 },
  });
  await connection.ready();
});

afterEach(async () => {
  await connection.close();
  await link.close();
  await server.close();
});

function session(): ServerSession {
  const [only] = server.sessions;
  if (only === undefined) throw new Error("there is no session");
  return only;
}

test("the handler's context knows the session and calls back through it", async () => {
  const { name } = await createClient(EchoService, connection).echo({ name: "ask" });
  expect(name).toBe("asked back");
  expect(seen?.session).toEqual({
    id: connection.sessionId,
    identity: { id: "ada", claims: { admin: true } },
  });
  expect(seen?.service.typeName).toBe("hawser.test.v1.EchoService");
  expect(seen?.method.name).toBe("Echo");
});

test("a session's peer makes calls of all four kinds", async () => {
  expect(session()).toMatchObject({
    id: connection.sessionId,
    connected: true,
    callsInFlight: 0,
    rtt: undefined,
  });
  expect(await exchange(createClient(EchoService, session().peer), "down")).toEqual(expectedResult("down"));
  expect(executions.of("down")).toEqual({ echo: 1, repeat: 1, collect: 1, converse: 1 });
  expect(session().callsInFlight).toBe(0);
});

test.each(["end", "reset"] as const)("calls to a client outlive its link (%s)", async (how) => {
  const call = exchange(createClient(EchoService, session().peer), "cut");
  link.cut(how);
  expect(await call).toEqual(expectedResult("cut"));
  expect(executions.of("cut")).toEqual({ echo: 1, repeat: 1, collect: 1, converse: 1 });
});

describe("while the client has no link", () => {
  beforeEach(async () => {
    // The client finds nobody at the other end any more.
    await link.close();
    await until(() => !session().connected);
  });

  test("calls reach their deadline", async () => {
    const call = createClient(EchoService, session().peer).echo({}, { timeoutMs: 20 });
    await expect(call).rejects.toMatchObject({ code: Code.DeadlineExceeded, executed: "no" });
  });

  test("calls that do not want to wait fail at once", async () => {
    const call = createClient(EchoService, session().peer).echo({}, { waitForReady: false });
    await expect(call).rejects.toMatchObject({ code: Code.Unavailable, executed: "no" });
  });

  test("calls fail when the session ends", async () => {
    const { peer } = session();
    const call = createClient(EchoService, peer).echo({});
    session().close();
    await expect(call).rejects.toMatchObject({ code: Code.Unavailable, executed: "no" });
    await expect(createClient(EchoService, peer).echo({})).rejects.toMatchObject({ code: Code.Unavailable });
  });
});

test("a client that serves nothing answers UNIMPLEMENTED", async () => {
  const other = connect(link.url, { credentials: "grace" });
  await other.ready();
  const theirs = [...server.sessions].find(({ identity }) => identity?.id === "grace");
  const call = createClient(EchoService, theirs!.peer).echo({});
  await expect(call).rejects.toMatchObject({ code: Code.Unimplemented, executed: "no" });
  await other.close();
});
