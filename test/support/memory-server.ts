// A server in a process of its own: its readers stop when they are told to, and it tells its memory.
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { createServer } from "../../src/server/index.js";

/** What the test asks for. */
export type Order = "memory" | "go";

let open: () => void = () => undefined;
const gate = new Promise<void>((resolve) => {
  open = resolve;
});
let written = 0;
let read = 0;

const server = createServer({
  routes: (router) =>
    router.service(EchoService, {
      echo: (request) => ({ id: request.id }),
      async *repeat({ count, body }) {
        for (let number = 1; number <= count; number++) {
          written++;
          yield { number, body };
        }
      },
      async collect(requests) {
        let bytes = 0n;
        for await (const request of requests) {
          if (++read === 1) await gate;
          bytes += BigInt(request.body.length);
        }
        return { bytes };
      },
    }),
});

process.on("message", (order: Order) => {
  if (order === "go") return open();
  globalThis.gc?.();
  process.send?.({ rss: process.memoryUsage().rss, written, read });
});
process.on("disconnect", () => void server.close());

const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
process.send?.({ port });
