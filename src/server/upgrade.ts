import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { CompressionSettings } from "../compression/settings.js";
import { offerOf } from "../compression/ws-extension.js";
import { SUBPROTOCOL } from "../driver/link.js";
import { VERSION, VERSION_HEADER } from "../fallback/protocol.js";
import { CARRIED_BYTES, TRUNK_SUBPROTOCOL } from "../wire/trunk.js";

/** Upgrades HTTP requests to WebSockets. */
export interface Upgrader {
  /** Upgrades a request, or answers it with an HTTP error. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, onOpen: (ws: WebSocket) => void): void;
}

/**
 * Makes an {@link Upgrader}.
 *
 * @param trunks whether one WebSocket may carry several links, for clients that offer it
 */
export function createUpgrader(
  maxPacketBytes: number,
  compression: CompressionSettings | undefined,
  trunks: boolean,
): Upgrader {
  const serverOf = (protocol: string) =>
    new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: offerOf(compression),
      maxPayload: maxMessageBytes(maxPacketBytes, protocol),
      handleProtocols: () => protocol,
    });
  const plain = serverOf(SUBPROTOCOL);
  const trunk = trunks ? serverOf(TRUNK_SUBPROTOCOL) : undefined;
  return {
    upgrade(request, socket, head, onOpen) {
      // Until ws has taken the socket over, a reset by the client has no other listener.
      const ignore = () => socket.destroy();
      socket.on("error", ignore);
      const server = offers(request, TRUNK_SUBPROTOCOL) ? (trunk ?? plain) : plain;
      if (server === plain && !offers(request, SUBPROTOCOL)) {
        return refuseUpgrade(socket, 400, `offer the WebSocket subprotocol ${SUBPROTOCOL}`);
      }
      server.handleUpgrade(request, socket, head, (ws) => {
        socket.off("error", ignore);
        onOpen(ws);
      });
    },
  };
}

/** The largest message of a WebSocket that speaks this subprotocol. */
export function maxMessageBytes(maxPacketBytes: number, protocol: string): number {
  return protocol === TRUNK_SUBPROTOCOL ? maxPacketBytes + CARRIED_BYTES : maxPacketBytes;
}

/** The path of a request, without its query. */
export function pathOf(request: IncomingMessage): string {
  const url = request.url ?? "/";
  const query = url.indexOf("?");
  return query < 0 ? url : url.slice(0, query);
}

/** Answers an upgrade request with an HTTP error. */
export function refuseUpgrade(
  socket: Duplex,
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = `${message}\n`;
  // Node has taken its own listeners off: a reset would be nobody's, and a client that never hangs up would stay.
  socket.on("error", () => socket.destroy());
  socket.once("finish", () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n` +
      `${VERSION_HEADER}: ${VERSION}\r\n` +
      Object.entries(headers)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join("") +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function offers(request: IncomingMessage, protocol: string): boolean {
  const offered = request.headers["sec-websocket-protocol"] ?? "";
  return offered.split(",").some((name) => name.trim() === protocol);
}
