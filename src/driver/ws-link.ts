import type { Duplex } from "node:stream";
import type { RawData, WebSocket } from "ws";
import type { EncodedPacket } from "../wire/encode.js";
import type { SharedPacket } from "../wire/shared.js";
import { type BroadcastLink, closeReason, type LinkEvents, sendShared } from "./link.js";
import { beginServerFrame, type Masker, serverFrame } from "./ws-frame.js";

/** After a close frame, the other side has this long to answer it; then the socket is destroyed. */
const CLOSE_TIMEOUT_MS = 3_000;

/**
 * A link over a `ws` WebSocket that is open. `ws` receives, and does all that is not a message; messages are written past its
 * sender, which knows neither of packets that leave room for the head of a frame nor of masking a word at a time.
 *
 * @param socket The stream under the WebSocket, from the HTTP upgrade: it is corked around several messages, and tells
 * when it has drained.
 * @param masker masks what a client sends; `undefined`: this is a server
 * @param compression makes packets smaller, where both sides have agreed on it
 */
export function wsLink(
  ws: WebSocket,
  socket: Duplex,
  events: LinkEvents,
  masker: Masker | undefined,
  compression?: PacketCompression,
): BroadcastLink {
  return new WsLink(ws, socket, events, masker, compression);
}

/** There is one for each connection, and servers have many: a closure less is memory saved. */
class WsLink implements BroadcastLink {
  get kind(): "websocket" {
    return "websocket";
  }

  readonly #ws: WebSocket;
  readonly #socket: Duplex;
  readonly #events: LinkEvents;
  readonly #masker: Masker | undefined;
  readonly #compression: PacketCompression | undefined;
  #closed = false;
  #closing: ReturnType<typeof setTimeout> | undefined;

  constructor(
    ws: WebSocket,
    socket: Duplex,
    events: LinkEvents,
    masker: Masker | undefined,
    compression: PacketCompression | undefined,
  ) {
    this.#ws = ws;
    this.#socket = socket;
    this.#events = events;
    this.#compression = compression;
    this.#masker = masker;
    ws.binaryType = "nodebuffer";
    ws.on("message", (data: RawData, isBinary: boolean) => this.#onMessage(data as Buffer, isBinary));
    socket.on("drain", this.#onDrain);
    ws.on("error", ignore);
    // It happens once; `once` would keep two objects more for it.
    ws.on("close", (code: number, reason: Buffer) => {
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
    const socket = this.#socket;
    const masker = this.#masker;
    const { head, body, bytes, room } = packet;
    const compressed = packet.plain ? undefined : this.#compression?.deflate(head, body);
    if (compressed !== undefined) {
      socket.write(
        masker === undefined ? serverFrame(compressed, true) : masker.frame(compressed, undefined, true),
      );
    } else if (masker !== undefined) socket.write(masker.frame(head, body, false));
    else if (body === undefined) socket.write(beginServerFrame(head, room, bytes));
    else {
      // The payload is written from where it lies.
      socket.cork();
      socket.write(beginServerFrame(head, room, bytes));
      socket.write(body);
      socket.uncork();
    }
  }

  broadcast(packet: SharedPacket, plain: boolean): void {
    const ws = this.#ws;
    if (ws.readyState !== ws.OPEN) return;
    if (this.#masker !== undefined) return sendShared(this, packet, plain);
    if (!plain && this.#compression !== undefined) {
      const compressed = this.#compression.deflateShared(packet);
      if (compressed !== undefined) {
        this.#socket.write(compressed);
        return;
      }
    }
    packet.frame ??= serverFrame(packet.bytes, false);
    // What would be done for each subscriber is done once.
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
