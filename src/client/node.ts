import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import WebSocket from "ws";
import { CloseCode } from "../base/close.js";
import type { CompressionSettings } from "../compression/settings.js";
import { offerOf, takeOver } from "../compression/ws-extension.js";
import { pooled } from "../driver/entropy.js";
import { Masker } from "../driver/ws-frame.js";
import { wsLink } from "../driver/ws-link.js";
import { VERSION_HEADER } from "../fallback/protocol.js";
import { lazyDial } from "./lazy-dial.js";
import type { TlsOptions } from "./options.js";
import type { Platform } from "./platform.js";

/** The platform of Node: WebSockets of `ws`, packets in uninitialised buffers. */
export function nodePlatform(
  maxPacketBytes: number,
  tls: TlsOptions,
  compression: CompressionSettings | undefined,
): Platform {
  const offer = offerOf(compression);
  const randomBytes = pooled((into) => crypto.getRandomValues(into));
  const masker = new Masker(randomBytes);
  return {
    clock: () => performance.now(),
    wallClock: Date.now,
    random: Math.random,
    randomBytes,
    allocate: (bytes) => Buffer.allocUnsafeSlow(bytes),
    defer: (task) => process.nextTick(task),
    dial(url, { headers, subprotocols }, events, onOpen, onFailure) {
      let settled = false;
      let socket: Duplex | undefined;
      const ws = new WebSocket(url, [...subprotocols], {
        ...tls,
        headers,
        perMessageDeflate: offer,
        maxPayload: maxPacketBytes,
      });
      const fail = (code: number, reason: string, by?: "server" | "between") => {
        if (settled) return;
        settled = true;
        onFailure({ code, reason, by });
      };
      ws.once("upgrade", (response: IncomingMessage) => {
        socket = response.socket;
      });
      ws.once("open", () => {
        if (settled || socket === undefined) return ws.terminate();
        settled = true;
        ws.off("error", onError);
        onOpen(
          wsLink(
            ws,
            socket,
            events,
            masker,
            compression === undefined ? undefined : takeOver(ws, "client", compression, maxPacketBytes),
          ),
        );
      });
      const onError = (error: Error) => fail(CloseCode.abnormal, error.message);
      ws.once("unexpected-response", (request, response) => {
        request.destroy();
        const { statusCode = 0 } = response;
        const code =
          statusCode === 401
            ? CloseCode.unauthenticated
            : statusCode === 403
              ? CloseCode.permissionDenied
              : CloseCode.abnormal;
        // A gateway that cannot reach the server says so; that it lets no WebSocket through is something else.
        const by =
          response.headers[VERSION_HEADER] !== undefined
            ? "server"
            : statusCode < 500
              ? "between"
              : undefined;
        fail(code, `the server answered HTTP ${statusCode} instead of a WebSocket`, by);
      });
      ws.on("error", onError);
      return {
        abort() {
          settled = true;
          // Destroying a socket that is still connecting makes ws emit an error; nobody is interested in it.
          ws.on("error", () => undefined);
          ws.terminate();
        },
      };
    },
    dialHttp: lazyDial(async () => (await import("../fallback/node.js")).nodeDialler(maxPacketBytes, tls)),
  };
}
