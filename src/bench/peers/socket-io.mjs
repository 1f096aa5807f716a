import { createServer } from "node:http";
import { Server } from "socket.io";
import { io } from "socket.io-client";
import * as msgpack from "socket.io-msgpack-parser";
import { CountingSocket } from "../counting-socket.ts";
import { echoInLoops } from "../loops.ts";
import { NAME, publishAll } from "../payload.ts";
import { listenLocally, watchSockets } from "../sockets.ts";
import { echoJson, fromJson, isMessage, toJson } from "./json-message.mjs";

/** A stream pauses while so many packets wait. */
const MARK_PACKETS = 1_000;

/** Waits until what was emitted has left, when much of it waits. `engine`: either end's connection of engine.io. */
async function drained(engine) {
  if (engine.writeBuffer.length > MARK_PACKETS) await new Promise((resolve) => engine.once("drain", resolve));
}

/**
 * @param variant `msgpack`: its parser for binary data. Default: JSON, with bytes in base64.
 * @returns {import("../contender.ts").Contender}
 */
export function create(variant) {
  const parser = variant === "msgpack" ? { parser: msgpack } : {};
  const isJson = variant !== "msgpack";
  const make = isJson
    ? toJson
    : (id, body) => ({
        id: id.toString(),
        name: NAME,
        body: Buffer.from(body.buffer, body.byteOffset, body.length),
      });
  const read = isJson ? fromJson : ({ id, name, body }) => ({ id: BigInt(id), name, body });
  const echo = isJson ? echoJson : ({ id, name, body }) => ({ id: BigInt(id).toString(), name, body });
  return {
    async serve() {
      const http = createServer();
      const { traffic, cut } = watchSockets(http);
      const server = new Server(http, {
        transports: ["websocket"],
        serveClient: false,
        perMessageDeflate: false,
        maxHttpBufferSize: 1e8,
        ...parser,
      });
      server.engine.on("connection", (socket) => {
        // As its docs advise: the request that opened the connection need not be kept.
        socket.request = null;
      });
      server.on("connection", (socket) => {
        let uploaded = 0;
        socket.on("echo", (message, done) => done(echo(message)));
        socket.on("push", async (count, message) => {
          for (let i = 0; i < count; i++) {
            socket.emit("message", message);
            if (i % 64 === 63) await drained(socket.conn);
          }
        });
        socket.on("upload", (message) => {
          read(message);
          uploaded++;
        });
        socket.on("uploaded", (done) => {
          done(uploaded);
          uploaded = 0;
        });
        socket.on("publish", async (count, perTurn, bytes, done) => {
          // Text, which it frames once for all. The number again at the end, where subscribers look for it.
          const publish = (message) =>
            server
              .to("watchers")
              .emit("message", message.toString("base64"), message.readUInt32BE(bytes - 4));
          await publishAll(publish, count, perTurn, bytes);
          done();
        });
        if (socket.handshake.auth.watch) socket.join("watchers");
      });
      const port = await listenLocally(http);
      return { port, traffic, cut, close: async () => cut() };
    },
    // Engine.io's handshake by hand.
    subscribe: (port) =>
      CountingSocket.open(port, "/socket.io/?EIO=4&transport=websocket", "", ['40{"watch":true}'], (number) =>
        Buffer.from(`,${number}]`),
      ),
    async connect(port, bodies, reconnecting) {
      const socket = io(`http://127.0.0.1:${port}`, {
        transports: ["websocket"],
        forceNew: true,
        reconnection: reconnecting,
        ...(reconnecting ? { reconnectionDelay: 1, reconnectionDelayMax: 1_000 } : {}),
        ...parser,
      });
      await new Promise((resolve, reject) => {
        socket.once("connect", resolve);
        socket.once("connect_error", reject);
      });
      const call = (id) =>
        new Promise((resolve) => {
          socket.emit("echo", make(id, bodies[id % bodies.length]), (answer) => resolve(read(answer)));
        });
      const accept = (answer, id) => isMessage(answer, id, bodies[0].length);
      return {
        echo: (calls, depth, times) => echoInLoops(call, accept, calls, depth, times),
        push: (count) =>
          new Promise((resolve, reject) => {
            let received = 0;
            socket.off("message");
            socket.on("message", (message) => {
              if (!accept(read(message), 1)) reject(new Error("another message came"));
              if (++received === count) resolve();
            });
            socket.emit("push", count, make(1, bodies[0]));
          }),
        async upload(count) {
          for (let id = 0; id < count; id++) {
            socket.emit("upload", make(id, bodies[0]));
            if (id % 64 === 63) await drained(socket.io.engine);
          }
          const uploaded = await socket.emitWithAck("uploaded");
          if (uploaded !== count) throw new Error(`${uploaded} messages instead of ${count}`);
        },
        publish: (messages, perTurn, bytes) => socket.emitWithAck("publish", messages, perTurn, bytes),
        async recovered() {
          await new Promise((resolve) => socket.once("disconnect", resolve));
          await new Promise((resolve) => socket.once("connect", resolve));
          await echoInLoops(call, accept, 1, 1, undefined);
        },
        close: async () => socket.disconnect(),
      };
    },
  };
}
