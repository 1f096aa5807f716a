import { connect, createServer, type Socket } from "node:net";
import type { BenchClient, Contender } from "../contender.js";
import { CountingSocket } from "../counting-socket.js";
import { ENVELOPE_BYTES, isSameMessage, publishAll, rawMessages } from "../payload.js";
import { listenLocally, watchSockets } from "../sockets.js";

/** Length of a message in front of it, 32 bits, little-endian. */
const PREFIX_BYTES = 4;
/** This bit of the length tells a command, in JSON, from a message. */
const COMMAND_BIT = 0x8000_0000;
/** Messages up to this size are copied behind their length. */
const COPIED_BYTES = 4_096;
/** Messages that a stream writes under one cork. */
const CORKED = 64;
/** A stream pauses while this much waits in the socket. */
const MARK_BYTES = 1024 * 1024;

type Command =
  | { readonly push: number; readonly bytes: number }
  | { readonly upload: number }
  | { readonly watch: true }
  | { readonly publish: number; readonly perTurn: number; readonly bytes: number };

/**
 * `node:net` with nothing on top but a length in front of each message: what Node's sockets can at best reach. All that is
 * written because of one chunk of input travels under one cork.
 */
export function create(): Contender {
  return {
    async serve() {
      const watchers = new Set<Socket>();
      const server = createServer({ noDelay: true }, (socket) => serveSocket(socket, watchers));
      const { traffic, cut } = watchSockets(server);
      const port = await listenLocally(server);
      return {
        port,
        traffic,
        cut,
        close: () =>
          new Promise((resolve) => {
            server.close(() => resolve());
            cut();
          }),
      };
    },
    connect: openClient,
    subscribe: (port) => CountingSocket.openPlain(port, command({ watch: true })),
  };
}

function serveSocket(socket: Socket, watchers: Set<Socket>): void {
  let uploading = 0;
  let uploaded = 0;
  const frames = new Frames(
    (message) => {
      if (uploading === 0) writeFramed(socket, message);
      else if (++uploaded === uploading) {
        socket.write(command({ upload: uploaded }));
        uploading = 0;
      }
    },
    (text) => {
      const given = JSON.parse(text) as Command;
      if ("push" in given) void pushAll(socket, given.push, given.bytes);
      else if ("upload" in given) {
        uploading = given.upload;
        uploaded = 0;
      } else if ("publish" in given) {
        const done = () => socket.write(command({ upload: 0 }));
        void publishTo(watchers, given.publish, given.perTurn, given.bytes).then(done);
      } else {
        watchers.add(socket);
        socket.once("close", () => watchers.delete(socket));
        socket.write(command(given));
      }
    },
  );
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk) => {
    socket.cork();
    frames.push(chunk as Buffer);
    socket.uncork();
  });
}

async function openClient(
  port: number,
  bodies: readonly Uint8Array[],
  reconnecting: boolean,
): Promise<BenchClient> {
  let onMessage: (message: Buffer) => void = () => undefined;
  let onCommand: () => void = () => undefined;
  let onClose: () => void = () => undefined;
  const open = async () => {
    const opened = connect({ port, host: "127.0.0.1", noDelay: true });
    await new Promise<void>((resolve, reject) => {
      opened.once("connect", resolve);
      opened.once("error", reject);
    });
    const frames = new Frames(
      (message) => onMessage(message),
      () => onCommand(),
    );
    opened.on("error", () => opened.destroy());
    opened.on("close", () => onClose());
    opened.on("data", (chunk) => {
      opened.cork();
      frames.push(chunk as Buffer);
      opened.uncork();
    });
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
        writeFramed(socket, messages[sent++ % messages.length] as Buffer);
      };
      onMessage = (reply) => {
        if (!isSameMessage(reply, messages[received % messages.length] as Buffer))
          return reject(new Error("another message came back"));
        if (starts !== undefined && times !== undefined)
          times[received] = performance.now() - (starts[received] as number);
        received++;
        if (sent < calls) send();
        else if (received === calls) resolve();
      };
      socket.cork();
      while (sent < depth && sent < calls) send();
      socket.uncork();
    });
  return {
    echo,
    converse: (count, depth) => echo(count, depth, undefined),
    push: (count) =>
      new Promise<void>((resolve, reject) => {
        let received = 0;
        onMessage = (message) => {
          if (message.length !== first.length || message[0] !== 7)
            return reject(new Error("another message came"));
          if (++received === count) resolve();
        };
        socket.write(command({ push: count, bytes: first.length }));
      }),
    upload: (count) =>
      new Promise<void>((resolve) => {
        onCommand = resolve;
        socket.write(command({ upload: count }));
        void writeAll(socket, first, count);
      }),
    publish: (messages, perTurn, bytes) =>
      new Promise<void>((resolve) => {
        onCommand = resolve;
        socket.write(command({ publish: messages, perTurn, bytes }));
      }),
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
        socket.destroy();
      }),
  };
}

/** Cuts a stream of bytes into messages and commands. */
class Frames {
  readonly #onMessage: (message: Buffer) => void;
  readonly #onCommand: (text: string) => void;
  #parts: Buffer[] = [];
  #size = 0;
  #needed = 0;

  constructor(onMessage: (message: Buffer) => void, onCommand: (text: string) => void) {
    this.#onMessage = onMessage;
    this.#onCommand = onCommand;
  }

  push(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#size > 0) {
      this.#parts.push(chunk);
      this.#size += chunk.length;
      if (this.#size < this.#needed) return;
      bytes = Buffer.concat(this.#parts, this.#size);
      this.#parts = [];
      this.#size = 0;
    }
    let at = 0;
    let needed = PREFIX_BYTES;
    while (bytes.length - at >= PREFIX_BYTES) {
      const prefix = bytes.readUInt32LE(at);
      needed = (prefix & ~COMMAND_BIT) + PREFIX_BYTES;
      if (bytes.length - at < needed) break;
      const message = bytes.subarray(at + PREFIX_BYTES, at + needed);
      if (prefix < COMMAND_BIT) this.#onMessage(message);
      else this.#onCommand(message.toString());
      at += needed;
      needed = PREFIX_BYTES;
    }
    if (at === bytes.length) return;
    this.#parts = [bytes.subarray(at)];
    this.#size = bytes.length - at;
    this.#needed = needed;
  }
}

function framed(message: Uint8Array, flag = 0): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  frame.writeUInt32LE((message.length | flag) >>> 0, 0);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

/** Writes a message and its length: a large message beside it, a small one in one buffer with it. */
function writeFramed(socket: Socket, message: Buffer): void {
  if (message.length <= COPIED_BYTES) {
    socket.write(framed(message));
    return;
  }
  const prefix = Buffer.allocUnsafe(PREFIX_BYTES);
  prefix.writeUInt32LE(message.length, 0);
  socket.write(prefix);
  socket.write(message);
}

const command = (given: Command): Buffer => framed(Buffer.from(JSON.stringify(given)), COMMAND_BIT);

const pushAll = (socket: Socket, count: number, bytes: number): Promise<void> =>
  writeAll(socket, Buffer.alloc(bytes, 7), count);

async function writeAll(socket: Socket, message: Buffer, count: number): Promise<void> {
  for (let written = 0; written < count; ) {
    socket.cork();
    for (let i = 0; i < CORKED && written < count; i++, written++) writeFramed(socket, message);
    socket.uncork();
    if (socket.writableLength > MARK_BYTES) await new Promise((resolve) => socket.once("drain", resolve));
  }
}

async function publishTo(
  watchers: ReadonlySet<Socket>,
  messages: number,
  perTurn: number,
  bytes: number,
): Promise<void> {
  let inTurn = 0;
  const publish = (message: Buffer) => {
    const frame = framed(Buffer.concat([Buffer.alloc(ENVELOPE_BYTES), message]));
    if (perTurn > 1 && inTurn++ % perTurn === 0) {
      for (const watcher of watchers) {
        watcher.cork();
        process.nextTick(() => watcher.uncork());
      }
    }
    for (const watcher of watchers) watcher.write(frame);
  };
  await publishAll(publish, messages, perTurn, bytes);
}
