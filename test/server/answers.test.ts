// What clients get to see of handlers that fail, and what the log gets instead.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { EchoResponseSchema, EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import {
  type Client,
  Code,
  type Connection,
  connect,
  createClient,
  errorDetail,
  RpcError,
} from "../../src/client/index.js";
import { createServer, type Server, type ServerOptions } from "../../src/server/index.js";
import { echoHandlers } from "../support/echo.js";
import { frames, packet } from "../support/frames.js";
import { rawConnect } from "../support/raw.js";

const SECRET = "the password of the database";
const logged: unknown[][] = [];

let server: Server;
let url = "";
let connection: Connection;
let client: Client<typeof EchoService>;
let throws: unknown;

/** Throws what the test wants, with a stack that says where. */
function fail(): never {
  throw throws;
}

const routes: ServerOptions["routes"] = (router) =>
  router.service(EchoService, {
    ...echoHandlers(),
    echo: (request) => (request.name === "good" ? { name: "good" } : fail()),
    async *repeat(request) {
      yield { number: 1, body: request.body };
      fail();
    },
    async collect(requests) {
      for await (const _ of requests) fail();
      return {};
    },
    async *converse(requests) {
      for await (const { number } of requests) {
        if (number > 1) fail();
        yield { number };
      }
    },
  });

beforeEach(async () => {
  logged.length = 0;
  throws = new Error(SECRET);
  const log = (...line: unknown[]) => void logged.push(line);
  server = createServer({ routes, logger: { warn: log, error: log } });
  ({ url } = await server.listen({ port: 0, host: "127.0.0.1" }));
  connection = connect(url);
  client = createClient(EchoService, connection);
});

afterEach(async () => {
  expect((await client.echo({ name: "good" })).name).toBe("good");
  expect(connection.callsInFlight).toBe(0);
  await connection.close();
  await server.close();
});

async function* two(): AsyncGenerator<{ number: number }> {
  yield { number: 1 };
  yield { number: 2 };
}

async function all(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of messages);
}

/** One call of each kind; each fails. */
const kinds: readonly [kind: string, call: () => Promise<unknown>][] = [
  ["unary", () => client.echo({})],
  ["server streaming", () => all(client.repeat({}))],
  ["client streaming", () => client.collect(two())],
  ["bidirectional", () => all(client.converse(two()))],
];

async function failure(call: Promise<unknown>): Promise<RpcError> {
  const error = await call.then(
    () => "it succeeded",
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RpcError);
  return error as RpcError;
}

describe.each(kinds)("a %s handler", (_kind, call) => {
  test("that throws: INTERNAL, and the details only in the log", async () => {
    const error = await failure(call());
    expect(error).toMatchObject({
      code: Code.Internal,
      rawMessage: "internal error",
      executed: "yes",
      details: [],
    });
    expect(logged).toEqual([[expect.stringContaining("hawser.test.v1.EchoService/"), throws]]);
  });

  test("that throws an RpcError: all of it, and nothing in the log", async () => {
    throws = new RpcError("sold out", Code.FailedPrecondition, {
      metadata: { "retry-in": "5" },
      details: [errorDetail(EchoResponseSchema, { id: 7n })],
      cause: new Error(SECRET),
    });
    const error = await failure(call());
    expect(error).toMatchObject({ code: Code.FailedPrecondition, rawMessage: "sold out", executed: "yes" });
    expect(error.metadata.get("retry-in")).toBe("5");
    expect(error.findDetails(EchoResponseSchema)[0]?.id).toBe(7n);
    expect(error.cause).toBeUndefined();
    expect(logged).toEqual([]);
  });

  test.each([
    ["a string", SECRET],
    ["nothing", undefined],
    ["null", null],
    ["an object without a prototype", Object.create(null)],
    ["an error whose message cannot be read", Object.defineProperty(new Error(), "message", { get: fail })],
  ])("that throws %s: INTERNAL", async (_what, value) => {
    throws = value;
    expect(await failure(call())).toMatchObject({ code: Code.Internal, rawMessage: "internal error" });
    expect(logged).toHaveLength(1);
  });
});

test("nothing of an error's stack or message is on the wire", async () => {
  const raw = await rawConnect(url);
  let bytes = "";
  raw.ws.on("message", (data: Buffer) => {
    bytes += data.toString("latin1");
  });
  await raw.greet();
  raw.send(packet(1, frames.open()));
  expect(await raw.hear("end")).toMatchObject({ code: Code.Internal, message: "internal error" });
  expect(bytes).not.toContain(SECRET);
  expect(bytes).not.toContain(".ts");
  raw.ws.close(1000);
  await raw.closed;
});

describe("a handler that answers with what is no answer", () => {
  const bad: readonly [
    what: string,
    Partial<Parameters<Parameters<ServerOptions["routes"]>[0]["service"]>[1]>,
  ][] = [
    ["no async iterable", { repeat: () => 5 } as never],
    ["a value that the schema does not hold", { echo: () => ({ id: "seven" }) } as never],
    [
      "a value in a stream that the schema does not hold",
      {
        async *repeat() {
          yield { number: -1 };
        },
      } as never,
    ],
  ];

  test.each(bad)("%s: INTERNAL", async (_what, handlers) => {
    const lines: unknown[] = [];
    const other = createServer({
      routes: (router) => router.service(EchoService, handlers as never),
      logger: { warn: (line) => lines.push(line), error: (line) => lines.push(line) },
    });
    const link = connect((await other.listen({ port: 0, host: "127.0.0.1" })).url);
    const echo = createClient(EchoService, link);
    const call = "echo" in handlers ? echo.echo({}) : all(echo.repeat({}));
    expect(await failure(call)).toMatchObject({ code: Code.Internal });
    await link.close();
    await other.close();
  });
});
