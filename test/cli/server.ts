// A server for the tests of the command line, in a process of its own. It prints its URL, and ends with its input.
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { Code, createServer, RpcError } from "../../src/server/index.js";
import { echoHandlers } from "../support/echo.js";

const token = process.env["SERVER_TOKEN"];
const maxConnections = Number(process.env["SERVER_MAX_CONNECTIONS"] ?? 1_000);

const server = createServer({
  maxConnections,
  ...(token === undefined
    ? {}
    : {
        authenticate: ({ credentials }) => {
          if (credentials !== token) throw new RpcError("who are you?", Code.Unauthenticated);
          return { id: "ada" };
        },
      }),
  routes: (router) =>
    router.service(EchoService, {
      ...echoHandlers(),
      echo: async (request, context) => {
        context.responseHeader.set("x-seen", context.requestHeader.get("x-seen") ?? "nothing");
        context.responseTrailer.set("x-end", "bye");
        if (request.name === "missing") throw new RpcError("there is no such name", Code.NotFound);
        if (request.name === "slow") await new Promise((resolve) => setTimeout(resolve, 5_000).unref());
        return { id: request.id, name: request.name, body: request.body };
      },
    }),
});
const { url } = await server.listen({ port: 0, host: "127.0.0.1" });
process.stdout.write(`${url.replace("localhost", "127.0.0.1")}\n`);
process.stdin.resume();
process.stdin.once("end", () => process.exit());
