// What a client does with servers that break the rules: it closes with a code, its calls get a status, it comes back.
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import {
  type Client,
  Code,
  type Connection,
  type ConnectOptions,
  connect,
  createClient,
  RpcError,
} from "../../src/client/index.js";
import { ackPacket, frames, hexBytes, joined, packet } from "../support/frames.js";
import { type RawEnd, type RawServer, rawServer } from "../support/raw.js";

const MAX_UINT = Number.MAX_SAFE_INTEGER;
const rejections: unknown[] = [];
const onRejection = (reason: unknown) => rejections.push(reason);

beforeAll(() => {
  process.on("unhandledRejection", onRejection);
});

afterAll(() => {
  process.off("unhandledRejection", onRejection);
});

let server: RawServer;
let connection: Connection;
let client: Client<typeof EchoService>;

const options: ConnectOptions = {
  reconnect: { initialDelayMs: 1, maxDelayMs: 4 },
  limits: { messageBytes: 100_000, packetBytes: 262_144, creditBytes: 65_536, calls: 2 },
  handshakeTimeoutMs: 300,
};

beforeEach(async () => {
  server = await rawServer();
  connection = connect(server.url, options);
  client = createClient(EchoService, connection);
});

afterEach(async () => {
  await connection.close();
  await server.close();
  expect(connection.callsInFlight).toBe(0);
  expect(rejections).toEqual([]);
});

/** What a call came to. */
async function outcome(call: Promise<unknown>): Promise<RpcError> {
  try {
    await call;
  } catch (error) {
    expect(error).toBeInstanceOf(RpcError);
    return error as RpcError;
  }
  throw new Error("the call succeeded");
}

/** Lets a good server take over: greets, answers the first call. */
async function serveWell(link: RawEnd): Promise<void> {
  await link.hear("hello");
  link.send(packet(0, frames.welcome({ session: new Uint8Array(16).fill(42) })));
  const { call } = await link.hear("open");
  link.send(packet(1, frames.end({ call, payload: hexBytes("12 04 67 6f 6f 64") })));
}

describe("before Welcome", () => {
  const table: readonly [what: string, code: number, message: Uint8Array | string][] = [
    ["garbage", 1007, Uint8Array.from({ length: 50 }, () => 0xff)],
    ["a truncated Welcome", 1007, packet(0, frames.welcome()).subarray(0, -1)],
    ["a packet over the limit", 1009, new Uint8Array(262_145)],
    ["a Welcome with a short session id", 1002, packet(0, frames.welcome({ session: new Uint8Array(15) }))],
    ["a Welcome without a session id", 1002, packet(0, frames.welcome({ session: new Uint8Array(0) }))],
    ["a Welcome back to a session that never was", 1002, packet(0, frames.welcome({ resumed: true }))],
    ["a Hello", 1002, packet(0, frames.hello())],
    ["a Ping", 1002, packet(0, frames.ping())],
    ["a call", 1002, packet(1, frames.open({ call: 2 }))],
    ["an acknowledgement", 1002, ackPacket(1)],
    ["an empty packet", 1002, new Uint8Array(0)],
  ];

  test.each(table)("%s: %i, and it tries again", async (_what, code, message) => {
    const answer = client.echo({});
    const link = await server.next();
    await link.hear("hello");
    link.send(message);
    expect(await link.closed).toMatchObject({ code });
    await serveWell(await server.next());
    expect(await answer).toMatchObject({ name: "good" });
  });

  test("a text message: 1003, and it gives up", async () => {
    const answer = outcome(client.echo({}));
    const link = await server.next();
    link.send("hello");
    await link.closed;
    expect(await answer).toMatchObject({ code: Code.FailedPrecondition, executed: "no" });
    expect(connection.state).toBe("closed");
  });

  test("nothing at all: 4408, and it tries again", async () => {
    const answer = client.echo({});
    const link = await server.next();
    expect(await link.closed).toMatchObject({ code: 4408 });
    await serveWell(await server.next());
    expect(await answer).toMatchObject({ name: "good" });
  });
});

describe("in a session", () => {
  /** Opens a session with one unary call in flight. */
  async function begin(): Promise<{ link: RawEnd; answer: Promise<unknown>; error: Promise<RpcError> }> {
    const answer = client.echo({ name: "x" });
    const error = outcome(answer);
    error.catch(() => undefined);
    const link = await server.next();
    await link.hear("hello");
    link.send(packet(0, frames.welcome()));
    await link.hear("open");
    return { link, answer, error };
  }

  const broken: readonly [what: string, ...messages: Uint8Array[]][] = [
    ["a packet that is not due", packet(2, frames.end())],
    ["an acknowledgement of what was never sent", ackPacket(2)],
    ["an absurd acknowledgement", ackPacket(MAX_UINT)],
    ["a second Welcome", packet(0, frames.welcome())],
    ["a Hello", packet(0, frames.hello())],
    ["an end without a packet number", packet(0, frames.end())],
    ["an unknown frame with a packet number", hexBytes("08 01 1a 03 fa 01 00")],
    ["an end of a call that was never made", packet(1, frames.end({ call: 3 }))],
    ["an end of call 0", packet(1, frames.end({ call: 0 }))],
    ["an end of a call of its own", packet(1, frames.end({ call: 2 }))],
    ["data for a call that was never made", packet(1, frames.data({ call: 99 }))],
    ["credit for a call that was never made", packet(1, frames.credit({ call: 3 }))],
    ["a cancel of the client's call", packet(1, frames.cancel())],
    ["a call with an id of the client's", packet(1, frames.open({ call: 3 }))],
    ["a call with id 0", packet(1, frames.open({ call: 0 }))],
    ["a call with a method that has no name", packet(1, frames.open({ call: 2, name: "" }))],
    ["a call id twice", packet(1, frames.open({ call: 2 }), frames.open({ call: 2, name: "" }))],
    ["more than the credit", packet(1, frames.data({ size: 90_000, payload: new Uint8Array(65_530) }))],
    ["a size below the first piece's", packet(1, frames.data({ size: 1, payload: new Uint8Array(2) }))],
    [
      "an end inside a message",
      packet(1, frames.data({ size: 9 }), frames.end({ payload: new Uint8Array(10) })),
    ],
  ];

  test.each(broken)("%s: 1002, the call is lost, another session begins", async (_what, ...messages) => {
    const { link, error } = await begin();
    for (const message of messages) link.send(message);
    expect(await link.closed).toMatchObject({ code: 1002 });
    expect(await error).toMatchObject({ code: Code.Unavailable, executed: "unknown" });
    const second = client.echo({});
    const next = await server.next();
    // It does not ask for the session in which the rule was broken.
    expect(await next.hear("hello")).toMatchObject({ mode: 1, received: 0 });
    next.send(packet(0, frames.welcome({ session: new Uint8Array(16).fill(42) })));
    const { call } = await next.hear("open");
    next.send(packet(1, frames.end({ call, payload: hexBytes("12 04 67 6f 6f 64") })));
    expect(await second).toMatchObject({ name: "good" });
  });

  const malformed: readonly [what: string, code: number, message: Uint8Array][] = [
    ["garbage", 1007, hexBytes("ff ff ff ff ff ff ff ff")],
    ["a truncated packet", 1007, hexBytes("1a 7f 0a 02 08 01")],
    ["a negative length", 1007, hexBytes("1a ff ff ff ff ff ff ff ff ff 01")],
    ["a packet number above 2^53", 1007, hexBytes("08 ff ff ff ff ff ff ff 7f")],
    ["a packet over the limit", 1009, new Uint8Array(262_145)],
    ["too many frames", 1009, joined(...Array.from({ length: 4_097 }, () => hexBytes("1a 00")))],
  ];

  test.each(malformed)("%s: %i, and the session goes on", async (_what, code, message) => {
    const { link, answer } = await begin();
    link.send(message);
    expect(await link.closed).toMatchObject({ code });
    const next = await server.next();
    expect(await next.hear("hello")).toMatchObject({ mode: 2, received: 0 });
    next.send(packet(0, frames.welcome({ resumed: true, received: 1 })));
    next.send(packet(1, frames.end({ payload: hexBytes("12 04 67 6f 6f 64") })));
    expect(await answer).toMatchObject({ name: "good" });
  });

  test("a Welcome back that has received what was never sent: 1002", async () => {
    const { link, error } = await begin();
    link.ws.terminate();
    const next = await server.next();
    await next.hear("hello");
    next.send(packet(0, frames.welcome({ resumed: true, received: 2 })));
    expect(await next.closed).toMatchObject({ code: 1002 });
    expect(await error).toMatchObject({ code: Code.Unavailable, executed: "unknown" });
  });

  test("a Welcome back that has forgotten what it acknowledged: 1002", async () => {
    const { link, error } = await begin();
    link.send(ackPacket(1));
    await link.settled();
    link.ws.terminate();
    const next = await server.next();
    await next.hear("hello");
    next.send(packet(0, frames.welcome({ resumed: true, received: 0 })));
    expect(await next.closed).toMatchObject({ code: 1002 });
    expect(await error).toMatchObject({ code: Code.Unavailable, executed: "unknown" });
  });

  const statuses: readonly [
    what: string,
    code: Code,
    executed: string,
    ...list: Parameters<typeof packet>[1][],
  ][] = [
    ["an answer without a message", Code.Unimplemented, "yes", frames.end()],
    ["two messages", Code.Unimplemented, "yes", frames.data(), frames.data()],
    [
      "a message and another with the end",
      Code.Unimplemented,
      "yes",
      frames.data(),
      frames.end({ payload: new Uint8Array(0) }),
    ],
    ["a message that does not decode", Code.Internal, "yes", frames.end({ payload: hexBytes("0a ff") })],
    [
      "a message that says it is over the limit",
      Code.ResourceExhausted,
      "unknown",
      frames.data({ size: 100_001 }),
    ],
    [
      "a message that says it is as large as can be",
      Code.ResourceExhausted,
      "unknown",
      frames.data({ size: MAX_UINT }),
    ],
    [
      "a message over the limit with the end",
      Code.ResourceExhausted,
      "unknown",
      frames.end({ payload: new Uint8Array(100_001) }),
    ],
    ["a status that nobody knows", Code.Unknown, "yes", frames.end({ code: 99, message: "?" })],
    ["a status as large as can be", Code.Unknown, "yes", frames.end({ code: 0xffff_ffff })],
    [
      "a status with metadata that no header may hold",
      Code.NotFound,
      "yes",
      frames.end({
        code: 5,
        trailers: [
          ["", "\r\n"],
          ["a b", "\0"],
        ],
      }),
    ],
    [
      "a status with a detail that does not decode",
      Code.NotFound,
      "yes",
      frames.end({ code: 5, details: [{ type: "?", value: hexBytes("ff") }] }),
    ],
  ];

  test.each(statuses)("%s: status %i", async (_what, code, executed, ...list) => {
    const { link, error } = await begin();
    link.send(packet(1, ...list));
    expect(await error).toMatchObject({ code, executed });
    // Nothing about a single call closes the link.
    await link.settled();
    expect(connection.callsInFlight).toBe(0);
  });

  test("calls to a client that serves nothing, and more than it takes", async () => {
    const { link } = await begin();
    link.send(packet(1, frames.open({ call: 2 }), frames.open({ call: 4, name: "" })));
    for (const call of [2, 4]) {
      expect(await link.hear("end", (end) => end.call === call)).toMatchObject({
        code: Code.Unimplemented,
        refused: true,
      });
    }
    await link.settled();
  });

  const harmless: readonly [what: string, ...messages: Uint8Array[]][] = [
    ["an unknown frame without a packet number", hexBytes("1a 03 fa 01 00")],
    ["a Pong that nobody asked for", packet(0, frames.pong({ id: 77 }))],
    ["absurd credit", packet(1, frames.credit({ bytes: MAX_UINT }), frames.credit({ bytes: MAX_UINT }))],
    ["an empty packet", new Uint8Array(0)],
    ["a GoAway that asks for nothing", packet(0, frames.goAway({ reconnect: false, afterMs: 0xffff_ffff }))],
  ];

  test.each(harmless)("%s: nothing happens", async (_what, ...messages) => {
    const { link, answer } = await begin();
    for (const message of messages) link.send(message);
    await link.settled();
    const seq = 1 + messages.filter((message) => message[0] === 0x08).length;
    link.send(packet(seq, frames.end({ payload: hexBytes("12 04 67 6f 6f 64") })));
    expect(await answer).toMatchObject({ name: "good" });
  });
});

describe("what is no Hawser server at all", () => {
  /** A connection to a port of this machine that fails once and is then closed. The reason of the failure. */
  async function failure(port: number): Promise<string> {
    const other = connect(`ws://127.0.0.1:${port}/rpc`, {
      reconnect: { initialDelayMs: 1, maxAttempts: 1 },
    });
    const error = await outcome(createClient(EchoService, other).echo({}));
    expect(error).toMatchObject({ code: Code.Unavailable, executed: "no" });
    expect(other.state).toBe("closed");
    return error.message;
  }

  test("a web server", async () => {
    const http = createHttpServer((_request, response) => response.end("hello"));
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void http.close());
    expect(await failure((http.address() as AddressInfo).port)).toContain("HTTP 200");
  });

  test("a server of another subprotocol", async () => {
    const http = createHttpServer();
    http.on("upgrade", (_request, socket) => {
      socket.end("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void http.close());
    expect(await failure((http.address() as AddressInfo).port)).toContain("Sec-WebSocket-Accept");
  });

  test.each([
    ["says nothing of HTTP", Buffer.from("220 smtp.example ESMTP\r\n")],
    ["hangs up", undefined],
  ])("a server that %s", async (_what, bytes) => {
    const tcp = createTcpServer((socket) => {
      socket.on("error", () => undefined);
      if (bytes === undefined) socket.destroy();
      else socket.end(bytes);
    });
    await new Promise<void>((resolve) => tcp.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void tcp.close());
    expect(await failure((tcp.address() as AddressInfo).port)).toContain("gave up after 1 attempt");
  });
});
