// The client's side of socket-io-nodes.mjs, for `nodes.ts`.
import { io } from "socket.io-client";

/** A connection to a node: publishes, and is told of what is published. */
export async function open(port, onMessage) {
  const socket = io(`http://127.0.0.1:${port}`, { transports: ["websocket"], forceNew: true });
  await new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("connect_error", reject);
  });
  socket.on("message", onMessage);
  return {
    publish: (body) => new Promise((resolve) => socket.emit("publish", body, resolve)),
    close: () => socket.close(),
  };
}
