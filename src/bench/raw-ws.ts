import { createServer } from "node:http";
import { create, toBinary } from "@bufbuild/protobuf";
import WebSocket, { type RawData, WebSocketServer } from "ws";
import { EchoRequestSchema } from "../../gen/hawser/bench/v1/bench_pb.js";
import { type Contender, countTraffic, NAME, publishAll } from "./contender.js";
import { CountingSocket } from "./counting-socket.js";

/** The server pauses pushing while this much waits in the socket, as any server must. */
const PUSH_MARK_BYTES = 1024 * 1024;

/**
 * `ws` with nothing on top: the message is a buffer made once, the server sends back what it gets, the client sends the
 * next one when an answer comes, without promises, and answers are told apart by their order alone. What a protocol on
 * top of `ws` can at best reach without batching.
 */
export function rawWs(deflate: boolean): Contender {
  return {
    async serve() {
      const http = createServer();
      const traffic = countTraffic(http);
      const server = new WebSocketServer({ server: http, perMessageDeflate: deflate });
      server.on("connection", (socket) => {
        socket.on("message", (data: RawData, isBinary: boolean) => {
          if (isBinary) socket.send(data as Buffer);
          else void command(server, socket, JSON.parse(String(data)));
        });
      });
      await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
      const { port } = http.address() as { port: number };
      return {
        port,
        traffic,
        close: () =>
          new Promise((resolve) => {
            for (const client of server.clients) client.terminate();
            http.close(() => resolve());
          }),
      };
    },
    subscribe: (port) => CountingSocket.open(port, "/", "", []),
    async connect(port, bodies) {
      const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: deflate });
      await new Promise((resolve, reject) => {
        socket.once("open", resolve);
        socket.once("error", reject);
      });
      const messages = bodies.map((body) =>
        Buffer.from(toBinary(EchoRequestSchema, create(EchoRequestSchema, { id: 1n, name: NAME, body }))),
      );
      let onMessage: () => void = () => undefined;
      socket.on("message", () => onMessage());
      return {
        echo: (calls, depth, times) =>
          new Promise<void>((resolve) => {
            const starts = times === undefined ? undefined : new Float64Array(calls);
            let sent = 0;
            let received = 0;
            const send = () => {
              if (starts !== undefined) starts[sent] = performance.now();
              socket.send(messages[sent++ % messages.length] as Buffer);
            };
            onMessage = () => {
              if (starts !== undefined && times !== undefined)
                times[received] = performance.now() - (starts[received] as number);
              received++;
              if (sent < calls) send();
              else if (received === calls) resolve();
            };
            while (sent < depth && sent < calls) send();
          }),
        push: (count) =>
          new Promise<void>((resolve) => {
            let received = 0;
            onMessage = () => {
              if (++received === count) resolve();
            };
            socket.send(JSON.stringify({ count, bytes: messages[0]?.length }));
          }),
        publish: (messages, perTurn, bytes) =>
          new Promise<void>((resolve) => {
            onMessage = resolve;
            socket.send(JSON.stringify({ messages, perTurn, bytes }));
          }),
        close: () =>
          new Promise((resolve) => {
            socket.once("close", () => resolve());
            socket.close();
          }),
      };
    },
  };
}

type Command =
  | { readonly count: number; readonly bytes: number }
  | { readonly messages: number; readonly perTurn: number; readonly bytes: number };

async function command(server: WebSocketServer, socket: WebSocket, given: Command): Promise<void> {
  if ("count" in given) return pushAll(socket, given);
  const others = [...server.clients].filter((client) => client !== socket);
  const { messages, perTurn, bytes } = given;
  // The bytes that Hawser sends for such a message: what its envelope adds is sent here too.
  const publish = (message: Buffer) => {
    const whole = Buffer.concat([Buffer.alloc(ENVELOPE_BYTES), message]);
    for (const client of others) client.send(whole);
  };
  await publishAll(publish, messages, perTurn, bytes);
  socket.send("done");
}

/** What a Publication with an offset of two bytes adds to a message, its one field among it. */
const ENVELOPE_BYTES = 17;

async function pushAll(socket: WebSocket, { count, bytes }: { count: number; bytes: number }): Promise<void> {
  const message = Buffer.alloc(bytes, 7);
  for (let i = 1; i <= count; i++) {
    if (socket.bufferedAmount < PUSH_MARK_BYTES) socket.send(message);
    else await new Promise((resolve) => socket.send(message, resolve));
  }
}
