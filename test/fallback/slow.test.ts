// Networks that are slow, and clients that read slowly or not at all.

import type { IncomingMessage, ServerResponse } from "node:http";
import { request as httpRequest } from "node:http";
import { connect as connectTcp } from "node:net";
import { Writable } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import { Timers } from "../../src/driver/timers.js";
import { BODY_BYTES, FIRST_BODY_BYTES, nextBodyBytes } from "../../src/fallback/protocol.js";
import { encodeRecord, RecordKind } from "../../src/fallback/records.js";
import { ServerHttpLink } from "../../src/fallback/server-link.js";
import { createServer } from "../../src/server/index.js";
import { echoRoutes } from "../support/echo.js";
import { frames, packet } from "../support/frames.js";
import { rawPost } from "./blocked.js";

const SILENCE_MS = 10_000;

/** An answer that goes out as far as a test lets it. */
class Answer extends Writable {
  headersSent = false;
  status = 0;
  bytes = 0;
  #release: (() => void) | undefined;
  #open = false;

  writeHead(status: number): void {
    this.status = status;
    this.headersSent = true;
  }

  setHeader(): void {
    // Nobody looks.
  }

  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    this.bytes += chunk.length;
    if (this.#open) done();
    else this.#release = done;
  }

  /** All of it is read. */
  async read(): Promise<void> {
    const closed = new Promise((resolve) => this.once("close", resolve));
    this.#open = true;
    this.#release?.();
    await closed;
  }
}

/** A link whose time a test makes pass. */
function startLink() {
  let now = 0;
  const closed: string[] = [];
  const timers = new Timers(
    () => now,
    () => () => undefined,
  );
  const link = new ServerHttpLink({
    timers,
    maxPacketBytes: 1_048_576,
    silenceMs: SILENCE_MS,
    events: {
      onMessage: () => undefined,
      onText: () => undefined,
      onDrain: () => undefined,
      onClose: (code, reason) => closed.push(`${code} ${reason}`),
    },
    onBytes: () => undefined,
    onRequest: () => undefined,
    onGone: () => undefined,
  });
  return {
    link,
    closed,
    poll(number: number): Answer {
      const answer = new Answer();
      link.onPoll(number, {} as IncomingMessage, answer as unknown as ServerResponse);
      return answer;
    },
    send: (bytes: number) =>
      link.send({ head: new Uint8Array(bytes), body: undefined, bytes, room: 0, plain: false }),
    pass(ms: number): void {
      now += ms;
      link.expire(now);
    },
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("a client that is still reading an answer is there; its silence begins when it has all of it", async () => {
  const { send, poll, pass, closed } = startLink();
  const answer = poll(1);
  send(50_000);
  await turn();
  expect(answer.bytes).toBeGreaterThan(0);
  for (let i = 0; i < 9; i++) pass(SILENCE_MS);
  expect(closed).toEqual([]);
  await answer.read();
  pass(SILENCE_MS - 1);
  expect(closed).toEqual([]);
  // What is on the way, in buffers that nobody sees, has its time, too.
  pass(1);
  expect(closed).toEqual([]);
  pass(SILENCE_MS);
  expect(closed).toEqual([expect.stringContaining("1006 no request came")]);
});

test("what nobody reads of an answer does not stay when the next poll comes, or the link ends", async () => {
  const { send, poll, link } = startLink();
  send(50_000);
  const first = poll(1);
  const again = poll(1);
  expect([first.destroyed, again.destroyed]).toEqual([true, false]);
  send(50_000);
  const second = poll(2);
  expect([again.destroyed, second.destroyed]).toEqual([true, false]);
  expect(link.bufferedBytes).toBeLessThan(60_000);
  link.close(1001, "bye");
  const last = poll(3);
  expect(second.destroyed).toBe(true);
  await last.read();
  expect(last.status).toBe(200);
});

test("an answer that was read is not destroyed by the next poll", async () => {
  const { send, poll } = startLink();
  const first = poll(1);
  send(100);
  await turn();
  await first.read();
  const errors: unknown[] = [];
  first.on("error", (error) => errors.push(error));
  poll(2);
  await turn();
  expect([first.writableFinished, errors]).toEqual([true, []]);
});

test("answers begin short, and grow where the way is fast", async () => {
  const { send, poll, pass } = startLink();
  const sizes: number[] = [];
  for (let i = 0; i < 200; i++) send(10_000);
  for (let number = 1; number <= 4; number++) {
    const answer = poll(number);
    await answer.read();
    sizes.push(answer.bytes);
  }
  expect(sizes.map((size) => Math.ceil(size / FIRST_BODY_BYTES))).toEqual([1, 2, 4, 4]);
  pass(6_000);
  const slow = poll(5);
  await slow.read();
  expect(slow.bytes).toBeLessThan(FIRST_BODY_BYTES);
});

test("bodies grow when full ones are through soon, and shrink when they are not", () => {
  const fast = [1, 2, 3].reduce<number[]>(
    (sizes) => [...sizes, nextBodyBytes(sizes.at(-1) ?? 0, sizes.at(-1) ?? 0, 50)],
    [FIRST_BODY_BYTES],
  );
  expect(fast).toEqual([FIRST_BODY_BYTES, 2 * FIRST_BODY_BYTES, BODY_BYTES, BODY_BYTES]);
  expect(nextBodyBytes(FIRST_BODY_BYTES, 1_000, 50)).toBe(FIRST_BODY_BYTES);
  expect(nextBodyBytes(2 * FIRST_BODY_BYTES, 2 * FIRST_BODY_BYTES, 2_000)).toBe(2 * FIRST_BODY_BYTES);
  expect(nextBodyBytes(BODY_BYTES, BODY_BYTES, 9_000)).toBe(FIRST_BODY_BYTES);
});

test("a body may take longer than a handshake, when its client is known", async () => {
  const server = createServer({ routes: echoRoutes(), handshakeTimeoutMs: 200 });
  onTestFinished(() => server.close());
  const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
  const opened = await rawPost(port, { "hawser-do": "open" });
  const headers = {
    "content-type": "application/vnd.hawser.v1",
    "hawser-link": String(opened.headers["hawser-link"]),
  };
  const send = (number: number) => ({ ...headers, "hawser-do": "send", "hawser-number": String(number) });
  await rawPost(port, send(1), encodeRecord(RecordKind.packet, packet(0, frames.hello())));
  const body = encodeRecord(RecordKind.packet, packet(0, frames.ping({ id: 1 })));
  const slow = httpRequest({
    host: "127.0.0.1",
    port,
    path: "/rpc",
    method: "POST",
    headers: { ...send(2), "content-length": String(body.length) },
  });
  const answer = new Promise<number | undefined>((resolve, reject) => {
    slow.on("response", ({ statusCode }) => resolve(statusCode));
    slow.on("error", reject);
  });
  await new Promise((resolve) => slow.write(body.subarray(0, 3), resolve));
  // Requests that come later, and never end their headers, are over when they have had the time of a handshake.
  for (let round = 0; round < 2; round++) {
    await new Promise((resolve) => {
      const socket = connectTcp(port, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\nX-Slow: "));
      socket.on("error", () => undefined);
      socket.resume();
      socket.on("close", resolve);
    });
  }
  slow.end(body.subarray(3));
  expect(await answer).toBe(204);
});

test("a server that listens takes no more TCP connections than its links can need", async () => {
  const server = createServer({ routes: echoRoutes(), maxConnections: 2 });
  onTestFinished(() => server.close());
  const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
  const ends = Array.from({ length: 120 }, () => {
    const socket = connectTcp(port, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    let said = "";
    socket.on("data", (chunk) => {
      said += String(chunk);
    });
    socket.on("error", () => undefined);
    return new Promise<string>((resolve) => socket.on("close", () => resolve(said)));
  });
  // Those that are too slow would be told so.
  expect(await Promise.race(ends)).toBe("");
});
