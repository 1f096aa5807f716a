import { randomUUID } from "node:crypto";
import { BenchService, type EchoResponse } from "../../gen/hawser/bench/v1/bench_pb.js";
import { connect, createClient } from "../client/index.js";
import { createServer, memoryIdempotencyStore } from "../server/index.js";
import { type Contender, echoInLoops, makeBody, NAME } from "./contender.js";

/** Hawser itself, as its users run it: default options, generated service, no special code. */
export const hawser: Contender = makeContender(false);

/** The same, and every call carries an idempotency key, which the server keeps in memory. */
export const hawserWithKeys: Contender = makeContender(true);

function makeContender(keys: boolean): Contender {
  return {
    async serve() {
      const server = createServer({
        // More keys than it keeps: the oldest go, as in a server that runs for long.
        ...(keys ? { idempotencyStore: memoryIdempotencyStore({ whenFull: "forget" }) } : {}),
        routes: (router) =>
          router.service(BenchService, {
            echo: (request) => ({ id: request.id, name: request.name, body: request.body }),
            async *push({ count, id, name, body }) {
              for (let i = 0; i < count; i++) yield { id, name, body };
            },
          }),
      });
      const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
      return { port, close: () => server.close() };
    },
    async connect(port, bodyBytes) {
      const connection = connect(`ws://127.0.0.1:${port}/rpc`);
      await connection.ready();
      const client = createClient(BenchService, connection);
      const body = makeBody(bodyBytes);
      let id = 0n;
      const call = keys
        ? () => client.echo({ id: ++id, name: NAME, body }, { idempotencyKey: randomUUID() })
        : () => client.echo({ id: ++id, name: NAME, body });
      const accept = (answer: EchoResponse) => answer.body.length === bodyBytes;
      return {
        echo: (calls, depth, times) => echoInLoops(call, accept, calls, depth, times),
        async push(count) {
          let received = 0;
          for await (const message of client.push({ count, id: 1n, name: NAME, body })) {
            if (message.body.length !== bodyBytes) throw new Error("a message of the wrong length");
            received++;
          }
          if (received !== count) throw new Error(`${received} messages instead of ${count}`);
        },
        close: () => connection.close(),
      };
    },
  };
}
