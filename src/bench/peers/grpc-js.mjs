import { once } from "node:events";
import { createServer } from "node:net";
import { credentials, loadPackageDefinition, Server, ServerCredentials } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { echoInLoops, windowed } from "../loops.ts";
import { NAME } from "../payload.ts";
import { listenLocally, watchSockets } from "../sockets.ts";
import { isMessage } from "./json-message.mjs";

const definition = loadSync("hawser/bench/v1/bench.proto", {
  includeDirs: ["test/proto"],
  keepCase: false,
  longs: String,
});
const { BenchService } = loadPackageDefinition(definition).hawser.bench.v1;
const OPTIONS = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };

/** Writes a message, and waits when there is no room for more. */
const write = async (stream, message) => {
  if (!stream.write(message)) await once(stream, "drain");
};

/** @returns {import("../contender.ts").Contender} */
export function create() {
  return {
    async serve() {
      const server = new Server(OPTIONS);
      server.addService(BenchService.service, {
        echo: ({ request: { id, name, body } }, done) => done(null, { id, name, body }),
        async push(call) {
          const { count, id, name, body } = call.request;
          for (let i = 0; i < count; i++) await write(call, { id, name, body });
          call.end();
        },
        upload(call, done) {
          let count = 0;
          call.on("data", () => count++);
          call.on("end", () => done(null, { count }));
        },
        converse(call) {
          call.on("data", ({ id, name, body }) => call.write({ id, name, body }));
          call.on("end", () => call.end());
        },
      });
      // Its own listening socket would show its sockets to nobody, so it is given those of another one.
      const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
      const sockets = createServer((socket) => injector.injectConnection(socket));
      const { traffic, cut } = watchSockets(sockets);
      const port = await listenLocally(sockets);
      return { port, traffic, cut, close: async () => server.forceShutdown() };
    },
    async connect(port, bodies) {
      // A connection of its own for each: otherwise channels to one address share one.
      const options = { ...OPTIONS, "grpc.use_local_subchannel_pool": 1 };
      const client = new BenchService(`127.0.0.1:${port}`, credentials.createInsecure(), options);
      const message = (id) => ({ id: String(id), name: NAME, body: bodies[id % bodies.length] });
      const call = (id) =>
        new Promise((resolve, reject) =>
          client.echo(message(id), (error, answer) => (error ? reject(error) : resolve(answer))),
        );
      const accept = ({ id, body }, expected) =>
        isMessage({ id: BigInt(id), body }, expected, bodies[0].length);
      await echoInLoops(call, accept, 1, 1, undefined);
      return {
        echo: (calls, depth, times) => echoInLoops(call, accept, calls, depth, times),
        push: (count) =>
          new Promise((resolve, reject) => {
            let received = 0;
            const stream = client.push({ count, ...message(1) });
            stream.on("data", (answer) => {
              if (!accept(answer, 1)) reject(new Error("another message came"));
              received++;
            });
            stream.on("error", reject);
            stream.on("end", () =>
              received === count ? resolve() : reject(new Error(`${received} messages`)),
            );
          }),
        upload: (count) =>
          new Promise((resolve, reject) => {
            const stream = client.upload((error, answer) =>
              error || answer.count !== count
                ? reject(error ?? new Error(`${answer.count} messages`))
                : resolve(),
            );
            (async () => {
              for (let id = 0; id < count; id++) await write(stream, message(id));
              stream.end();
            })().catch(reject);
          }),
        converse: (count, depth) =>
          new Promise((resolve, reject) => {
            const window = windowed(message, count, depth);
            const stream = client.converse();
            stream.on("data", (answer) => {
              if (!accept(answer, window.expected)) reject(new Error("another message came back"));
              window.onReply();
            });
            stream.on("error", reject);
            stream.on("end", resolve);
            (async () => {
              for await (const request of window.requests) stream.write(request);
              stream.end();
            })().catch(reject);
          }),
        close: async () => client.close(),
      };
    },
  };
}
