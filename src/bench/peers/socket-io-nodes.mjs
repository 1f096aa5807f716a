// Socket.IO as a contender: one node, or two behind its cluster adapter. WebSocket only, as its docs recommend for speed; messages
// are binary. Arguments: number of nodes. Sends the ports of its nodes to its parent.
import cluster from "node:cluster";
import { createServer } from "node:http";
import { createAdapter, setupPrimary } from "@socket.io/cluster-adapter";
import { Server } from "socket.io";

function serve(adapter, tell) {
  const http = createServer();
  const io = new Server(http, {
    transports: ["websocket"],
    serveClient: false,
    perMessageDeflate: false,
    ...adapter,
  });
  io.on("connection", (socket) => {
    socket.join("all");
    socket.on("publish", (body, done) => {
      io.to("all").emit("message", body);
      done?.();
    });
  });
  http.listen({ port: 0, host: "127.0.0.1", exclusive: true }, () => tell(http.address().port));
}

const nodes = Number(process.argv[2] ?? process.env.NODES);
if (nodes === 1) serve({}, (port) => process.send([port]));
else if (cluster.isPrimary) {
  setupPrimary();
  // As its docs say: otherwise buffers do not get through.
  cluster.setupPrimary({ serialization: "advanced" });
  const ports = [];
  for (let i = 0; i < nodes; i++) {
    cluster.fork({ NODES: String(nodes) }).on("message", (message) => {
      if (typeof message?.port !== "number") return;
      ports.push(message.port);
      if (ports.length === nodes) process.send(ports);
    });
  }
  process.on("disconnect", () => process.exit(0));
} else serve({ adapter: createAdapter() }, (port) => process.send({ port }));
process.on("disconnect", () => process.exit(0));
