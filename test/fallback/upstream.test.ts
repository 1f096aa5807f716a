// What a server keeps of requests that are not handled yet.
import type { IncomingMessage, ServerResponse } from "node:http";
import { PassThrough } from "node:stream";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { encodeRecord, type HttpRecord, joined, RecordKind } from "../../src/fallback/records.js";
import { Upstream } from "../../src/fallback/upstream.js";
import { until } from "../support/until.js";

const MAX_PACKET_BYTES = 1_048_576;

/** An upstream, and what it has said. */
function start() {
  const records: HttpRecord[] = [];
  const broken: number[] = [];
  const upstream = new Upstream(MAX_PACKET_BYTES, {
    onBytes: () => undefined,
    onRecord: (record) => records.push(record),
    onBroken: (code) => broken.push(code),
  });
  return { upstream, records, broken };
}

/** A request whose body a test writes, and its answer. */
function requestOf(headers: Readonly<Record<string, string>> = {}) {
  const request = Object.assign(new PassThrough(), { headers, complete: false });
  const answers: number[] = [];
  const response = Object.assign(new PassThrough(), {
    headersSent: false,
    setHeader: () => undefined,
    writeHead: (status: number) => answers.push(status),
  });
  return {
    body: request,
    answers,
    request: request as unknown as IncomingMessage,
    response: response as unknown as ServerResponse,
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("a body is read, however it is cut into chunks", async () => {
  const { upstream, records, broken } = start();
  const contents = [1, 0, 20_000, 3].map((length, index) => new Uint8Array(length).fill(index + 1));
  const whole = joined(contents.map((content) => encodeRecord(RecordKind.packet, content)));
  for (const [index, step] of [whole.length, 1_000, 7, 1].entries()) {
    const { request, response, body, answers } = requestOf(
      index % 2 === 0 ? { "content-length": String(whole.length) } : {},
    );
    upstream.take(index + 1, request, response);
    for (let at = 0; at < whole.length; at += step) body.write(Buffer.from(whole.subarray(at, at + step)));
    body.end();
    await until(() => answers.length > 0);
    expect(answers).toEqual([204]);
    expect(records.splice(0).map(({ content }) => content)).toEqual(contents);
  }
  expect(broken).toEqual([]);
});

test("bodies that wait take their length, not many times that, however small their records and chunks are", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const used = () => {
    collect();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const empty = Buffer.from(joined(Array.from({ length: 7_200 }, () => encodeRecord(RecordKind.packet))));
  const links = Array.from({ length: 60 }, () => {
    const { upstream } = start();
    const waiting = requestOf();
    upstream.take(2, waiting.request, waiting.response);
    return { upstream, ...waiting };
  });
  const before = used();
  for (let at = 0; at < empty.length; at += 100) {
    for (const { body } of links) body.write(Buffer.from(empty.subarray(at, at + 100)));
    await turn();
  }
  for (const { body } of links) body.end();
  await turn();
  // 36 kB each, and room to grow. As objects they would be 1 MB each.
  expect((used() - before) / links.length).toBeLessThan(150_000);
  expect(links.every(({ answers }) => answers.length === 0)).toBe(true);
  for (const { upstream } of links) upstream.stop();
  expect(links.every(({ answers }) => answers[0] === 204)).toBe(true);
});

test("when it is stopped, nothing that comes later is kept or handled", async () => {
  const { upstream, records } = start();
  const { request, response, body, answers } = requestOf();
  upstream.take(1, request, response);
  body.write(Buffer.from(encodeRecord(RecordKind.packet, new Uint8Array(9))));
  await turn();
  upstream.stop();
  expect(answers).toEqual([204]);
  body.end(Buffer.from(encodeRecord(RecordKind.packet, new Uint8Array(9))));
  // It is read to its end, so that its connection can be used again.
  await until(() => body.readableEnded);
  expect(records).toEqual([]);
});
