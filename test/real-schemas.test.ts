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
  toBinary,
} from "@bufbuild/protobuf";
import type { GenService } from "@bufbuild/protobuf/codegenv2";
import {
  type Any as AnyMessage,
  anyPack,
  anyUnpack,
  StringValueSchema,
  timestampFromDate,
} from "@bufbuild/protobuf/wkt";
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
type Subscriber = GenService<{ streamingPull: Bidi }>;
type ByteStream = GenService<{ read: ServerStreaming; write: ClientStreaming }>;

let folder: string;
let server: Server;
let connection: Connection;
let logging: {
  LoggingServiceV2: Logging;
  WriteLogEntriesRequestSchema: DescMessage;
  TailLogEntriesResponseSchema: DescMessage;
};
let pubsub: { Publisher: Publisher; Subscriber: Subscriber; PublishRequestSchema: DescMessage };
let bytestream: { ByteStream: ByteStream };

/** What the handlers of unary calls received last, by the type of the message. */
const received = new Map<string, Message>();

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
            received.set(request.$typeName, request);
            return {};
          },
          async *tailLogEntries(requests) {
            for await (const request of requests) {
              const entries = logEntries(300, String(field(request, "filter")));
              yield init({ entries, suppressionInfo: [{ reason: 1, suppressedCount: 7 }] });
            }
          },
        })
        .service(pubsub.Publisher, {
          publish(request) {
            received.set(request.$typeName, request);
            const messages = field(request, "messages") as unknown[];
            return init({ messageIds: messages.map((_, index) => `id-${index}`) });
          },
        })
        .service(pubsub.Subscriber, {
          // As Pub/Sub does it: the first request names the subscription, the others acknowledge.
          async *streamingPull(requests) {
            let sent = 0;
            for await (const request of requests) {
              const ackIds = field(request, "ackIds") as string[];
              expect(ackIds).toEqual(sent === 0 ? [] : [`ack-${sent}`]);
              sent++;
              yield init({
                receivedMessages: [
                  { ackId: `ack-${sent}`, message: pubSubMessage(sent), deliveryAttempt: 1 },
                ],
                acknowledgeConfirmation: { ackIds },
                subscriptionProperties: { messageOrderingEnabled: true },
              });
            }
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

function pubSubMessage(i: number): object {
  return {
    data: pattern(i, 2_000),
    attributes: { source: "test", index: String(i) },
    messageId: `id-${i}`,
    publishTime: timestampFromDate(new Date(1_700_000_000_000 + i)),
    orderingKey: `key-${i % 3}`,
  };
}

/** Log entries as services write them: every shape of payload, labels, times, nested messages. */
function logEntries(count: number, logName: string): object[] {
  return Array.from({ length: count }, (_, i) => ({
    logName,
    resource: {
      type: "k8s_container",
      labels: { cluster_name: "eu-1", pod_name: `api-${i % 7}` },
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
              value: anyPack(StringValueSchema, create(StringValueSchema, { value: `order ${i}` })),
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
    const schema = logging.WriteLogEntriesRequestSchema;
    const request = create(
      schema,
      init({ entries: logEntries(1_000, "projects/demo/logs/requests"), labels: { batch: "1" } }),
    );
    expect(toBinary(schema, request).length).toBeGreaterThan(200_000);
    await createClient(logging.LoggingServiceV2, connection).writeLogEntries(request);
    const arrived = received.get(schema.typeName) as MessageShape<DescMessage>;
    expect(equals(schema, arrived, request)).toBe(true);
    // The payload that is an Any still opens.
    const entries = field(arrived, "entries") as { payload: { case: string; value: Any } }[];
    const packed = entries.find(({ payload }) => payload.case === "protoPayload")!.payload
      .value as AnyMessage;
    expect(anyUnpack(packed, StringValueSchema)?.value).toBe("order 2");
  });

  it("takes a bidirectional call whose answers are long lists", async () => {
    const filters = ["projects/demo/logs/a", "projects/demo/logs/b"];
    async function* requests() {
      for (const filter of filters)
        yield init({ resourceNames: ["projects/demo"], filter, bufferWindow: { seconds: 2n } });
    }
    const schema = logging.TailLogEntriesResponseSchema;
    const responses: MessageShape<DescMessage>[] = [];
    const client = createClient(logging.LoggingServiceV2, connection);
    for await (const response of client.tailLogEntries(requests())) responses.push(response);
    expect(responses).toHaveLength(2);
    for (const [index, filter] of filters.entries()) {
      const suppressionInfo = [{ reason: 1, suppressedCount: 7 }];
      const sent = create(schema, init({ entries: logEntries(300, filter), suppressionInfo }));
      expect(equals(schema, responses[index]!, sent)).toBe(true);
    }
  });

  it("takes a unary call with bytes and attributes", async () => {
    const schema = pubsub.PublishRequestSchema;
    const messages = Array.from({ length: 50 }, (_, i) => pubSubMessage(i));
    const request = create(schema, init({ topic: "projects/demo/topics/orders", messages }));
    const response = await createClient(pubsub.Publisher, connection).publish(request);
    expect(field(response, "messageIds")).toEqual(messages.map((_, i) => `id-${i}`));
    expect(equals(schema, received.get(schema.typeName) as MessageShape<DescMessage>, request)).toBe(true);
  });

  it("takes a bidirectional call in which each message answers the one before", async () => {
    const acknowledgements: string[] = [];
    let wake = () => {};
    async function* requests() {
      yield init({ subscription: "projects/demo/subscriptions/all", streamAckDeadlineSeconds: 10 });
      for (;;) {
        const ackId = acknowledgements.shift();
        if (ackId !== undefined) yield init({ ackIds: [ackId] });
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    }
    let pulled = 0;
    for await (const response of createClient(pubsub.Subscriber, connection).streamingPull(requests())) {
      pulled++;
      const [{ ackId, message }] = field(response, "receivedMessages") as [
        { ackId: string; message: object },
      ];
      expect(ackId).toBe(`ack-${pulled}`);
      expect(message).toMatchObject(pubSubMessage(pulled));
      if (pulled === 100) break;
      acknowledgements.push(ackId);
      wake();
    }
    expect(pulled).toBe(100);
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

  it("gives the strict compiler typed clients and handlers", async () => {
    const program = `
      import { createClient, type Transport } from "hawser";
      import { createServer } from "hawser/server";
      import { ByteStream } from "./google/bytestream/bytestream_pb.js";
      import { LoggingServiceV2 } from "./google/logging/v2/logging_pb.js";
      import { Publisher, type PubsubMessage, Subscriber } from "./google/pubsub/v1/pubsub_pb.js";

      createServer({
        routes: (router) =>
          router
            .service(Publisher, { publish: ({ messages }) => ({ messageIds: messages.map(({ messageId }) => messageId) }) })
            .service(ByteStream, {
              async *read({ readLimit }) { yield { data: new Uint8Array(Number(readLimit)) }; },
              async write(requests) {
                let committedSize = 0n;
                for await (const { data } of requests) committedSize += BigInt(data.length);
                return { committedSize };
              },
            }),
      });

      export async function use(transport: Transport): Promise<(PubsubMessage | undefined)[]> {
        const pulled: (PubsubMessage | undefined)[] = [];
        async function* requests() { yield { subscription: "all" }; }
        for await (const { receivedMessages } of createClient(Subscriber, transport).streamingPull(requests()))
          pulled.push(...receivedMessages.map(({ message }) => message));
        const payload = { case: "textPayload", value: "hello" } as const;
        await createClient(LoggingServiceV2, transport).writeLogEntries({ entries: [{ payload, labels: { zone: "a" } }] });
        // @ts-expect-error: there is no such method.
        createClient(Publisher, transport).published({});
        // @ts-expect-error: there is no such field.
        await createClient(Publisher, transport).publish({ topics: "orders" });
        return pulled;
      }`;
    writeFileSync(join(folder, "program.ts"), program);
    const config = { extends: resolve("tsconfig.json"), include: ["program.ts"] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    const { stdout } = await promisify(execFile)("npx", ["tsc", "-p", folder]);
    expect(stdout).toBe("");
  });
});
