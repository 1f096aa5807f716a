import { CloseCode } from "../base/close.js";
import { WireError } from "../wire/error.js";

/** The other side broke a rule of the protocol: the link is closed with 1002 and the session ends. */
export function violation(message: string): WireError {
  return new WireError(message, CloseCode.protocolError);
}
