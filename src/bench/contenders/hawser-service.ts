import { randomUUID } from "node:crypto";
import { createServer as createHttpServer } from "node:http";
import type {
  BenchService,
  EchoResponse,
  WatchResponseSchema,
} from "../../../gen/hawser/bench/v1/bench_pb.js";
import { type Client, type CompressionProfile, type Connection, connect } from "../../client/index.js";
import { createServer, defineTopic, memoryIdempotencyStore } from "../../server/index.js";
import { encodePacket } from "../../wire/encode.js";
import { HelloMode } from "../../wire/frame.js";
import type { Contender } from "../contender.js";
import { CountingSocket } from "../counting-socket.js";
import { echoInLoops, windowed } from "../loops.js";
import { NAME, publishAll } from "../payload.js";
import { listenLocally, watchSockets } from "../sockets.js";

/** How a contender differs from what users get by default. */
interface Variant {
  /** Every call carries an idempotency key, which the server keeps in memory. */
  readonly keys?: boolean;
  /** The server's limits and checks are off. */
  readonly unlimited?: boolean;
  /** The client says who it is, and the server finds it good. */
  readonly authenticated?: boolean;
  readonly compression?: CompressionProfile;
}

/** Descriptors as a generator has written them: those of protoc-gen-hawser bring their codecs along. */
interface BenchSchema {
  readonly BenchService: typeof BenchService;
  readonly WatchResponseSchema: typeof WatchResponseSchema;
}

const VARIANTS: Readonly<Record<string, Variant>> = {
  "": {},
  keys: { keys: true },
  unlimited: { unlimited: true },
  authenticated: { authenticated: true },
  memory: { compression: "memory" },
  balanced: { compression: "balanced" },
  ratio: { compression: "ratio" },
};

const LIMITS = { packetBytes: 0, messageBytes: 0, creditBytes: 2 ** 32 - 1, headerBytes: 0, calls: 0 };

/** What a client says that subscribes: it does no more, so it needs no client. */
const HELLO = encodePacket({
  seq: 0,
  ack: 0,
  frames: [
    {
      kind: "hello",
      version: 1,
      mode: HelloMode.begin,
      session: new Uint8Array(0),
      epoch: new Uint8Array(0),
      received: 0,
      credentials: "",
      limits: LIMITS,
      agent: "bench",
      link: 1,
    },
  ],
});
const WATCH = encodePacket({
  seq: 1,
  ack: 0,
  frames: [
    {
      kind: "open",
      call: 1,
      method: 1,
      name: "hawser.bench.v1.BenchService/Watch",
      headers: undefined,
      timeoutMs: 0,
      end: true,
      size: 0,
      resumeToken: "",
      idempotencyKey: "",
      payload: new Uint8Array(0),
    },
  ],
});

const OFF = Number.POSITIVE_INFINITY;

/** Every limit that can be off. */
const UNLIMITED = {
  maxConnections: OFF,
  maxConnectionsPerAddress: OFF,
  maxSessionsPerIdentity: OFF,
  messagesPerSecond: OFF,
  bytesPerSecond: OFF,
  callsPerSecond: OFF,
  maxOutboxBytes: OFF,
  maxHeldBytes: OFF,
  allowedHosts: "*",
  allowedOrigins: "*",
} as const;

/**
 * Hawser as its users run it: default options, generated service, no special code. Messages are encoded as the
 * descriptors say.
 *
 * @param name The variant; `""` for the usual one.
 * @throws Error when there is no such variant.
 */
export function createHawser(
  name: string,
  schema: BenchSchema,
  makeClient: (connection: Connection) => Client<typeof BenchService>,
): Contender {
  const variant = VARIANTS[name];
  if (variant === undefined) throw new Error(`Hawser has no variant "${name}" here`);
  const Watched = defineTopic({
    name: "bench",
    schema: schema.WatchResponseSchema,
    history: { size: 100_000, ttlMs: 600_000 },
  });
  const { keys, unlimited, authenticated, compression = "off" } = variant;
  return {
    async serve() {
      const http = createHttpServer();
      const { traffic, cut } = watchSockets(http);
      const server = createServer({
        // More keys than it keeps: the oldest go, as in a server that runs for long.
        ...(keys ? { idempotencyStore: memoryIdempotencyStore({ whenFull: "forget" }) } : {}),
        ...(unlimited ? UNLIMITED : {}),
        ...(authenticated
          ? { authenticate: ({ credentials }) => ({ id: credentials, expiresAt: Date.now() + 3_600_000 }) }
          : {}),
        compression,
        routes: (router) =>
          router.service(schema.BenchService, {
            echo: (request) => ({ id: request.id, name: request.name, body: request.body }),
            async *push({ count, id, name, body }) {
              for (let i = 0; i < count; i++) yield { id, name, body };
            },
            async upload(requests) {
              let count = 0;
              for await (const _ of requests) count++;
              return { count };
            },
            async *converse(requests) {
              for await (const { id, name, body } of requests) yield { id, name, body };
            },
            watch: () => Watched(),
            async publish({ count, perTurn, bytes }, context) {
              const published: Promise<unknown>[] = [];
              const publish = (body: Uint8Array) => published.push(context.publish(Watched(), { body }));
              await publishAll(publish, count, perTurn, bytes);
              await Promise.all(published);
              return {};
            },
          }),
      });
      server.attach(http);
      const port = await listenLocally(http);
      return {
        port,
        traffic,
        cut,
        async close() {
          await server.close();
          http.closeAllConnections();
          await new Promise((resolve) => http.close(resolve));
        },
      };
    },
    async connect(port, bodies, reconnecting) {
      const credentials = authenticated === true ? `client ${randomUUID()}` : "";
      const connection = connect(`ws://127.0.0.1:${port}/rpc`, {
        compression,
        credentials,
        ...(reconnecting ? { reconnect: { initialDelayMs: 1, maxDelayMs: 1_000 } } : {}),
      });
      await connection.ready();
      const client = makeClient(connection);
      const [first = new Uint8Array(0)] = bodies;
      const message = (id: number) => ({
        id: BigInt(id),
        name: NAME,
        body: bodies[id % bodies.length] as Uint8Array,
      });
      const call = keys
        ? (id: number) => client.echo(message(id), { idempotencyKey: randomUUID() })
        : (id: number) => client.echo(message(id));
      const accept = (answer: EchoResponse, id: number) =>
        answer.body.length === first.length && answer.id === BigInt(id);
      return {
        echo: (calls, depth, times) => echoInLoops(call, accept, calls, depth, times),
        async push(count) {
          let received = 0;
          for await (const { id, body } of client.push({ count, ...message(1) })) {
            if (body.length !== first.length || id !== 1n) throw new Error("another message came");
            received++;
          }
          if (received !== count) throw new Error(`${received} messages instead of ${count}`);
        },
        async upload(count) {
          async function* messages() {
            for (let id = 0; id < count; id++) yield message(id);
          }
          const answer = await client.upload(messages());
          if (answer.count !== count) throw new Error(`${answer.count} messages instead of ${count}`);
        },
        async converse(count, depth) {
          const window = windowed(message, count, depth);
          for await (const answer of client.converse(window.requests)) {
            if (!accept(answer as unknown as EchoResponse, window.expected))
              throw new Error("another message came back");
            window.onReply();
          }
          if (window.expected !== count) throw new Error(`${window.expected} messages instead of ${count}`);
        },
        async publish(messages, perTurn, bytes) {
          await client.publish({ count: messages, perTurn, bytes });
        },
        async recovered() {
          await linkLost(connection);
          await echoInLoops(call, accept, 1, 1, undefined);
        },
        close: () => connection.close(),
      };
    },
    subscribe: (port) => CountingSocket.open(port, "/rpc", "hawser.v1", [HELLO, WATCH]),
  };
}

function linkLost(connection: Connection): Promise<void> {
  return new Promise((resolve) => {
    const off = connection.on("reconnecting", () => {
      off();
      resolve();
    });
  });
}
