import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import {
  create,
  type DescMessage,
  equals,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { GenService } from "@bufbuild/protobuf/codegenv2";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Connection, connect, createClient } from "../src/client/index.js";
import { createServer, type Server } from "../src/server/index.js";

/** Schemas of Google's APIs, from the package that publishes them. */
const SCHEMAS = resolve("node_modules/google-proto-files");
const PATHS = [
  "google/logging/v2/logging.proto",
  "google/bytestream/bytestream.proto",
  "google/pubsub/v1/pubsub.proto",
];

type Unary = { methodKind: "unary"; input: DescMessage; output: DescMessage };
type ServerStreaming = { methodKind: "server_streaming"; input: DescMessage; output: DescMessage };
type ClientStreaming = { methodKind: "client_streaming"; input: DescMessage; output: DescMessage };
type Bidi = { methodKind: "bidi_streaming"; input: DescMessage; output: DescMessage };
// The code is generated while the test runs, so the compiler knows only the kinds of the methods.
type Logging = GenService<{ writeLogEntries: Unary; tailLogEntries: Bidi }>;
type Publisher = GenService<{ publish: Unary }>;
type ByteStream = GenService<{ read: ServerStreaming; write: ClientStreaming }>;

let folder: string;
let server: Server;
let connection: Connection;
let logging: { LoggingServiceV2: Logging; WriteLogEntriesRequestSchema: DescMessage };
let pubsub: { Publisher: Publisher; PublishRequestSchema: DescMessage };
let bytestream: { ByteStream: ByteStream };

/** What handlers received, to be compared with what was sent. */
const received: Message[] = [];

type Any = MessageInitShape<DescMessage>;
const init = (fields: object): Any => fields as Any;
const field = (message: MessageShape<DescMessage>, name: string): unknown =>
  (message as unknown as Record<string, unknown>)[name];

beforeAll(async () => {
  mkdirSync(".tmp", { recursive: true });
  folder = mkdtempSync(join(".tmp", "real-schemas-"));
  const template = {
    version: "v2",
    inputs: [{ directory: SCHEMAS, paths: PATHS.map((path) => join(SCHEMAS, path)) }],
    plugins: [
      {
        local: "protoc-gen-es",
        out: resolve(folder),
        opt: ["target=ts", "import_extension=js"],
        include_imports: true,
      },
    ],
  };
  // YAML is a superset of JSON.
  writeFileSync(join(folder, "buf.gen.yaml"), JSON.stringify(template));
  await promisify(execFile)("npx", ["buf", "generate", "--template", join(folder, "buf.gen.yaml")]);
  const load = (path: string) => import(pathToFileURL(resolve(folder, path)).href);
  logging = await load("google/logging/v2/logging_pb.ts");
  pubsub = await load("google/pubsub/v1/pubsub_pb.ts");
  bytestream = await load("google/bytestream/bytestream_pb.ts");

  server = createServer({
    routes: (router) =>
      router
        .service(logging.LoggingServiceV2, {
          writeLogEntries(request) {
            received.push(request);
            return {};
          },
          async *tailLogEntries(requests) {
            for await (const request of requests) {
              for (const message of received) {
                if (message.$typeName === "google.logging.v2.WriteLogEntriesRequest") {
                  const entries = field(message, "entries");
                  yield init({
                    entries,
                    suppressionInfo: [
                      { reason: 1, suppressedCount: field(request, "resourceNames") ? 1 : 0 },
                    ],
                  });
                }
              }
            }
          },
        })
        .service(pubsub.Publisher, {
          publish(request) {
            received.push(request);
            const messages = field(request, "messages") as unknown[];
            return init({ messageIds: messages.map((_, index) => `id-${index}`) });
          },
        })
        .service(bytestream.ByteStream, {
          async *read(request) {
            const size = Number(field(request, "readLimit"));
            for (let offset = 0; offset < size; offset += 32_768) {
              yield init({ data: pattern(offset, Math.min(32_768, size - offset)) });
            }
          },
          async write(requests) {
            let committed = 0n;
            for await (const request of requests) {
              expect(field(request, "writeOffset")).toBe(committed);
              const data = field(request, "data") as Uint8Array;
              expect(data).toEqual(pattern(Number(committed), data.length));
              committed += BigInt(data.length);
            }
            return init({ committedSize: committed });
          },
        }),
  });
  const { url } = await server.listen({ port: 0, host: "127.0.0.1" });
  connection = connect(url);
}, 120_000);

afterAll(async () => {
  await connection?.close();
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

function pattern(offset: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => ((offset + i) * 131) & 0xff);
}

/** Log entries as services write them: every shape of payload, labels, times, nested messages. */
function logEntries(count: number): object[] {
  return Array.from({ length: count }, (_, i) => ({
    logName: "projects/demo/logs/requests",
    resource: {
      type: "k8s_container",
      labels: { cluster_name: "eu-1", pod_name: `api-${i % 7}`, __proto: "kept" },
    },
    payload:
      i % 3 === 0
        ? { case: "textPayload", value: `GET /orders/${i} „grüße“ 🚢` }
        : i % 3 === 1
          ? {
              case: "jsonPayload",
              value: { order: i, items: ["a", null, true, 1.5], nested: { deep: { er: "yes" } } },
            }
          : {
              case: "protoPayload",
              value: { typeUrl: "type.googleapis.com/google.rpc.Status", value: new Uint8Array([8, 5]) },
            },
    timestamp: timestampFromDate(new Date(1_700_000_000_000 + i * 1_001)),
    severity: 100 * (1 + (i % 8)),
    insertId: `insert-${i}`,
    httpRequest: {
      requestMethod: "GET",
      status: 200 + i,
      responseSize: BigInt(i) * 4_000_000_000n,
      latency: { seconds: 0n, nanos: 12_345_678 },
      cacheHit: i % 2 === 0,
    },
    labels: { zone: "a", "key with spaces": "value", "": "empty" },
    sourceLocation: { file: "orders.ts", line: BigInt(i), function: "find" },
  }));
}

describe("services of others, generated from schemas that no one here wrote", () => {
  it("takes a unary call with hundreds of kilobytes of log entries", async () => {
    const request = init({ entries: logEntries(1_000), labels: { batch: "1" }, partialSuccess: true });
    await createClient(logging.LoggingServiceV2, connection).writeLogEntries(request);
    const sent = create(logging.WriteLogEntriesRequestSchema, request);
    expect(equals(logging.WriteLogEntriesRequestSchema, received[0] as MessageShape<DescMessage>, sent)).toBe(
      true,
    );
  });

  it("takes a bidirectional call that gives them back", async () => {
    async function* requests() {
      yield init({
        resourceNames: ["projects/demo"],
        filter: "severity>=ERROR",
        bufferWindow: { seconds: 2n },
      });
    }
    const entries: unknown[] = [];
    for await (const response of createClient(logging.LoggingServiceV2, connection).tailLogEntries(
      requests(),
    )) {
      entries.push(...(field(response, "entries") as unknown[]));
    }
    expect(entries).toEqual(field(received[0] as MessageShape<DescMessage>, "entries"));
    expect(entries).toHaveLength(1_000);
  });

  it("takes a unary call with bytes and attributes", async () => {
    const messages = Array.from({ length: 50 }, (_, i) => ({
      data: pattern(i, 2_000),
      attributes: { source: "test", index: String(i) },
      orderingKey: `key-${i % 3}`,
    }));
    const request = init({ topic: "projects/demo/topics/orders", messages });
    const response = await createClient(pubsub.Publisher, connection).publish(request);
    expect(field(response, "messageIds")).toHaveLength(50);
    const sent = create(pubsub.PublishRequestSchema, request);
    expect(equals(pubsub.PublishRequestSchema, received.at(-1) as MessageShape<DescMessage>, sent)).toBe(
      true,
    );
  });

  it("takes a server-streaming download and a client-streaming upload of 4 MB", async () => {
    const client = createClient(bytestream.ByteStream, connection);
    const size = 4_000_000;
    let offset = 0;
    for await (const response of client.read(init({ resourceName: "blob", readLimit: BigInt(size) }))) {
      const data = field(response, "data") as Uint8Array;
      expect(data).toEqual(pattern(offset, data.length));
      offset += data.length;
    }
    expect(offset).toBe(size);
    async function* upload() {
      for (let at = 0; at < size; at += 100_000) {
        yield init({
          resourceName: "blob",
          writeOffset: BigInt(at),
          data: pattern(at, 100_000),
          finishWrite: at + 100_000 === size,
        });
      }
    }
    expect(field(await client.write(upload()), "committedSize")).toBe(BigInt(size));
  });
});
