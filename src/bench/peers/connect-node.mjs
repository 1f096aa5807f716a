import { createServer } from "node:http2";
import { createClient } from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport } from "@connectrpc/connect-node";
import { BenchService } from "../../../gen/hawser/bench/v1/bench_pb.ts";
import { echoInLoops, windowed } from "../loops.ts";
import { NAME } from "../payload.ts";
import { listenLocally, watchSockets } from "../sockets.ts";
import { isMessage } from "./json-message.mjs";

/** @returns {import("../contender.ts").Contender} */
export function create() {
  return {
    async serve() {
      const routes = (router) =>
        router.service(BenchService, {
          echo: ({ id, name, body }) => ({ id, name, body }),
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
        });
      const server = createServer(connectNodeAdapter({ routes }));
      const { traffic, cut } = watchSockets(server);
      const port = await listenLocally(server);
      return { port, traffic, cut, close: async () => cut() };
    },
    async connect(port, bodies) {
      const transport = createConnectTransport({
        baseUrl: `http://127.0.0.1:${port}`,
        httpVersion: "2",
        useBinaryFormat: true,
        // Without compression, as the others.
        acceptCompression: [],
        idleConnectionTimeoutMs: 3_600_000,
      });
      const client = createClient(BenchService, transport);
      const message = (id) => ({ id: BigInt(id), name: NAME, body: bodies[id % bodies.length] });
      const call = (id) => client.echo(message(id));
      const accept = (answer, id) => isMessage(answer, id, bodies[0].length);
      await echoInLoops(call, accept, 1, 1, undefined);
      return {
        echo: (calls, depth, times) => echoInLoops(call, accept, calls, depth, times),
        async push(count) {
          let received = 0;
          for await (const answer of client.push({ count, ...message(1) })) {
            if (!accept(answer, 1)) throw new Error("another message came");
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
            if (!accept(answer, window.expected)) throw new Error("another message came back");
            window.onReply();
          }
        },
        // Ends with its process: the transport keeps its connection to itself.
        close: async () => undefined,
      };
    },
  };
}
