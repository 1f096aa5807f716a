import { createServer } from "node:http";
import WebSocket, { type RawData, WebSocketServer } from "ws";
import type { BenchClient, Contender } from "../contender.js";
import { CountingSocket } from "../counting-socket.js";
import { ENVELOPE_BYTES, isSameMessage, publishAll, rawMessages } from "../payload.js";
import { listenLocally, watchSockets } from "../sockets.js";

/** A stream pauses while this much waits in the socket, as any stream must. */
const MARK_BYTES = 1024 * 1024;

type Command =
  | { readonly push: number; readonly bytes: number }
  | { readonly upload: number }
  | { readonly publish: number; readonly perTurn: number; readonly bytes: number };

/**
 * `ws` with nothing on top: messages are buffers made once, the server sends back what it gets, the client sends the next
 * one when an answer comes, without promises. What a protocol on top of `ws` can at best reach without batching.
 *
 * @param variant `deflate`: compressed as `ws` does it by default when it is switched on.
 */
export function create(variant: string): Contender {
  const perMessageDeflate = variant === "deflate";
  return {
    async serve() {
      const http = createServer();
      const { traffic, cut } = watchSockets(http);
      const server = new WebSocketServer({ server: http, perMessageDeflate });
      server.on("connection", (socket) => serveSocket(server, socket));
      const port = await listenLocally(http);
      return {
        port,
        traffic,
        cut,
        close: () =>
          new Promise((resolve) => {
            http.close(() => resolve());
            cut();
          }),
      };
    },
    subscribe: (port) => CountingSocket.open(port, "/", "", []),
    connect: (port, bodies, reconnecting) =>
      openClient(`ws://127.0.0.1:${port}`, bodies, reconnecting, perMessageDeflate),
  };
}

function serveSocket(server: WebSocketServer, socket: WebSocket): void {
  let uploading = 0;
  let uploaded = 0;
  socket.on("error", () => undefined);
  socket.on("message", (data: RawData, isBinary: boolean) => {
    if (isBinary) {
      if (uploading === 0) socket.send(data as Buffer);
      else if (++uploaded === uploading) {
        socket.send("done");
        uploading = 0;
      }
      return;
    }
    const given = JSON.parse(String(data)) as Command;
    if ("push" in given) void sendAll(socket, Buffer.alloc(given.bytes, 7), given.push);
    else if ("upload" in given) {
      uploading = given.upload;
      uploaded = 0;
    } else {
      const others = [...server.clients].filter((client) => client !== socket);
      // The bytes that Hawser sends for such a message: what its envelope adds is sent here too.
      const publish = (message: Buffer) => {
        const whole = Buffer.concat([Buffer.alloc(ENVELOPE_BYTES), message]);
        for (const client of others) client.send(whole);
      };
      const done = () => socket.send("done");
      void publishAll(publish, given.publish, given.perTurn, given.bytes).then(done);
    }
  });
}

async function openClient(
  url: string,
  bodies: readonly Uint8Array[],
  reconnecting: boolean,
  perMessageDeflate: boolean,
): Promise<BenchClient> {
  let onMessage: (data: Buffer) => void = () => undefined;
  let onClose: () => void = () => undefined;
  const open = async () => {
    const opened = new WebSocket(url, { perMessageDeflate });
    await new Promise((resolve, reject) => {
      opened.once("open", resolve);
      opened.once("error", reject);
    });
    opened.on("error", () => undefined);
    opened.on("message", (data: RawData) => onMessage(data as Buffer));
    opened.on("close", () => onClose());
    return opened;
  };
  let socket = await open();
  const [first] = rawMessages(bodies, 1) as [Buffer];
  const echo: BenchClient["echo"] = (calls, depth, times) =>
    new Promise<void>((resolve, reject) => {
      const messages = rawMessages(bodies, depth);
      const starts = times === undefined ? undefined : new Float64Array(calls);
      let sent = 0;
      let received = 0;
      const send = () => {
        if (starts !== undefined) starts[sent] = performance.now();
        socket.send(messages[sent++ % messages.length] as Buffer);
      };
      onMessage = (data) => {
        if (!isSameMessage(data, messages[received % messages.length] as Buffer))
          return reject(new Error("another message came back"));
        if (starts !== undefined && times !== undefined)
          times[received] = performance.now() - (starts[received] as number);
        received++;
        if (sent < calls) send();
        else if (received === calls) resolve();
      };
      while (sent < depth && sent < calls) send();
    });
  const ask = (given: Command) =>
    new Promise<void>((resolve) => {
      onMessage = () => resolve();
      socket.send(JSON.stringify(given));
    });
  return {
    echo,
    converse: (count, depth) => echo(count, depth, undefined),
    push: (count) =>
      new Promise<void>((resolve, reject) => {
        let received = 0;
        onMessage = (data) => {
          if (data.length !== first.length || data[0] !== 7) return reject(new Error("another message came"));
          if (++received === count) resolve();
        };
        socket.send(JSON.stringify({ push: count, bytes: first.length } satisfies Command));
      }),
    async upload(count) {
      const done = ask({ upload: count });
      await sendAll(socket, first, count);
      await done;
    },
    publish: (messages, perTurn, bytes) => ask({ publish: messages, perTurn, bytes }),
    ...(reconnecting
      ? {
          async recovered() {
            await new Promise<void>((resolve) => {
              onClose = resolve;
            });
            socket = await open();
            await echo(1, 1, undefined);
          },
        }
      : {}),
    close: () =>
      new Promise((resolve) => {
        socket.once("close", () => resolve());
        socket.close();
      }),
  };
}

async function sendAll(socket: WebSocket, message: Buffer, count: number): Promise<void> {
  for (let i = 1; i <= count; i++) {
    if (socket.bufferedAmount < MARK_BYTES) socket.send(message);
    else await new Promise((resolve) => socket.send(message, resolve));
  }
}
