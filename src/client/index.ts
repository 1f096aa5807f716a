import { checkKeys } from "../base/check.js";
import { resolveCompression } from "../compression/settings.js";
import type { Connection } from "./connection.js";
import { openConnection } from "./connector.js";
import { nodePlatform } from "./node.js";
import { type ConnectOptions, checkUrl, resolveConnectOptions, type TlsOptions } from "./options.js";

export type { CompressionOptions, CompressionProfile } from "../compression/settings.js";
export * from "../index.js";
export type { Connection, ConnectionEvents, ConnectionState } from "./connection.js";
export type { FallbackOptions } from "./detour.js";
export type { ConnectOptions, ReconnectOptions, TlsOptions } from "./options.js";

const TLS_KEYS: readonly (keyof TlsOptions)[] = [
  "ca",
  "cert",
  "key",
  "passphrase",
  "servername",
  "rejectUnauthorized",
];

/**
 * Opens a connection to a Hawser server, on Node over `ws`. It connects at once and comes back by itself after every
 * break; calls may be made at any time.
 *
 * @param url `ws:` or `wss:` URL of the server's path.
 * @throws TypeError or RangeError for a wrong URL or option. What goes wrong later goes to the calls and to the
 * connection's events.
 */
export function connect(url: string | URL, options: ConnectOptions = {}): Connection {
  const settings = resolveConnectOptions(options);
  const { tls = {} } = options;
  checkKeys("connect() tls", tls, TLS_KEYS);
  const compression = resolveCompression(options.compression);
  const platform = nodePlatform(settings.session.limits.packetBytes, tls, compression);
  return openConnection(checkUrl(url), settings, platform);
}
