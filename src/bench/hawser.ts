import { randomUUID } from "node:crypto";
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { BenchService, type EchoResponse, WatchResponseSchema } from "../../gen/hawser/bench/v1/bench_pb.js";
import { type CompressionProfile, connect, createClient } from "../client/index.js";
import { createServer, defineTopic, memoryIdempotencyStore } from "../server/index.js";
import { encodePacket } from "../wire/encode.js";
import { HelloMode } from "../wire/frame.js";
import { type Contender, countTraffic, echoInLoops, NAME, publishAll } from "./contender.js";
import { CountingSocket } from "./counting-socket.js";

/** How a contender differs from what users get by default. */
export interface Variant {
  /** Every call carries an idempotency key, which the server keeps in memory. */
  readonly keys?: boolean;
  /** The server's limits and checks are off. */
  readonly unlimited?: boolean;
  /** The client says who it is, and the server finds it good. */
  readonly authenticated?: boolean;
  readonly compression?: CompressionProfile;
}

const Watched = defineTopic({
  name: "bench",
  schema: WatchResponseSchema,
  history: { size: 100_000, ttlMs: 600_000 },
});

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

/** Hawser as its users run it: default options, generated service, no special code. */
export function hawser({ keys, unlimited, authenticated, compression = "off" }: Variant): Contender {
  return {
    async serve() {
      const http = createHttpServer();
      const traffic = countTraffic(http);
      const server = createServer({
        // More keys than it keeps: the oldest go, as in a server that runs for long.
        ...(keys ? { idempotencyStore: memoryIdempotencyStore({ whenFull: "forget" }) } : {}),
        ...(unlimited ? UNLIMITED : {}),
        ...(authenticated
          ? { authenticate: ({ credentials }) => ({ id: credentials, expiresAt: Date.now() + 3_600_000 }) }
          : {}),
        compression,
        routes: (router) =>
          router.service(BenchService, {
            echo: (request) => ({ id: request.id, name: request.name, body: request.body }),
            async *push({ count, id, name, body }) {
              for (let i = 0; i < count; i++) yield { id, name, body };
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
      await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
      const { port } = http.address() as AddressInfo;
      return {
        port,
        traffic,
        async close() {
          await server.close();
          http.closeAllConnections();
          await new Promise((resolve) => http.close(resolve));
        },
      };
    },
    async connect(port, bodies) {
      const credentials = authenticated === true ? `client ${randomUUID()}` : "";
      const connection = connect(`ws://127.0.0.1:${port}/rpc`, { compression, credentials });
      await connection.ready();
      const client = createClient(BenchService, connection);
      const [first = new Uint8Array(0)] = bodies;
      let next = 0;
      const request = () => {
        const body = bodies[next++ % bodies.length] as Uint8Array;
        return { id: BigInt(next), name: NAME, body };
      };
      const call = keys
        ? () => client.echo(request(), { idempotencyKey: randomUUID() })
        : () => client.echo(request());
      const accept = (answer: EchoResponse) => answer.body.length === first.length;
      return {
        echo: (calls, depth, times) => echoInLoops(call, accept, calls, depth, times),
        async push(count) {
          let received = 0;
          for await (const message of client.push({ count, id: 1n, name: NAME, body: first })) {
            if (message.body.length !== first.length) throw new Error("a message of the wrong length");
            received++;
          }
          if (received !== count) throw new Error(`${received} messages instead of ${count}`);
        },
        async publish(messages, perTurn, bytes) {
          await client.publish({ count: messages, perTurn, bytes });
        },
        close: () => connection.close(),
      };
    },
    subscribe: (port) => CountingSocket.open(port, "/rpc", "hawser.v1", [HELLO, WATCH]),
  };
}
