import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { Header } from "../wire/frame.js";

/** What each entry costs beside the lengths of its name and value, as in HTTP/2 (RFC 9113 section 10.5.1). */
export const ENTRY_BYTES = 32;

/**
 * Metadata as it travels; `undefined` when there is none.
 *
 * @throws RpcError INVALID_ARGUMENT for names or values that the Fetch standard does not allow in headers.
 */
export function toWireHeaders(init: HeadersInit | undefined): readonly Header[] | undefined {
  if (init === undefined) return undefined;
  const headers = init instanceof Headers ? init : parseHeaders(init);
  const entries: Header[] = [];
  headers.forEach((value, name) => {
    entries.push([name, value]);
  });
  return entries.length > 0 ? entries : undefined;
}

function parseHeaders(init: HeadersInit): Headers {
  try {
    return new Headers(init);
  } catch (cause) {
    throw unusable(cause);
  }
}

function unusable(cause: unknown): RpcError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new RpcError(`not usable as metadata: ${why}`, Code.InvalidArgument, { executed: "no", cause });
}

/** Metadata from the wire. Entries that the Fetch standard does not allow are left out. */
export function fromWireHeaders(entries: readonly Header[] | undefined): Headers {
  const headers = new Headers();
  if (entries === undefined) return headers;
  for (const [name, value] of entries) {
    try {
      headers.append(name, value);
    } catch {
      // Not a header name or value: nothing in this process could have read it.
    }
  }
  return headers;
}

/** Size of metadata, by the rule of `Limits.header_bytes`. */
export function headerBytes(entries: readonly Header[] | undefined): number {
  let bytes = 0;
  if (entries !== undefined)
    for (const [name, value] of entries) bytes += name.length + value.length + ENTRY_BYTES;
  return bytes;
}

/**
 * Bytes as the value of a metadata entry whose name ends in `-bin`: base64 without padding, as gRPC has it.
 */
export function encodeBinaryHeader(value: Uint8Array): string {
  let text = "";
  for (const byte of value) text += String.fromCharCode(byte);
  return btoa(text).replace(/=+$/, "");
}

/**
 * Bytes of a metadata entry whose name ends in `-bin`. Padding may be there or not.
 *
 * @throws DOMException (InvalidCharacterError) when the value is not base64.
 */
export function decodeBinaryHeader(value: string): Uint8Array {
  return Uint8Array.from(atob(value), (char) => char.charCodeAt(0));
}
