// A process that closes connections at every stage of their lives, says what is left, and must then end by itself.
import { createServer as createTcpServer, type Socket } from "node:net";
import { EchoService } from "../../gen/hawser/test/v1/echo_pb.js";
import { connect, createClient } from "../../src/client/index.js";
import { createServer } from "../../src/server/index.js";
import { echoRoutes } from "./echo.js";
import { resourcesLeft } from "./resources.js";

const server = createServer({
  routes: echoRoutes(),
  authenticate: ({ credentials }) => ({ id: credentials }),
});
const { url, port } = await server.listen({ port: 0, host: "127.0.0.1" });
const sockets = new Set<Socket>();
const silent = createTcpServer((socket) => sockets.add(socket.on("error", () => undefined)));
await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
const { port: silentPort } = silent.address() as { port: number };

// Open, with a call that has a deadline, and one that waits.
const open = connect(url, { credentials: "ada" });
await open.ready();
const unanswered = connect(`ws://127.0.0.1:${silentPort}/rpc`);
for (const connection of [open, unanswered]) {
  createClient(EchoService, connection)
    .echo({}, { timeoutMs: 3_600_000 })
    .catch(() => undefined);
}
await open.close();
await unanswered.close();

// While dialling.
const dialling = connect(`ws://127.0.0.1:${silentPort}/rpc`);
await new Promise((resolve) => silent.once("connection", resolve));
await dialling.close();

// While its credentials are fetched.
const fetching = connect(url, { credentials: () => new Promise(() => undefined) });
await fetching.close();

// While it waits for the next attempt.
const waiting = connect("ws://127.0.0.1:1/rpc", {
  reconnect: { initialDelayMs: 3_600_000, maxDelayMs: 3_600_000 },
});
await new Promise((resolve) => waiting.on("reconnecting", resolve));
await waiting.close();

// After it was cut off, and after it gave up by itself.
const cut = connect(url, { credentials: "grace", reconnect: { initialDelayMs: 3_600_000 } });
await cut.ready();
for (const session of server.sessions) session.close(1013);
await new Promise((resolve) => cut.on("reconnecting", resolve));
await cut.close();
const stopped = connect(`ws://127.0.0.1:${port}/nowhere`, {
  reconnect: { initialDelayMs: 1, maxAttempts: 1 },
});
await new Promise((resolve) => stopped.on("closed", resolve));

await server.close();
for (const socket of sockets) socket.destroy();
await new Promise((resolve) => silent.close(resolve));
process.send?.(await resourcesLeft());
process.disconnect();
