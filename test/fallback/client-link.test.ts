// A client's link over HTTP against answers that a test makes up: what comes in which order, and what is asked again.
import { expect, test } from "vitest";
import type { HttpLink } from "../../src/fallback/client-link.js";
import { HttpDialler } from "../../src/fallback/dialler.js";
import { encodeRecord, joined, RecordKind } from "../../src/fallback/records.js";
import type { HttpAnswer } from "../../src/fallback/request.js";
import { until } from "../support/until.js";

interface Asked {
  readonly what: string;
  readonly number: number;
  readonly body: Uint8Array;
  answer(status: number, body: AsyncIterable<Uint8Array> | Uint8Array): void;
  /** As {@link Asked.answer}, by something on the way. */
  intercept(status: number, body: AsyncIterable<Uint8Array> | Uint8Array): void;
  fail(): void;
}

const packetOf = (...bytes: number[]) => encodeRecord(RecordKind.packet, new Uint8Array(bytes));
const move = () => encodeRecord(RecordKind.move);

/** A link that is being opened; `next` gives its requests, which the test answers. */
function dialLink() {
  const asked: Asked[] = [];
  const heard: string[] = [];
  const dialler = new HttpDialler({
    maxPacketBytes: 1_000,
    schedule: (task) => {
      const handle = setTimeout(task, 1);
      return () => clearTimeout(handle);
    },
    createClient: () => ({
      end: () => undefined,
      post: (_url, headers, body, signal) =>
        new Promise<HttpAnswer>((resolve, reject) => {
          signal.addEventListener("abort", () => reject(new Error("aborted")));
          asked.push({
            what: String(headers["hawser-do"]),
            number: Number(headers["hawser-number"]),
            body,
            fail: () => reject(new Error("no answer")),
            answer(status, chunks) {
              const header = (name: string) => ({ "hawser-link": "id", "hawser-version": "1" })[name];
              resolve({ status, header, body: chunks instanceof Uint8Array ? oneChunk(chunks) : chunks });
            },
            intercept(status, chunks) {
              const body = chunks instanceof Uint8Array ? oneChunk(chunks) : chunks;
              resolve({ status, header: () => undefined, body });
            },
          });
        }),
    }),
  });
  const next = async (what: string, number = Number.NaN): Promise<Asked> => {
    const fits = (request: Asked) => request.what === what && Object.is(request.number, number);
    await until(() => asked.some(fits));
    return asked.splice(asked.findIndex(fits), 1)[0]!;
  };
  const opened = new Promise<HttpLink>((resolve, reject) => {
    const events = {
      onMessage: (bytes: Uint8Array) => void heard.push([...bytes].join(" ")),
      onText: () => undefined,
      onDrain: () => undefined,
      onClose: (code: number) => void heard.push(`closed ${code}`),
    };
    dialler.dial("ws://localhost/rpc", {}, events, resolve, reject);
  });
  return { opened, next, heard, dialler };
}

/** The same when it is open. */
async function openLink() {
  const { opened, next, ...rest } = dialLink();
  (await next("open")).answer(200, new Uint8Array(0));
  return { link: await opened, next, ...rest };
}

async function* oneChunk(chunk: Uint8Array): AsyncGenerator<Uint8Array> {
  if (chunk.length > 0) yield chunk;
}

test("what the stream brings before the last poll is answered waits for its turn", async () => {
  const { next, heard, link } = await openLink();
  let push: (chunk: Uint8Array) => void = () => undefined;
  async function* chunks() {
    yield encodeRecord(RecordKind.probe, new Uint8Array(9));
    for (;;)
      yield await new Promise<Uint8Array>((resolve) => {
        push = resolve;
      });
  }
  (await next("stream")).answer(200, chunks());
  const told = await next("send", 1);
  expect([...told.body]).toEqual([...move()]);
  told.answer(204, new Uint8Array(0));
  push(packetOf(3));
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(heard).toEqual([]);
  (await next("poll", 1)).answer(200, joined([packetOf(1), packetOf(2), move()]));
  await until(() => heard.length === 3);
  push(packetOf(4));
  await until(() => heard.length === 4);
  expect(heard).toEqual(["1", "2", "3", "4"]);
  expect(link.kind).toBe("http-stream");
});

test("an answer that is cut off is asked for again, and used once", async () => {
  const { next, heard, link } = await openLink();
  async function* broken() {
    yield packetOf(1);
    throw new Error("the connection broke");
  }
  (await next("poll", 1)).answer(200, broken());
  (await next("poll", 1)).answer(200, joined([packetOf(1), packetOf(2)]).subarray(0, 9));
  (await next("poll", 1)).answer(200, joined([packetOf(1), packetOf(2)]));
  await next("poll", 2);
  expect(heard).toEqual(["1", "2"]);
  link.giveUp("done");
});

test("a request without an answer is made again, the same, and then the link is given up", async () => {
  const { next, heard, link } = await openLink();
  const head = new Uint8Array([7, 8]);
  link.send({ head, body: undefined, bytes: 2, room: 0, plain: false });
  for (let attempt = 0; attempt < 3; attempt++) {
    const { body, fail } = await next("send", 1);
    expect([...body]).toEqual([...packetOf(7, 8)]);
    fail();
  }
  await until(() => heard.length > 0);
  expect(heard).toEqual(["closed 1006"]);
});

test("at most two requests are under way; what comes meanwhile goes together", async () => {
  const { next, link } = await openLink();
  const send = (byte: number) =>
    link.send({ head: new Uint8Array([byte]), body: undefined, bytes: 1, room: 0, plain: false });
  for (let byte = 1; byte <= 9; byte++) send(byte);
  const first = await next("send", 1);
  await next("send", 2);
  first.answer(204, new Uint8Array(0));
  const { body } = await next("send", 3);
  expect([...body]).toEqual([...joined([3, 4, 5, 6, 7, 8, 9].map((byte) => packetOf(byte)))]);
  link.giveUp("done");
});

test("a stream that goes silent after it was used is not tried again", async () => {
  const { next, link, dialler } = await openLink();
  async function* chunks() {
    yield encodeRecord(RecordKind.probe);
    await new Promise(() => undefined);
  }
  (await next("stream")).answer(200, chunks());
  (await next("send", 1)).answer(204, new Uint8Array(0));
  (await next("poll", 1)).answer(200, move());
  await until(() => link.kind === "http-stream");
  link.close(4410, "nothing was heard");
  expect(dialler.buffered).toBe(true);
});

test.each([
  ["the server", "answer", [4401, 4403, 1006]],
  ["something on the way, which may say something else soon", "intercept", [1006, 1006, 1006]],
] as const)("refusals of %s", async (_, how, codes) => {
  for (const [index, status] of [401, 403, 404].entries()) {
    const { opened, next } = dialLink();
    (await next("open"))[how](status, new TextEncoder().encode("no"));
    await expect(opened).rejects.toMatchObject({
      code: codes[index],
      reason: `HTTP ${status}: no`,
      by: how === "answer" ? "server" : "between",
    });
  }
});

test("an answer of something on the way is none, whatever it says", async () => {
  const { next, heard, link } = await openLink();
  const head = new Uint8Array([7]);
  link.send({ head, body: undefined, bytes: 1, room: 0, plain: false });
  (await next("send", 1)).intercept(204, new Uint8Array(0));
  (await next("poll", 1)).intercept(200, packetOf(6));
  (await next("stream")).intercept(200, joined([encodeRecord(RecordKind.probe), packetOf(6)]));
  (await next("poll", 1)).answer(200, packetOf(1));
  (await next("send", 1)).answer(204, new Uint8Array(0));
  await until(() => heard.length > 0);
  expect(heard).toEqual(["1"]);
  link.giveUp("done");
});

test("a stream that came whole, after its time, is not tried again", async () => {
  const { next, link, dialler } = await openLink();
  (await next("stream")).answer(200, encodeRecord(RecordKind.probe, new Uint8Array(9)));
  await until(() => dialler.buffered);
  link.giveUp("done");
});

test("a stream that broke on a good way is tried again by the next link", async () => {
  const { next, link, dialler } = await openLink();
  async function* broken() {
    yield encodeRecord(RecordKind.probe, new Uint8Array(9));
    throw new Error("the connection broke");
  }
  (await next("stream")).answer(200, broken());
  await next("send", 1);
  await new Promise((resolve) => setImmediate(resolve));
  expect(dialler.buffered).toBe(false);
  link.giveUp("done");
});

test("bodies begin with 64 KiB, grow while they are answered soon, and later links begin with what was learnt", async () => {
  const { next, link, dialler } = await openLink();
  const packet = { head: new Uint8Array(995), body: undefined, bytes: 995, room: 0, plain: false };
  for (let i = 0; i < 1_000; i++) link.send(packet);
  const sizes: number[] = [];
  for (let number = 1; number <= 8; number++) {
    const { body, answer } = await next("send", number);
    sizes.push(body.length);
    answer(204, new Uint8Array(0));
  }
  // The first two go out before anything waits.
  expect(sizes.slice(2).map((size) => Math.ceil(size / 65_536))).toEqual([1, 1, 2, 2, 4, 4]);
  expect(dialler.bodyBytes).toBe(262_144);
  link.giveUp("done");
});
