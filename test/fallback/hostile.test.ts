// Requests that no honest client makes: each has a clear answer, harms nobody, and learns nothing.
import { request as httpRequest } from "node:http";
import { connect as connectTcp } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";

import { connect } from "../../src/client/index.js";
import {
  decodeClose,
  encodeClose,
  encodeRecord,
  joined,
  RecordKind,
  RecordReader,
} from "../../src/fallback/records.js";
import { Code, RpcError } from "../../src/index.js";
import type { ServerOptions } from "../../src/server/index.js";
import { decodePacket } from "../../src/wire/decode.js";
import type { Frame } from "../../src/wire/frame.js";
import { frames, packet } from "../support/frames.js";
import { until } from "../support/until.js";
import { blockedServer, open, type RawAnswer, rawPost } from "./blocked.js";

const ECHO = "hawser.test.v1.EchoService/Echo";
const NOTHING = new Uint8Array(0);

/** A client that makes each request as a test wants it. */
async function rawLink(port: number, more: Readonly<Record<string, string>> = {}) {
  const opened = await rawPost(port, { "hawser-do": "open", ...more });
  const id = String(opened.headers["hawser-link"]);
  /** The last poll that was answered. */
  let answered = 0;
  const ask = async (what: string, number: number | string, body?: Uint8Array) => {
    const answer = await rawPost(
      port,
      { "hawser-do": what, "hawser-link": id, "hawser-number": String(number), ...more },
      body,
    );
    if (what === "poll" && answer.status === 200) answered = Number(number);
    return answer;
  };
  // The server's last word is waited for, as an honest client does.
  onTestFinished(() => {
    void ask("poll", answered + 1).catch(() => undefined);
  });
  return {
    id,
    opened,
    ask,
    send: (number: number, ...records: Uint8Array[]) => ask("send", number, joined(records)),
    poll: async (number: number) => framesOf(await ask("poll", number)),
  };
}

const record = (bytes: Uint8Array) => encodeRecord(RecordKind.packet, bytes);
const hello = () => record(packet(0, frames.hello()));

/** Frames of an answer to a poll; a close as its code. */
function framesOf({ status, body }: RawAnswer): (Frame | number)[] {
  expect(status).toBe(200);
  return new RecordReader(1 << 20)
    .read(body)
    .flatMap(({ kind, content }): readonly (Frame | number)[] =>
      kind === RecordKind.close ? [decodeClose(content).code] : decodePacket(content).frames,
    );
}

const kinds = (list: readonly (Frame | number)[]) =>
  list.map((frame) => (typeof frame === "number" ? frame : frame.kind));

async function serve(options: Partial<ServerOptions> = {}) {
  const runs: string[] = [];
  const blocked = await blockedServer({
    interceptors: [
      (next) => (request) => {
        runs.push(request.method.name);
        return next(request);
      },
    ],
    ...options,
  });
  return { ...blocked, runs };
}

describe("who is not let in", () => {
  test("a link that does not exist: 404, the same as one that is closed", async () => {
    const { port } = await serve();
    const link = await rawLink(port);
    await link.send(1, hello());
    await link.send(2, encodeClose(1000, "bye"));
    const closed = await link.ask("poll", 1);
    const headers = { "hawser-do": "poll", "hawser-link": "0".repeat(32), "hawser-number": "1" };
    const unknown = await rawPost(port, headers);
    expect([closed.status, closed.body.toString()]).toEqual([404, "there is no such link\n"]);
    expect([unknown.status, unknown.body.toString()]).toEqual([404, "there is no such link\n"]);
    for (const id of ["", "x", link.id.toUpperCase(), `${link.id}0`]) {
      expect((await rawPost(port, { ...headers, "hawser-link": id })).status).toBe(404);
    }
  });

  test("ids are 128 random bits", async () => {
    const { port } = await serve();
    const ids = await Promise.all(Array.from({ length: 50 }, async () => (await rawLink(port)).id));
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(new Set(ids).size).toBe(50);
  });

  test("no credentials: 401 before there is a link, or a close with 4401 in it, and no handler runs", async () => {
    const authenticate = () => {
      throw new RpcError("who are you?", Code.Unauthenticated);
    };
    const atOnce = await serve({ authenticate, authenticateAt: "upgrade" });
    const refused = await rawPost(atOnce.port, { "hawser-do": "open" });
    expect([refused.status, refused.headers["www-authenticate"], refused.headers["hawser-link"]]).toEqual([
      401,
      "Bearer",
      undefined,
    ]);
    const { port, runs } = await serve({ authenticate });
    const link = await rawLink(port);
    const answer = link.poll(1);
    await link.send(1, hello(), record(packet(1, frames.open({ call: 1, name: ECHO }))));
    expect(kinds(await answer)).toEqual([4400]);
    const other = await rawLink(port);
    const reason = other.poll(1);
    await other.send(1, hello());
    expect(kinds(await reason)).toEqual([4401]);
    expect(runs).toEqual([]);
  });

  test.each(["open", "send", "poll", "stream"])(
    "a page of another site: %s is answered with 403",
    async (what) => {
      const { port } = await serve();
      const link = await rawLink(port);
      const answer = await rawPost(port, {
        "hawser-do": what,
        "hawser-link": what === "open" ? "" : link.id,
        "hawser-number": "1",
        origin: "https://evil.example",
      });
      expect(answer.status).toBe(403);
      expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
      // It has done nothing: the number is still free.
      expect((await link.send(1, hello())).status).toBe(204);
    },
  );

  test.each(["open", "send", "poll", "stream"])(
    "a page whose name was rebound to this machine: %s is answered with 403, whatever proxy it pretends to come through",
    async (what) => {
      const { port } = await serve();
      const link = await rawLink(port);
      for (const name of ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"]) {
        const answer = await rawPost(port, {
          "hawser-do": what,
          "hawser-link": what === "open" ? "" : link.id,
          "hawser-number": "1",
          host: "evil.example",
          origin: "http://evil.example",
          [name]: "192.0.2.1",
        });
        expect(answer.status, name).toBe(403);
      }
      expect((await link.send(1, hello())).status).toBe(204);
    },
  );

  test("behind a proxy that is said to be there, the host may be any", async () => {
    const { port } = await serve({ trustedProxies: 1 });
    const link = await rawLink(port, { host: "app.example", "x-forwarded-for": "192.0.2.1" });
    expect(link.opened.status).toBe(200);
    expect((await link.send(1, hello())).status).toBe(204);
  });

  test("a page asks first, and only those of allowed origins may", async () => {
    const { port } = await serve({ allowedOrigins: ["https://app.example.com"] });
    const ask = (origin: string, wanted = "content-type,hawser-do,hawser-link") =>
      rawPost(
        port,
        { origin, "access-control-request-method": "POST", "access-control-request-headers": wanted },
        NOTHING,
        "OPTIONS",
      );
    const allowed = await ask("https://app.example.com");
    expect(allowed.status).toBe(204);
    expect(allowed.headers).toMatchObject({
      "access-control-allow-origin": "https://app.example.com",
      "access-control-allow-credentials": "true",
      "access-control-allow-methods": "POST",
      "access-control-allow-headers": "authorization, content-type, hawser-do, hawser-link, hawser-number",
      vary: "Origin",
    });
    const evil = await ask("https://evil.example");
    expect(evil.status).toBe(403);
    expect(evil.headers["access-control-allow-origin"]).toBeUndefined();
    // What is not for us is the application's.
    expect((await ask("https://app.example.com", "x-other")).status).toBe(404);
    const { opened } = await rawLink(port, { origin: "https://app.example.com" });
    expect(opened.headers).toMatchObject({
      "access-control-allow-origin": "https://app.example.com",
      "access-control-expose-headers": "hawser-link, hawser-version",
    });
  });

  test("a form of a page, which needs not ask: 415", async () => {
    const { port } = await serve();
    const answer = await rawPost(port, { "hawser-do": "open", "content-type": "text/plain" });
    expect(answer.status).toBe(415);
    expect(answer.headers["hawser-link"]).toBeUndefined();
  });

  test.each(["GET", "PUT", "DELETE"])("%s: left to the application", async (method) => {
    const { port } = await serve();
    const answer = await rawPost(port, { "hawser-do": "open" }, NOTHING, method);
    expect([answer.status, answer.body.toString()]).toEqual([404, "nothing here\n"]);
  });

  test("headers that say nothing: 400", async () => {
    const { port } = await serve();
    const link = await rawLink(port);
    for (const number of ["0", "-1", "1.5", "1e3", "x", "9".repeat(16), ""])
      expect((await link.ask("send", number)).status, number).toBe(400);
    expect((await link.ask("poll", "x")).status).toBe(400);
    expect((await link.ask("dance", 1)).status).toBe(400);
    expect((await link.send(1, hello())).status).toBe(204);
  });
});

describe("order", () => {
  test("requests that overtake each other are handled in the order of their numbers, each once", async () => {
    const { port, runs } = await serve();
    const link = await rawLink(port);
    const call = (number: number) =>
      record(
        packet(
          number,
          frames.open({
            call: 2 * number - 1,
            method: 1,
            name: number === 1 ? ECHO : "",
            end: true,
            payload: NOTHING,
          }),
        ),
      );
    const late = [link.send(4, call(3)), link.send(3, call(2))];
    expect((await link.send(1, hello())).status).toBe(204);
    expect(kinds(await link.poll(1))).toEqual(["welcome"]);
    expect((await link.send(2, call(1))).status).toBe(204);
    expect((await Promise.all(late)).map(({ status }) => status)).toEqual([204, 204]);
    await until(() => runs.length === 3);
    // Again, as after a lost answer.
    for (const number of [1, 2, 3, 4]) expect((await link.send(number, call(number))).status).toBe(204);
    expect((await link.send(5, record(packet(0, frames.ping({ id: 9 }))))).status).toBe(204);
    const heard: string[] = [];
    for (let number = 2; !heard.includes("pong"); number++)
      heard.push(...kinds(await link.poll(number)).map(String));
    expect(heard.filter((kind) => kind === "end")).toHaveLength(3);
    expect(runs).toEqual(["Echo", "Echo", "Echo"]);
  });

  test("a number too far ahead: 409, and the link goes on", async () => {
    const { port } = await serve();
    const link = await rawLink(port);
    expect((await link.send(5, hello())).status).toBe(409);
    expect((await link.send(1, hello())).status).toBe(204);
    expect(kinds(await link.poll(1))).toEqual(["welcome"]);
  });

  test("a poll that is made again gets the same answer; one out of turn 409", async () => {
    const { port } = await serve();
    const link = await rawLink(port);
    await link.send(1, hello());
    const first = await link.ask("poll", 1);
    const again = await link.ask("poll", 1);
    expect(Buffer.compare(first.body, again.body)).toBe(0);
    expect(kinds(framesOf(first))).toEqual(["welcome"]);
    for (const number of [3, 99]) expect((await link.ask("poll", number)).status).toBe(409);
    const waiting = link.ask("poll", 2);
    const instead = link.ask("poll", 2);
    expect((await waiting).status).toBe(409);
    await link.send(2, record(packet(0, frames.ping({ id: 1 }))));
    expect(kinds(framesOf(await instead))).toEqual(["pong"]);
    expect((await link.ask("poll", 1)).status).toBe(409);
  });
});

describe("size", () => {
  test("a stranger may send 36 KiB: 1009", async () => {
    const { port } = await serve();
    const link = await rawLink(port);
    const answer = link.poll(1);
    await link.send(1, record(new Uint8Array(40_000))).catch(() => undefined);
    expect(kinds(await answer)).toEqual([1009]);
  });

  test("what a stranger sends past that is not waited for: it is answered at once, and nothing of it is kept", async () => {
    const { port } = await serve();
    const link = await rawLink(port);
    const closed = link.poll(1);
    const request = httpRequest({
      host: "127.0.0.1",
      port,
      path: "/rpc",
      method: "POST",
      agent: false,
      headers: {
        "content-type": "application/vnd.hawser.v1",
        "content-length": "1000000",
        "hawser-do": "send",
        "hawser-link": link.id,
        "hawser-number": "2",
      },
    });
    request.on("error", () => undefined);
    const answered = new Promise<number | undefined>((resolve) => {
      request.on("response", ({ statusCode }) => resolve(statusCode));
    });
    // Not all of it: the rest never comes.
    request.write(new Uint8Array(40_000));
    expect(await answered).toBe(204);
    expect(kinds(await closed)).toEqual([1009]);
    request.destroy();
  });

  test.each([
    ["a body", 700_000, (bytes: number) => new Uint8Array(bytes)],
    ["a record, by its length alone", 300_000, () => new Uint8Array([0, 0x7f, 0xff, 0xff, 0xff])],
  ])("%s over the limit: 413, and 1009", async (_, bytes, make) => {
    const { port } = await serve({ limits: { packetBytes: 262_144 } });
    const link = await rawLink(port);
    await link.send(1, hello());
    expect(kinds(await link.poll(1))).toEqual(["welcome"]);
    const closed = link.poll(2);
    const answer = await link.ask("send", 2, make(bytes)).catch(() => undefined);
    // The connection may be gone before all of it has been written.
    expect([413, undefined]).toContain(answer?.status);
    expect(kinds(await closed)).toEqual([1009]);
  });

  test("a length that is announced is enough to be refused", async () => {
    const { port } = await serve();
    const link = await rawLink(port);
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = {
        "content-type": "application/vnd.hawser.v1",
        "content-length": "2000000000",
        "hawser-do": "send",
        "hawser-link": link.id,
        "hawser-number": "1",
      };
      const request = httpRequest({
        host: "127.0.0.1",
        port,
        path: "/rpc",
        method: "POST",
        headers,
        agent: false,
      });
      request.on("response", (response) => {
        resolve(response.statusCode);
        request.destroy();
      });
      request.on("error", reject);
      request.write("x");
    });
    expect(status).toBe(413);
  });

  test("half a record: 400, and 1007", async () => {
    const { port } = await serve();
    const link = await rawLink(port);
    const answer = link.poll(1);
    expect((await link.send(1, hello().subarray(0, 9))).status).toBe(400);
    expect(kinds(await answer)).toEqual([1007]);
  });

  test("bytes that are no packet: 1007", async () => {
    const { port } = await serve();
    const link = await rawLink(port);
    const answer = link.poll(1);
    await link.send(1, record(new Uint8Array([0xff, 0xff, 0xff])));
    expect(kinds(await answer)).toEqual([1007]);
  });
});

describe("links that nobody attends", () => {
  test("end: opened and left, with a Hello and left, with a poll that is given up", async () => {
    const { port, server } = await serve({ pingTimeoutMs: 100, handshakeTimeoutMs: 150, maxConnections: 3 });
    const detached: number[] = [];
    server.on("detached", ({ code }) => detached.push(code));
    await rawLink(port);
    const greeted = await rawLink(port);
    await greeted.send(1, hello());
    const gone = await rawLink(port);
    await gone.send(1, hello());
    expect(kinds(await gone.poll(1))).toEqual(["welcome"]);
    const socket = connectTcp(port, "127.0.0.1");
    socket.write(
      `POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/vnd.hawser.v1\r\nHawser-Do: poll\r\nHawser-Link: ${gone.id}\r\nHawser-Number: 2\r\nContent-Length: 0\r\n\r\n`,
    );
    socket.on("error", () => undefined);
    await new Promise((resolve) => setTimeout(resolve, 10));
    socket.resetAndDestroy();
    expect((await rawPost(port, { "hawser-do": "open" })).status).toBe(503);
    await until(() => detached.length === 2);
    expect(detached).toEqual([1006, 1006]);
    // Their places are free again.
    for (let opened = 503; opened === 503; ) opened = (await rawPost(port, { "hawser-do": "open" })).status;
  });

  test("a stream that stands and carries nothing is noticed", async () => {
    const { createFaultProxy } = await import("../../src/testing/index.js");
    const { port, server } = await serve({ pingIntervalMs: 50, pingTimeoutMs: 100 });
    const proxy = await createFaultProxy({ target: { port } });
    onTestFinished(() => proxy.close());
    const connection = open(connect, proxy.url, { pingIntervalMs: 50, pingTimeoutMs: 100 });
    await until(() => connection.linkKind === "http-stream");
    const reasons: string[] = [];
    connection.on("reconnecting", ({ code }) => reasons.push(String(code)));
    let resumed = 0;
    connection.on("resumed", () => resumed++);
    proxy.stall("down");
    await until(() => resumed === 1);
    expect(reasons[0]).toBe("4410");
    expect(server.sessions.size).toBe(1);
  });
});
