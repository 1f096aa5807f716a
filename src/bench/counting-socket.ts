import { createHash, randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import type { BenchSubscriber } from "./contender.js";

/** What the message with this number ends with. */
type EndOf = (number: number) => Buffer;

const lastFourBytes: EndOf = (number) => {
  const end = Buffer.alloc(4);
  end.writeUInt32BE(number);
  return end;
};

/**
 * A client that costs next to nothing, so that a thousand of them do not slow down what they measure: it greets, and then looks
 * at nothing but the end of what comes.
 */
export class CountingSocket implements BenchSubscriber {
  readonly #socket: Socket;
  readonly #endOf: EndOf;
  #end: Buffer = Buffer.alloc(0);
  #tail: Buffer = Buffer.alloc(0);
  #onEnd: (() => void) | undefined;

  private constructor(socket: Socket, endOf: EndOf) {
    this.#socket = socket;
    this.#endOf = endOf;
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("error", () => socket.destroy());
  }

  /**
   * Opens a WebSocket, sends these messages one by one, text or binary, each when an answer to the one before it has come, and
   * resolves when the last one was answered. Without messages: when it is open.
   *
   * @param endOf Default: the number in four bytes.
   */
  static async open(
    port: number,
    path: string,
    subprotocol: string,
    messages: readonly (Uint8Array | string)[],
    endOf: EndOf = lastFourBytes,
  ): Promise<CountingSocket> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
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
    return new CountingSocket(socket, endOf);
  }

  /** Opens a socket without WebSocket, sends this, and resolves when it was answered. */
  static async openPlain(port: number, greeting: Uint8Array): Promise<CountingSocket> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    socket.write(greeting);
    await once(socket);
    return new CountingSocket(socket, lastFourBytes);
  }

  /** Resolves when the message with this number has come. */
  wait(last: number): Promise<void> {
    this.#end = this.#endOf(last);
    return new Promise((resolve) => {
      this.#onEnd = resolve;
    });
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #onData(chunk: Buffer): void {
    const { length: size } = this.#end;
    const bytes = chunk.length >= size ? chunk : Buffer.concat([this.#tail, chunk]);
    const from = Math.max(0, bytes.length - size);
    if (bytes.length >= size && bytes.compare(this.#end, 0, size, from) === 0) this.#onEnd?.();
    this.#tail = bytes.subarray(from);
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
