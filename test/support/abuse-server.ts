// A server in a process of its own, under attack: it tells its memory, and how often its handlers ran. Arguments: options as JSON.
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { createServer, type ServerOptions } from "../../src/server/index.js";
import { echoHandlers } from "./echo.js";

const options = JSON.parse(process.argv[2] ?? "{}") as Partial<ServerOptions>;
const counts = { slow: 0, yields: 0 };

const server = createServer({
  ...options,
  authenticate: ({ credentials }) => ({ id: credentials, expiresAt: Date.now() + 3_600_000 }),
  logger: { warn: () => undefined, error: () => undefined },
  routes: (router) =>
    router.service(EchoService, {
      ...echoHandlers(),
      async echo({ name, body }) {
        if (name === "slow") {
          counts.slow++;
          // It does not listen to its signal.
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        return { name, body: name === "large" ? new Uint8Array(1_000_000) : body };
      },
      async *repeat({ count, body }) {
        for (let number = 1; number <= count; number++) {
          counts.yields++;
          yield { number, body };
        }
      },
      // Nothing is ever read.
      collect: () => new Promise(() => undefined),
    }),
});
process.on("message", () => {
  for (let i = 0; i < 2; i++) globalThis.gc?.();
  // What is in use. What the engine has not given back to the operating system yet is its own matter.
  const { heapUsed, external } = process.memoryUsage();
  process.send?.({ bytes: heapUsed + external, sessions: server.sessions.size, ...counts });
});
process.on("disconnect", () => process.exit(0));
const { port } = await server.listen({ port: 0, host: "127.0.0.1" });
process.send?.(port);
