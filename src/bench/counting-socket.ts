import { createHash, randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import type { BenchSubscriber } from "./contender.js";

/**
 * A WebSocket client that costs next to nothing, so that a thousand of them do not slow down what they measure: it greets, and
 * then looks at nothing but the last four bytes of what comes.
 */
export class CountingSocket implements BenchSubscriber {
  readonly #socket: Socket;
  #onLast: ((last: number) => void) | undefined;
  #tail: Buffer = Buffer.alloc(4);

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("error", () => socket.destroy());
  }

  /**
   * Opens a WebSocket, sends these messages one by one, text or binary, each when an answer to the one before it has come, and
   * resolves when the last one was answered. Without messages: when it is open.
   */
  static async open(
    port: number,
    path: string,
    subprotocol: string,
    messages: readonly (Uint8Array | string)[],
  ): Promise<CountingSocket> {
    const socket = connect(port, "127.0.0.1");
    socket.setNoDelay(true);
    const key = randomBytes(16).toString("base64");
    const protocol = subprotocol === "" ? "" : `Sec-WebSocket-Protocol: ${subprotocol}\r\n`;
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n${protocol}\r\n`,
    );
    const answer = String(await once(socket));
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    if (!answer.includes(accept)) throw new Error(`no WebSocket: ${answer}`);
    for (const message of messages) {
      socket.write(masked(message));
      await once(socket);
    }
    return new CountingSocket(socket);
  }

  /** Opens a socket without WebSocket, sends this, and resolves when it was answered. */
  static async openPlain(port: number, greeting: Uint8Array): Promise<CountingSocket> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    socket.write(greeting);
    await once(socket);
    return new CountingSocket(socket);
  }

  wait(last: number): Promise<void> {
    return new Promise((resolve) => {
      this.#onLast = (number) => {
        if (number === last) resolve();
      };
    });
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #onData(chunk: Buffer): void {
    const { length } = chunk;
    if (length >= 4) this.#onLast?.(chunk.readUInt32BE(length - 4));
    else {
      this.#tail = Buffer.concat([this.#tail, chunk]).subarray(-4);
      this.#onLast?.(this.#tail.readUInt32BE(0));
      return;
    }
    this.#tail = chunk.subarray(length - 4);
  }
}

function once(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const done = (chunk: Buffer) => {
      socket.off("error", reject);
      resolve(chunk);
    };
    socket.once("data", done);
    socket.once("error", reject);
  });
}

/** A frame of a client (RFC 6455 section 5.3), masked with zeros. */
function masked(message: Uint8Array | string): Buffer {
  const first = typeof message === "string" ? 0x81 : 0x82;
  const bytes = Buffer.from(message as Uint8Array);
  const { length } = bytes;
  const head =
    length < 126 ? [first, 0x80 | length, 0, 0, 0, 0] : [first, 0xfe, length >> 8, length & 255, 0, 0, 0, 0];
  return Buffer.concat([Buffer.from(head), bytes]);
}
