import type { Connection } from "./connection.js";
import { openConnection } from "./connector.js";
import { type ConnectOptions, checkUrl, resolveConnectOptions } from "./options.js";
import { webPlatform } from "./web.js";

export type { CompressionOptions, CompressionProfile } from "../compression/settings.js";
export * from "../index.js";
export type { Connection, ConnectionEvents, ConnectionState } from "./connection.js";
export type { FallbackOptions } from "./detour.js";
export type { ConnectOptions, ReconnectOptions, TlsOptions } from "./options.js";

/**
 * Opens a connection to a Hawser server over the platform's own WebSocket. It connects at once and comes back by
 * itself after every break; calls may be made at any time. In a page, reconnecting waits while the page is hidden or
 * the machine is offline.
 *
 * @param url `ws:` or `wss:` URL of the server's path.
 * @throws TypeError or RangeError for a wrong URL or option. What goes wrong later goes to the calls and to the
 * connection's events.
 */
export function connect(url: string | URL, options: ConnectOptions = {}): Connection {
  const settings = resolveConnectOptions(options);
  return openConnection(checkUrl(url), settings, webPlatform(settings.session.limits.packetBytes));
}
