import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { CompressionSettings } from "../compression/settings.js";
import { offerOf } from "../compression/ws-extension.js";
import { SUBPROTOCOL } from "../driver/link.js";
import { VERSION, VERSION_HEADER } from "../fallback/protocol.js";

/** Upgrades HTTP requests to WebSockets. */
export interface Upgrader {
  /** Upgrades a request, or answers it with an HTTP error. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, onOpen: (ws: WebSocket) => void): void;
}

/** Makes an {@link Upgrader}. */
export function createUpgrader(
  maxPacketBytes: number,
  compression: CompressionSettings | undefined,
): Upgrader {
  const wss = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: offerOf(compression),
    maxPayload: maxPacketBytes,
    handleProtocols: (protocols) => (protocols.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  });
  return {
    upgrade(request, socket, head, onOpen) {
      // Until ws has taken the socket over, a reset by the client has no other listener.
      const ignore = () => socket.destroy();
      socket.on("error", ignore);
      if (!offers(request, SUBPROTOCOL)) {
        return refuseUpgrade(socket, 400, `offer the WebSocket subprotocol ${SUBPROTOCOL}`);
      }
      wss.handleUpgrade(request, socket, head, (ws) => {
        socket.off("error", ignore);
        onOpen(ws);
      });
    },
  };
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
