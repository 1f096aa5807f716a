import { createServer } from "node:http";
import { createTRPCClient, createWSClient, wsLink } from "@trpc/client";
import { initTRPC } from "@trpc/server";
import { applyWSSHandler } from "@trpc/server/adapters/ws";
import WebSocket, { WebSocketServer } from "ws";
import { echoInLoops } from "../loops.ts";
import { listenLocally, watchSockets } from "../sockets.ts";
import { echoJson, fromJson, isMessage, toJson } from "./json-message.mjs";

const { router, procedure } = initTRPC.create();
// Types are checked when it is compiled, as with the others; a schema library would cost more.
const typed = procedure.input((value) => value);
const benchRouter = router({
  echo: typed.query(({ input }) => echoJson(input)),
  push: typed.subscription(async function* ({ input: { count, message } }) {
    for (let i = 0; i < count; i++) yield message;
  }),
});

/** @returns {import("../contender.ts").Contender} */
export function create() {
  return {
    async serve() {
      const http = createServer();
      const { traffic, cut } = watchSockets(http);
      applyWSSHandler({ wss: new WebSocketServer({ server: http }), router: benchRouter });
      const port = await listenLocally(http);
      return { port, traffic, cut, close: async () => cut() };
    },
    async connect(port, bodies) {
      const socket = createWSClient({ url: `ws://127.0.0.1:${port}`, WebSocket });
      const client = createTRPCClient({ links: [wsLink({ client: socket })] });
      const call = async (id) => fromJson(await client.echo.query(toJson(id, bodies[id % bodies.length])));
      const accept = (answer, id) => isMessage(answer, id, bodies[0].length);
      await echoInLoops(call, accept, 1, 1, undefined);
      return {
        echo: (calls, depth, times) => echoInLoops(call, accept, calls, depth, times),
        push: (count) =>
          new Promise((resolve, reject) => {
            let received = 0;
            const message = toJson(1, bodies[0]);
            const subscription = client.push.subscribe(
              { count, message },
              {
                onData(message) {
                  if (!accept(fromJson(message), 1)) reject(new Error("another message came"));
                  if (++received < count) return;
                  subscription.unsubscribe();
                  resolve();
                },
                onError: reject,
              },
            );
          }),
        close: () => socket.close(),
      };
    },
  };
}
