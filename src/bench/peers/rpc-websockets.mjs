import { createServer } from "node:http";
import { Client, Server } from "rpc-websockets";
import { echoInLoops } from "../loops.ts";
import { listenLocally, watchSockets } from "../sockets.ts";
import { echoJson, fromJson, isMessage, toJson } from "./json-message.mjs";

/** @returns {import("../contender.ts").Contender} */
export function create() {
  return {
    async serve() {
      const http = createServer();
      const { traffic, cut } = watchSockets(http);
      const server = new Server({ server: http, perMessageDeflate: false });
      server.register("echo", (message) => echoJson(message));
      const port = await listenLocally(http);
      return { port, traffic, cut, close: async () => cut() };
    },
    async connect(port, bodies) {
      const client = new Client(`ws://127.0.0.1:${port}`, { reconnect: false, perMessageDeflate: false });
      await new Promise((resolve, reject) => {
        client.on("open", resolve);
        client.on("error", reject);
      });
      const call = async (id) => fromJson(await client.call("echo", toJson(id, bodies[id % bodies.length])));
      const accept = (answer, id) => isMessage(answer, id, bodies[0].length);
      return {
        echo: (calls, depth, times) => echoInLoops(call, accept, calls, depth, times),
        close: async () => client.close(),
      };
    },
  };
}
