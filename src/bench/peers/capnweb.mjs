import { createServer } from "node:http";
import { newWebSocketRpcSession, RpcTarget } from "capnweb";
import WebSocket, { WebSocketServer } from "ws";
import { echoInLoops } from "../loops.ts";
import { NAME } from "../payload.ts";
import { listenLocally, watchSockets } from "../sockets.ts";
import { isMessage } from "./json-message.mjs";

class Bench extends RpcTarget {
  echo({ id, name, body }) {
    return { id, name, body };
  }
}

/** @returns {import("../contender.ts").Contender} */
export function create() {
  return {
    async serve() {
      const http = createServer();
      const { traffic, cut } = watchSockets(http);
      const server = new WebSocketServer({ server: http });
      server.on("connection", (socket) => newWebSocketRpcSession(socket, new Bench()));
      const port = await listenLocally(http);
      return { port, traffic, cut, close: async () => cut() };
    },
    async connect(port, bodies) {
      const socket = new WebSocket(`ws://127.0.0.1:${port}`);
      await new Promise((resolve, reject) => {
        socket.once("open", resolve);
        socket.once("error", reject);
      });
      const api = newWebSocketRpcSession(socket);
      const call = (id) => api.echo({ id: BigInt(id), name: NAME, body: bodies[id % bodies.length] });
      const accept = (answer, id) => isMessage(answer, id, bodies[0].length);
      return {
        echo: (calls, depth, times) => echoInLoops(call, accept, calls, depth, times),
        async close() {
          api[Symbol.dispose]();
          socket.terminate();
        },
      };
    },
  };
}
