import { createServer } from "node:http";
import { createClient, createServer as createRiverServer, Ok, Procedure, ServiceSchema } from "@replit/river";
import { BinaryCodec } from "@replit/river/codec";
import { WebSocketClientTransport } from "@replit/river/transport/ws/client";
import { WebSocketServerTransport } from "@replit/river/transport/ws/server";
import { Type } from "@sinclair/typebox";
import WebSocket, { WebSocketServer } from "ws";
import { echoInLoops } from "../loops.ts";
import { NAME } from "../payload.ts";
import { listenLocally, watchSockets } from "../sockets.ts";

// Its codec knows no 64-bit integers beyond what a number holds.
const Message = Type.Object({ id: Type.Number(), name: Type.String(), body: Type.Uint8Array() });
const PushRequest = Type.Object({ count: Type.Number(), message: Message });
const BenchService = ServiceSchema.define({
  echo: Procedure.rpc({
    input: Message,
    output: Message,
    errors: Type.Never(),
    handler: async (_, { id, name, body }) => Ok({ id, name, body }),
  }),
  push: Procedure.subscription({
    input: PushRequest,
    output: Message,
    errors: Type.Never(),
    async handler(_, { count, message }, output) {
      for (let i = 0; i < count; i++) {
        output.push(Ok(message));
        // It has no backpressure: what is pushed is written.
        if (i % 256 === 255) await new Promise((resolve) => setImmediate(resolve));
      }
      output.end();
    },
  }),
});

/** @returns {import("../contender.ts").Contender} */
export function create() {
  return {
    async serve() {
      const http = createServer();
      const { traffic, cut } = watchSockets(http);
      const transport = new WebSocketServerTransport(new WebSocketServer({ server: http }), "SERVER", {
        codec: BinaryCodec,
      });
      createRiverServer(transport, { bench: BenchService });
      const port = await listenLocally(http);
      return { port, traffic, cut, close: async () => cut() };
    },
    async connect(port, bodies) {
      const open = async () => new WebSocket(`ws://127.0.0.1:${port}`);
      const transport = new WebSocketClientTransport(open, crypto.randomUUID(), { codec: BinaryCodec });
      const client = createClient(transport, "SERVER");
      const message = (id) => ({ id, name: NAME, body: bodies[id % bodies.length] });
      const call = (id) => client.bench.echo.rpc(message(id));
      const accept = ({ ok, payload }, id) =>
        ok && payload.id === id && payload.body.length === bodies[0].length;
      await echoInLoops(call, accept, 1, 1, undefined);
      return {
        echo: (calls, depth, times) => echoInLoops(call, accept, calls, depth, times),
        async push(count) {
          const [messages] = await client.bench.push.subscribe({ count, message: message(1) });
          let received = 0;
          for await (const answer of messages) {
            if (!accept(answer, 1)) throw new Error("another message came");
            if (++received === count) return;
          }
        },
        close: async () => transport.close(),
      };
    },
  };
}
