import type { Duplex } from "node:stream";
import type { RawData, WebSocket } from "ws";
import type { EncodedPacket } from "../wire/encode.js";
import type { SharedPacket } from "../wire/shared.js";
import { type BroadcastLink, closeReason, type LinkEvents, sendShared } from "./link.js";

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
): BroadcastLink {
  return new WsLink(ws, socket, events, compression);
}

/** There is one for each connection, and servers have many: a closure less is memory saved. */
class WsLink implements BroadcastLink {
  readonly #ws: WebSocket;
  readonly #socket: Duplex;
  readonly #events: LinkEvents;
  readonly #compression: PacketCompression | undefined;
  readonly #isServer: boolean;
  #closed = false;
  #closing: ReturnType<typeof setTimeout> | undefined;

  constructor(ws: WebSocket, socket: Duplex, events: LinkEvents, compression: PacketCompression | undefined) {
    this.#ws = ws;
    this.#socket = socket;
    this.#events = events;
    this.#compression = compression;
    this.#isServer = (ws as { readonly _isServer?: boolean })._isServer === true;
    ws.binaryType = "nodebuffer";
    ws.on("message", (data: RawData, isBinary: boolean) => this.#onMessage(data as Buffer, isBinary));
    socket.on("drain", this.#onDrain);
    ws.on("error", ignore);
    ws.once("close", (code: number, reason: Buffer) => {
      this.#closed = true;
      clearTimeout(this.#closing);
      socket.off("drain", this.#onDrain);
      events.onClose(code, reason.toString());
    });
  }

  get bufferedBytes(): number {
    return this.#ws.bufferedAmount;
  }

  send(packet: EncodedPacket): void {
    const ws = this.#ws;
    if (ws.readyState !== ws.OPEN) return;
    const compressed = packet.plain ? undefined : this.#compression?.deflate(packet.head, packet.body);
    if (compressed !== undefined) {
      ws.send(compressed, COMPRESSED);
      return;
    }
    if (packet.body === undefined) {
      ws.send(packet.head, BINARY);
      return;
    }
    // Two fragments of one message: the payload is written from where it lies.
    this.#socket.cork();
    ws.send(packet.head, FIRST_FRAGMENT);
    ws.send(packet.body, LAST_FRAGMENT);
    this.#socket.uncork();
  }

  broadcast(packet: SharedPacket, plain: boolean): void {
    const ws = this.#ws;
    if (ws.readyState !== ws.OPEN) return;
    if (!this.#isServer) return sendShared(this, packet, plain);
    if (!plain && this.#compression !== undefined) {
      const compressed = this.#compression.deflateShared(packet);
      if (compressed !== undefined) {
        this.#socket.write(compressed);
        return;
      }
    }
    packet.frame ??= serverFrame(packet.bytes, false);
    // Past ws: what it would do for each subscriber is done once. It never has messages of its own under way here.
    this.#socket.write(packet.frame);
  }

  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  close(code: number, reason: string): void {
    if (this.#closed || this.#closing !== undefined) return;
    this.#ws.close(code, closeReason(reason));
    this.#closing = setTimeout(() => this.#ws.terminate(), CLOSE_TIMEOUT_MS);
  }

  #onMessage(buffer: Buffer, isBinary: boolean): void {
    if (this.#closed || this.#closing !== undefined) return;
    if (!isBinary) return this.#events.onText();
    // A plain view: messages must not carry Buffers, whose slice() differs, into users' code.
    this.#events.onMessage(new Uint8Array(buffer.buffer as ArrayBuffer, buffer.byteOffset, buffer.length));
  }

  readonly #onDrain = (): void => this.#events.onDrain();
}

/** ws closes by itself after every error; `close` follows. */
function ignore(): void {
  // Nothing else is to be done.
}

/** What a link needs of compression. */
export interface PacketCompression {
  /** The packet as it goes out compressed; `undefined`: it goes as it is. */
  deflate(head: Uint8Array, body: Uint8Array | undefined): Uint8Array | undefined;
  /** The frame of a packet for many, compressed once for all; `undefined`: it goes as it is. */
  deflateShared(packet: SharedPacket): Uint8Array | undefined;
}

/** A whole message of a server as one frame (RFC 6455 section 5.2): unmasked, so it is the same for every client. */
export function serverFrame(payload: Uint8Array, compressed: boolean): Uint8Array {
  const { length } = payload;
  const head = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(head + length);
  frame[0] = compressed ? 0xc2 : 0x82;
  if (head === 2) frame[1] = length;
  else if (head === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  frame.set(payload, head);
  return frame;
}

const COMPRESSED = { binary: true, compress: true, fin: true };
const BINARY = { binary: true, compress: false, fin: true };
const FIRST_FRAGMENT = { binary: true, compress: false, fin: false };
const LAST_FRAGMENT = { binary: true, compress: false, fin: true };
