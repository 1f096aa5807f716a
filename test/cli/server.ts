// A server for the tests of the command line, in a process of its own. It prints its URL, and ends with its input.
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import { ReflectedService } from "../../gen/hawser/reflected/v1/reflected_pb.js";
import { EchoRequestSchema, EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { Code, createServer, errorDetail, memoryIdempotencyStore, RpcError } from "../../src/server/index.js";
import { echoHandlers } from "../support/echo.js";
import { ShortNotes, topicRoutes } from "../support/topics.js";

const { SERVER_TOKEN: token, SERVER_MAX_CONNECTIONS: most = "1000" } = process.env;

const server = createServer({
  maxConnections: Number(most),
  idempotencyStore: memoryIdempotencyStore(),
  ...(token === undefined
    ? {}
    : {
        authenticate: ({ credentials }) => {
          if (credentials !== token) throw new RpcError("who are you?", Code.Unauthenticated);
          return { id: "ada" };
        },
      }),
  routes: (router) => {
    topicRoutes(router);
    router.service(ReflectedService, { reflect: () => ({}) });
    router.service(EchoService, {
      ...echoHandlers(),
      echo: async (request, context) => {
        context.responseHeader.set("x-seen", context.requestHeader.get("x-seen") ?? "nothing");
        context.responseTrailer.set("x-end", "bye");
        if (request.name === "missing")
          throw new RpcError("there is no such name", Code.NotFound, {
            details: [
              errorDetail(EchoRequestSchema, { name: "present" }),
              errorDetail(DurationSchema, { seconds: 3n }),
            ],
          });
        if (request.name === "slow") await new Promise((resolve) => setTimeout(resolve, 20_000).unref());
        return { id: request.id, name: request.name, body: request.body };
      },
    });
  },
});
const { url } = await server.listen({ port: 0, host: "127.0.0.1" });
for (let number = 1; number <= 8; number++) await server.publish(ShortNotes("short"), { number });
process.stdout.write(`${url.replace("localhost", "127.0.0.1")}\n`);
process.stdin.resume();
process.stdin.once("end", () => process.exit());
