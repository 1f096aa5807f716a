// A server in a process of its own, to be killed and stopped. Arguments: port, ping interval and timeout in milliseconds.
import { EchoService } from "../../gen/hawser/test/v1/echo_hawser.js";
import { createServer } from "../../src/server/index.js";
import { echoHandlers } from "./echo.js";

const [, , port = "0", interval = "25000", timeout = "10000"] = process.argv;
const server = createServer({
  pingIntervalMs: Number(interval),
  pingTimeoutMs: Number(timeout),
  routes: (router) =>
    router.service(EchoService, {
      ...echoHandlers(),
      echo: async (request) => {
        if (request.name === "never") await new Promise(() => undefined);
        return { id: request.id, name: request.name, body: request.body };
      },
      async *repeat({ body, count }) {
        yield { number: 1, body };
        if (count > 1) await new Promise(() => undefined);
      },
    }),
});
const listening = await server.listen({ port: Number(port), host: "127.0.0.1" });
process.on("disconnect", () => process.exit(0));
process.send?.(listening.port);
