import type { Duplex } from "node:stream";
import type { RawData, WebSocket } from "ws";
import type { EncodedPacket } from "../wire/encode.js";
import { closeReason, type Link, type LinkEvents } from "./link.js";

/** After a close frame, the other side has this long to answer it; then the socket is destroyed. */
const CLOSE_TIMEOUT_MS = 3_000;

/**
 * A link over a `ws` WebSocket that is open.
 *
 * @param socket The stream under the WebSocket, from the HTTP upgrade: it is corked around several messages, and tells
 * when it has drained.
 * @param compression makes packets smaller, where both sides have agreed on it
 */
export function wsLink(
  ws: WebSocket,
  socket: Duplex,
  events: LinkEvents,
  compression?: PacketCompression,
): Link {
  let closed = false;
  let closing: ReturnType<typeof setTimeout> | undefined;
  ws.binaryType = "nodebuffer";
  ws.on("message", (data: RawData, isBinary: boolean) => {
    if (closed || closing !== undefined) return;
    if (!isBinary) return events.onText();
    const buffer = data as Buffer;
    // A plain view: messages must not carry Buffers, whose slice() differs, into users' code.
    events.onMessage(new Uint8Array(buffer.buffer as ArrayBuffer, buffer.byteOffset, buffer.length));
  });
  const onDrain = () => events.onDrain();
  socket.on("drain", onDrain);
  ws.on("error", () => {
    // ws closes by itself after every error; `close` follows.
  });
  ws.once("close", (code: number, reason: Buffer) => {
    closed = true;
    clearTimeout(closing);
    socket.off("drain", onDrain);
    events.onClose(code, reason.toString());
  });
  return {
    get bufferedBytes() {
      return ws.bufferedAmount;
    },
    send(packet: EncodedPacket) {
      if (ws.readyState !== ws.OPEN) return;
      const compressed = packet.plain ? undefined : compression?.deflate(packet.head, packet.body);
      if (compressed !== undefined) {
        ws.send(compressed, COMPRESSED);
        return;
      }
      if (packet.body === undefined) {
        ws.send(packet.head, BINARY);
        return;
      }
      // Two fragments of one message: the payload is written from where it lies.
      socket.cork();
      ws.send(packet.head, FIRST_FRAGMENT);
      ws.send(packet.body, LAST_FRAGMENT);
      socket.uncork();
    },
    cork() {
      socket.cork();
    },
    uncork() {
      socket.uncork();
    },
    close(code: number, reason: string) {
      if (closed || closing !== undefined) return;
      ws.close(code, closeReason(reason));
      closing = setTimeout(() => ws.terminate(), CLOSE_TIMEOUT_MS);
    },
  };
}

/** What a link needs of compression. */
export interface PacketCompression {
  /** The packet as it goes out compressed; `undefined`: it goes as it is. */
  deflate(head: Uint8Array, body: Uint8Array | undefined): Uint8Array | undefined;
}

const COMPRESSED = { binary: true, compress: true, fin: true };
const BINARY = { binary: true, compress: false, fin: true };
const FIRST_FRAGMENT = { binary: true, compress: false, fin: false };
const LAST_FRAGMENT = { binary: true, compress: false, fin: true };
