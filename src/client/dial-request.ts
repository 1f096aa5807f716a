import { BEARER_SUBPROTOCOL, SUBPROTOCOL } from "../driver/link.js";
import type { ConnectSettings } from "./options.js";
import type { DialRequest } from "./platform.js";

/**
 * What the upgrade request of a WebSocket carries beside its URL, and what requests carry that take its place: those have a
 * token in the one header that browsers allow for it, and no subprotocol.
 */
export function dialRequest(
  { headers, credentialsIn }: ConnectSettings,
  token: string,
  overHttp: boolean,
): DialRequest {
  const subprotocols = overHttp ? [] : [SUBPROTOCOL];
  if (token === "" || credentialsIn === "hello") return { headers, subprotocols };
  if (overHttp || credentialsIn === "header")
    return { headers: { ...headers, authorization: `Bearer ${token}` }, subprotocols };
  return { headers, subprotocols: [SUBPROTOCOL, BEARER_SUBPROTOCOL + base64url(token)] };
}

/** Subprotocols are tokens of HTTP, which have no `=` and no `/` (RFC 6455 section 4.1). */
function base64url(text: string): string {
  const bytes = new TextEncoder().encode(text);
  const base64 = btoa(String.fromCharCode(...bytes));
  return base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
