// What a server does with clients that break the rules: a close code or a status each, and everybody else is served.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { Code, connect, createClient } from "../../src/client/index.js";
import { createServer, type Server } from "../../src/server/index.js";
import { encodePacket } from "../../src/wire/encode.js";
import { echoHandlers } from "../support/echo.js";
import { ackPacket, frames, hexBytes, joined, packet } from "../support/frames.js";
import { type RawClient, rawConnect } from "../support/raw.js";
import { until } from "../support/until.js";

const MAX_UINT = Number.MAX_SAFE_INTEGER;
const REPEAT = "hawser.test.v1.EchoService/Repeat";
const COLLECT = "hawser.test.v1.EchoService/Collect";
const CONVERSE = "hawser.test.v1.EchoService/Converse";

/** A tag of field 3 (`frames`) and a length that says more than there is. */
const TRUNCATED = hexBytes("1a 7f 0a 02 08 01");

let server: Server;
let url = "";
const logged: string[] = [];
const aborted: string[] = [];
const rejections: unknown[] = [];
const onRejection = (reason: unknown) => rejections.push(reason);

beforeAll(async () => {
  process.on("unhandledRejection", onRejection);
  server = createServer({
    routes: (router) =>
      router.service(EchoService, {
        ...echoHandlers(),
        // Reads nothing and never answers, until it is told to stop.
        collect: (_requests, context) =>
          new Promise((_resolve, reject) => {
            context.signal.addEventListener("abort", () => {
              aborted.push(String(context.signal.reason));
              reject(context.signal.reason);
            });
          }),
      }),
    handshakeTimeoutMs: 300,
    authenticate: async ({ credentials }) => {
      if (credentials === "slow") await new Promise((resolve) => setTimeout(resolve, 20));
      return { id: "anybody" };
    },
    limits: {
      calls: 4,
      messageBytes: 100_000,
      creditBytes: 65_536,
      packetBytes: 262_144,
      headerBytes: 1_000,
    },
    logger: {
      warn: (message) => logged.push(message),
      error: (message, error) => logged.push(`${message} ${error}`),
    },
  });
  const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
  url = `ws://127.0.0.1:${port}/rpc`;
});

afterAll(async () => {
  await server.close();
  process.off("unhandledRejection", onRejection);
});

let raw: RawClient;

beforeEach(async () => {
  raw = await rawConnect(url);
});

afterEach(async () => {
  raw.ws.close(1000);
  await raw.closed;
  // A good client is served as if nothing had happened.
  const connection = connect(url);
  const { name } = await createClient(EchoService, connection).echo({ name: "good" });
  await connection.close();
  expect(name).toBe("good");
  expect(logged).toEqual([]);
  expect(rejections).toEqual([]);
  for (const session of server.sessions) session.close();
  await until(() => server.sessions.size === 0);
});

describe("before Welcome", () => {
  const garbage = Uint8Array.from({ length: 100 }, () => 0xff);
  const table: readonly [what: string, code: number, send: (client: RawClient) => void][] = [
    ["a text message", 1003, (client) => client.send("hello")],
    ["an empty text message", 1003, (client) => client.send("")],
    ["garbage", 1007, (client) => client.send(garbage)],
    ["a truncated packet", 1007, (client) => client.send(TRUNCATED)],
    ["a truncated Hello", 1007, (client) => client.send(packet(0, frames.hello()).subarray(0, -1))],
    [
      "a Hello of more than 32 KiB",
      1009,
      (client) => client.send(packet(0, frames.hello({ credentials: "x".repeat(33_000) }))),
    ],
    ["a packet over the limit", 1009, (client) => client.send(new Uint8Array(262_145))],
    ["an empty packet", 4400, (client) => client.send(new Uint8Array(0))],
    ["a packet of unknown fields", 4400, (client) => client.send(hexBytes("a2 06 00"))],
    ["an unknown frame", 4400, (client) => client.send(hexBytes("1a 03 fa 01 00"))],
    ["a version of the future", 4400, (client) => client.send(packet(0, frames.hello({ version: 2 })))],
    ["no version", 4400, (client) => client.send(packet(0, frames.hello({ version: 0 })))],
    ["no mode", 4400, (client) => client.send(packet(0, frames.hello({ mode: 0 })))],
    ["an unknown mode", 4400, (client) => client.send(packet(0, frames.hello({ mode: 3 })))],
    ["a Hello that is numbered", 4400, (client) => client.send(packet(1, frames.hello()))],
    ["a Hello with company", 4400, (client) => client.send(packet(0, frames.hello(), frames.ping()))],
    ["two Hellos", 4400, (client) => client.send(packet(0, frames.hello(), frames.hello()))],
    ["a Ping with company", 4400, (client) => client.send(packet(0, frames.ping(), frames.ping()))],
    ["a Ping that is numbered", 4400, (client) => client.send(packet(1, frames.ping()))],
    [
      "a second Ping",
      4400,
      (client) => {
        client.send(packet(0, frames.ping()));
        client.send(packet(0, frames.ping()));
      },
    ],
    ["nothing after a Ping", 4408, (client) => client.send(packet(0, frames.ping()))],
    ["a Welcome", 4400, (client) => client.send(packet(0, frames.welcome()))],
    ["a call", 4400, (client) => client.send(packet(1, frames.open()))],
    ["an acknowledgement", 4400, (client) => client.send(ackPacket(1))],
    [
      "a call while the credentials are checked",
      4400,
      (client) => {
        client.send(packet(0, frames.hello({ credentials: "slow" })));
        client.send(packet(1, frames.open()));
      },
    ],
    ["nothing at all", 4408, () => undefined],
  ];

  test.each(table)("%s: %i", async (_what, code, send) => {
    send(raw);
    expect(await raw.closed).toMatchObject({ code });
    expect(server.sessions.size).toBe(0);
  });

  test("a Ping is answered once, touches nothing, and Hello may follow", async () => {
    raw.send(packet(0, frames.ping({ id: 7 })));
    expect(await raw.hear("pong")).toEqual({ kind: "pong", id: 7 });
    expect(server.sessions.size).toBe(0);
    await raw.greet();
    expect(server.sessions.size).toBe(1);
  });

  test("a reason that says what was wrong", async () => {
    raw.send(packet(0, frames.hello({ version: 9 })));
    expect(await raw.closed).toEqual({ code: 4400, reason: "protocol version 9; this server speaks 1" });
  });

  test("a session that nobody knows: another one begins", async () => {
    const session = new Uint8Array(16).fill(1);
    const welcome = await raw.greet({ mode: 2, session, epoch: session, received: 10 });
    expect(welcome).toMatchObject({ resumed: false, received: 0 });
    expect(welcome.session).not.toEqual(session);
  });

  test("a session id that is too long: 1009", async () => {
    const session = new Uint8Array(65);
    raw.send(packet(0, frames.hello({ mode: 2, session })));
    expect(await raw.closed).toMatchObject({ code: 1009 });
  });
});

describe("frames that WebSocket itself forbids", () => {
  const table: readonly [what: string, code: number, digits: string][] = [
    ["an unmasked frame", 1002, "82 01 00"],
    ["a reserved opcode", 1002, "83 80 00 00 00 00"],
    ["a compressed frame that nobody agreed on", 1002, "c2 81 00 00 00 00 00"],
    ["a continuation of nothing", 1002, "80 81 00 00 00 00 00"],
    ["a length of 2^63", 1009, "82 ff ff ff ff ff ff ff ff ff 00 00 00 00"],
    ["a text that is no UTF-8", 1007, "81 81 00 00 00 00 ff"],
    ["a close frame with a forbidden code", 1002, "88 82 00 00 00 00 03 ed"],
  ];

  test.each(table)("%s: %i", async (_what, code, digits) => {
    await raw.greet();
    raw.socket.write(hexBytes(digits));
    expect(await raw.closed).toMatchObject({ code });
  });
});

describe("in a session", () => {
  const big = new Uint8Array(40_000);
  /** The method's number is 1: it is the first one. */
  const collect = frames.open({ name: COLLECT, end: false, payload: undefined });

  const table: readonly [what: string, code: number, ...packets: (Uint8Array | string)[]][] = [
    // What is no packet, or one over a limit: nothing of it is used.
    ["a text message", 1003, "text"],
    ["garbage", 1007, hexBytes("ff ff ff ff ff ff ff ff")],
    ["a truncated packet", 1007, TRUNCATED],
    ["a length above 2^31", 1007, hexBytes("1a ff ff ff ff 0f 00")],
    ["a negative length", 1007, hexBytes("1a ff ff ff ff ff ff ff ff ff 01")],
    ["a varint of eleven bytes", 1007, hexBytes("08 ff ff ff ff ff ff ff ff ff ff 01")],
    ["a packet number above 2^53", 1007, hexBytes("08 ff ff ff ff ff ff ff 7f")],
    ["field number 0", 1007, hexBytes("00 00")],
    ["a group that does not end", 1007, hexBytes("0b")],
    ["a text that is no UTF-8", 1007, hexBytes("08 01 1a 05 12 03 1a 01 ff")],
    ["a packet over the limit", 1009, new Uint8Array(262_145)],
    [
      "more frames than a packet may hold",
      1009,
      joined(...Array.from({ length: 4_097 }, () => hexBytes("1a 00"))),
    ],
    [
      "more headers than a packet may hold",
      1009,
      packet(1, frames.open({ headers: Array.from({ length: 65_537 }, () => ["", ""] as const) })),
    ],
    // The order of packets.
    ["a packet that is not due", 1002, packet(2, frames.open())],
    ["the last packet there could be", 1002, packet(MAX_UINT, frames.open())],
    ["an acknowledgement of what was never sent", 1002, ackPacket(1)],
    ["an absurd acknowledgement", 1002, ackPacket(MAX_UINT)],
    ["a call in a packet without a number", 1002, packet(0, frames.open())],
    ["a Ping in a packet with a number", 1002, packet(1, frames.ping())],
    ["an unknown frame in a packet with a number", 1002, hexBytes("08 01 1a 03 fa 01 00")],
    ["an empty frame in a packet with a number", 1002, hexBytes("08 01 1a 00")],
    // The handshake is over.
    ["a second Hello", 1002, packet(0, frames.hello())],
    ["a Welcome", 1002, packet(0, frames.welcome())],
    // Call ids.
    ["call id 0", 1002, packet(1, frames.open({ call: 0 }))],
    ["a call id of the other side", 1002, packet(1, frames.open({ call: 2 }))],
    ["a call id twice", 1002, packet(1, collect, frames.open({ method: 2 }))],
    [
      "a call id that goes back",
      1002,
      packet(1, frames.open({ call: 5 }), frames.open({ call: 3, name: "" })),
    ],
    ["data for a call that was never opened", 1002, packet(1, frames.data())],
    ["data for call 0", 1002, packet(1, frames.data({ call: 0 }))],
    ["data for a call that the server never opened", 1002, packet(1, frames.data({ call: 2 }))],
    ["credit for a call that was never opened", 1002, packet(1, frames.credit({ call: 9 }))],
    ["a cancel of a call that was never opened", 1002, packet(1, frames.cancel({ call: MAX_UINT }))],
    ["an end of a call that was never opened", 1002, packet(1, frames.end({ call: 4 }))],
    ["an end from the caller", 1002, packet(1, collect, frames.end())],
    // Method numbers.
    ["a method number without a name", 1002, packet(1, frames.open({ name: "" }))],
    ["method number 0", 1002, packet(1, frames.open({ method: 0 }))],
    ["a method number that is not due", 1002, packet(1, frames.open({ method: 7 }))],
    ["a method number with two names", 1002, packet(1, frames.open(), frames.open({ call: 3 }))],
    // Messages and credit.
    ["data after the end", 1002, packet(1, { ...collect, end: true }, frames.data())],
    [
      "a second end",
      1002,
      packet(1, { ...collect, end: true }, frames.data({ end: true, payload: undefined })),
    ],
    [
      "more than the credit",
      1002,
      packet(1, collect, frames.data({ payload: big }), frames.data({ payload: big })),
    ],
    [
      "empty messages beyond the credit",
      1002,
      packet(1, collect, ...Array.from({ length: 4_094 }, () => frames.data())),
      packet(2, ...Array.from({ length: 4_094 }, () => frames.data())),
    ],
    [
      "a size below the first piece's",
      1002,
      packet(1, collect, frames.data({ size: 3, payload: new Uint8Array(4) })),
    ],
    [
      "a size of the first piece's length",
      1002,
      packet(1, frames.open({ size: 4, payload: new Uint8Array(4) })),
    ],
    [
      "pieces of more than the size",
      1002,
      packet(
        1,
        collect,
        frames.data({ size: 9, payload: new Uint8Array(5) }),
        frames.data({ payload: new Uint8Array(5) }),
      ),
    ],
    ["a size on a later piece", 1002, packet(1, collect, frames.data({ size: 9 }), frames.data({ size: 9 }))],
    ["an end inside a message", 1002, packet(1, frames.open({ size: 9, end: true }))],
  ];

  test.each(table)("%s: %i", async (_what, code, ...packets) => {
    await raw.greet();
    for (const message of packets as (Uint8Array | string)[]) raw.send(message);
    expect(await raw.closed).toMatchObject({ code });
    // Whoever breaks a rule has lost the session; what is no packet was not used, and the session can be resumed.
    expect(server.sessions.size).toBe(code === 1002 ? 0 : 1);
  });

  const harmless: readonly [what: string, ...packets: Uint8Array[]][] = [
    ["an empty packet", new Uint8Array(0)],
    ["a packet of unknown fields", hexBytes("a2 06 00 f8 07 01")],
    ["an unknown frame without a number", hexBytes("1a 03 fa 01 00")],
    ["a Pong that nobody asked for", packet(0, frames.pong({ id: MAX_UINT }))],
    ["a GoAway", packet(0, frames.goAway())],
    ["an empty packet with a number", packet(1)],
    [
      "frames for a call that is over",
      packet(1, collect, frames.cancel(), frames.cancel(), frames.data(), frames.credit()),
    ],
    [
      "absurd credit",
      packet(1, collect, ...Array.from({ length: 9 }, () => frames.credit({ bytes: MAX_UINT }))),
    ],
    ["credit of nothing", packet(1, collect, frames.credit({ bytes: 0 }))],
    ["an absurd deadline", packet(1, frames.open({ name: COLLECT, timeoutMs: MAX_UINT }))],
    ["a cancel with an unknown code", packet(1, collect, frames.cancel({ code: 99, message: "\0\ufffd" }))],
    [
      "metadata that no header may hold",
      packet(
        1,
        frames.open({
          headers: [
            ["", ""],
            ["a b", "\r\n"],
            [":x", "\0"],
          ],
        }),
      ),
    ],
  ];

  test.each(harmless)("%s: nothing happens", async (_what, ...packets) => {
    await raw.greet();
    for (const message of packets) raw.send(message);
    await raw.settled();
  });

  test("a packet that arrives twice is handled once", async () => {
    await raw.greet();
    const twice = packet(1, frames.open({ payload: hexBytes("12 01 61") }));
    raw.send(twice);
    raw.send(twice);
    await raw.hear("end");
    await raw.settled();
    expect(raw.heard.filter(({ kind }) => kind === "end")).toEqual([]);
  });

  const refused: readonly [
    what: string,
    code: Code,
    refused: boolean,
    ...list: Parameters<typeof packet>[1][],
  ][] = [
    ["an unknown service", Code.Unimplemented, true, frames.open({ name: "no.Such/Thing" })],
    [
      "an unknown method",
      Code.Unimplemented,
      true,
      frames.open({ name: "hawser.test.v1.EchoService/Nothing" }),
    ],
    ["an empty name in disguise", Code.Unimplemented, true, frames.open({ name: "__proto__" })],
    ["a unary call without a message", Code.Unimplemented, true, frames.open({ payload: undefined })],
    [
      "a unary call with two messages",
      Code.Unimplemented,
      true,
      frames.open({ end: false }),
      frames.data({ end: true }),
    ],
    [
      "a server stream without a message",
      Code.Unimplemented,
      true,
      frames.open({ name: REPEAT, payload: undefined }),
    ],
    [
      "a server stream with two messages",
      Code.Unimplemented,
      true,
      frames.open({ name: REPEAT, end: false }),
      frames.data(),
    ],
    [
      "a message that does not decode",
      Code.InvalidArgument,
      true,
      frames.open({ payload: hexBytes("0a ff") }),
    ],
    [
      "a message in a stream that does not decode",
      Code.InvalidArgument,
      false,
      frames.open({ name: CONVERSE, end: false, payload: hexBytes("0a ff") }),
    ],
    ["too much metadata", Code.ResourceExhausted, true, frames.open({ headers: [["a", "x".repeat(1_000)]] })],
    [
      "a message that says it is over the limit",
      Code.ResourceExhausted,
      true,
      frames.open({ size: 100_001 }),
    ],
    [
      "a message that says it is as large as can be",
      Code.ResourceExhausted,
      true,
      frames.open({ size: MAX_UINT }),
    ],
    [
      "a later message over the limit",
      Code.ResourceExhausted,
      false,
      frames.open({ name: CONVERSE, end: false, payload: undefined }),
      frames.data({ size: 100_001 }),
    ],
  ];

  test.each(refused)("%s: status %i", async (_what, code, isRefused, ...list) => {
    await raw.greet();
    raw.send(packet(1, ...list));
    const end = await raw.hear("end");
    expect(end).toMatchObject({ call: 1, code, refused: isRefused });
    expect(end.message).not.toBe("");
    expect(end.message).not.toMatch(/\bat .*:\d/);
    await raw.settled();
    // One outcome, and the call is gone.
    expect(raw.heard.filter(({ kind }) => kind === "end")).toEqual([]);
    expect([...server.sessions].map(({ callsInFlight }) => callsInFlight)).toEqual([0]);
  });

  test("more calls than the limit: status 8, and room again when one is over", async () => {
    await raw.greet();
    const open = (call: number) =>
      frames.open({ call, name: call === 1 ? COLLECT : "", end: false, payload: undefined });
    raw.send(packet(1, ...[1, 3, 5, 7, 9].map(open)));
    expect(await raw.hear("end")).toMatchObject({ call: 9, code: Code.ResourceExhausted, refused: true });
    raw.send(packet(2, frames.cancel({ call: 3 }), open(11)));
    await raw.settled();
    expect(raw.heard).toEqual([]);
    expect([...server.sessions][0]?.callsInFlight).toBe(4);
  });

  test("a rule broken ends the session: its handlers are told", async () => {
    await raw.greet();
    aborted.length = 0;
    raw.send(packet(1, collect));
    await raw.settled();
    raw.send(packet(9, frames.cancel()));
    expect(await raw.closed).toEqual({ code: 1002, reason: "packet 9 after packet 1" });
    expect(aborted).toHaveLength(1);
  });

  test("after 1007 the session can be resumed, without the packet that was none", async () => {
    const { session, epoch } = await raw.greet();
    raw.send(packet(1, frames.open({ payload: hexBytes("12 01 61") })));
    await raw.hear("end");
    raw.send(hexBytes("08 02 1a 7f"));
    await raw.closed;
    const again = await rawConnect(url);
    const welcome = await again.greet({ mode: 2, session, epoch, received: 1 });
    expect(welcome).toMatchObject({ resumed: true, received: 1 });
    again.ws.close(1000);
    await again.closed;
  });

  test("a received number that the server never sent opens no session", async () => {
    const { session, epoch } = await raw.greet();
    raw.ws.terminate();
    await raw.closed;
    await until(() => [...server.sessions].every(({ connected }) => !connected));
    for (const received of [1, MAX_UINT]) {
      const thief = await rawConnect(url);
      expect(await thief.greet({ mode: 2, session, epoch, received })).toMatchObject({ resumed: false });
      thief.ws.close(1000);
      await thief.closed;
    }
  });

  test("a client that never acknowledges is cut before its answers fill the memory", async () => {
    await raw.greet();
    // Each Open is answered with an End that the server has to keep.
    let call = -1;
    const name = `no.Such/${"x".repeat(1_000)}`;
    let seq = 0;
    let gone = false;
    void raw.closed.then(() => {
      gone = true;
    });
    for (let round = 0; round < 2_000 && !gone; round++) {
      const opens = Array.from({ length: 64 }, () => {
        call += 2;
        return frames.open({ call, name: call === 1 ? name : "", payload: undefined });
      });
      raw.send(encodePacket({ seq: ++seq, ack: 0, frames: opens }));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await raw.closed).toMatchObject({
      code: 1002,
      reason: expect.stringContaining("not acknowledged"),
    });
    // The outbox holds 4 MiB, and twice that at the very most.
    expect(raw.heard.length * 1_000).toBeLessThan(10 * 1024 * 1024);
    expect(server.sessions.size).toBe(0);
  });
});
