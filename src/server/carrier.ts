import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import type { BroadcastLink, LinkEvents } from "../driver/link.js";
import { type PacketCompression, wsLink } from "../driver/ws-link.js";

/** What a link that has come in is carried by: a WebSocket, or what takes its place. */
export interface Carrier {
  readonly transport: "websocket" | "http";
  /** Makes the link; called once. It must not call the events before it has returned. */
  open(events: LinkEvents): BroadcastLink;
  /** Takes in no more until {@link Carrier.resume}. */
  pause(): void;
  resume(): void;
  /** Tells of all bytes as they come in; `undefined`: no more. */
  watchBytes(listener: ((bytes: number) => void) | undefined): void;
  /** Tells of what is no message and costs the server something all the same. */
  watchOthers(listener: (bytes: number) => void): void;
}

/** A WebSocket. */
export class WebSocketCarrier implements Carrier {
  readonly transport = "websocket";
  readonly #ws: WebSocket;
  readonly #socket: Duplex;
  readonly #compression: PacketCompression | undefined;
  #onData: ((chunk: Buffer) => void) | undefined;

  constructor(ws: WebSocket, socket: Duplex, compression: PacketCompression | undefined) {
    this.#ws = ws;
    this.#socket = socket;
    this.#compression = compression;
  }

  open(events: LinkEvents): BroadcastLink {
    return wsLink(this.#ws, this.#socket, events, undefined, this.#compression);
  }

  pause(): void {
    this.#ws.pause();
  }

  resume(): void {
    this.#ws.resume();
  }

  watchBytes(listener: ((bytes: number) => void) | undefined): void {
    if (this.#onData !== undefined) this.#socket.off("data", this.#onData);
    this.#onData = listener === undefined ? undefined : (chunk) => listener(chunk.length);
    if (this.#onData !== undefined) this.#socket.on("data", this.#onData);
  }

  watchOthers(listener: (bytes: number) => void): void {
    // Pings and pongs of WebSocket itself are answered or dropped by `ws`.
    const onControl = (data: Buffer) => listener(data.length);
    this.#ws.on("ping", onControl).on("pong", onControl);
  }
}
