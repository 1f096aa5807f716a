import { Code, codeFromWire } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { EndFrame, Header, WireLimits } from "../wire/frame.js";
import { ENTRY_BYTES, headerBytes, toWireHeaders } from "./metadata.js";

/** What an End says of the handler: it has answered, has never seen the call, or is still at work. */
export type Ending = "answered" | "refused" | "unfinished";

/** The End of a call. */
export function endFrame(
  call: number,
  error: RpcError | undefined,
  headers: readonly Header[] | undefined,
  trailer: Headers | undefined,
  how: Ending,
): EndFrame {
  let trailers = toWireHeaders(trailer);
  if (error !== undefined) {
    const metadata = toWireHeaders(error.metadata);
    if (metadata !== undefined) trailers = [...(trailers ?? []), ...metadata];
  }
  return {
    kind: "end",
    call,
    code: error?.code ?? 0,
    message: error === undefined ? "" : truncate(error.rawMessage),
    details: error === undefined || error.details.length === 0 ? undefined : error.details,
    headers,
    trailers,
    refused: how === "refused",
    unfinished: how === "unfinished",
    payload: undefined,
  };
}

/** The End of a call that its handler has answered with a message. */
export function answerFrame(
  call: number,
  headers: readonly Header[] | undefined,
  trailers: readonly Header[] | undefined,
  payload: Uint8Array | undefined,
  plain = false,
): EndFrame {
  return {
    kind: "end",
    call,
    code: 0,
    message: "",
    details: undefined,
    headers,
    trailers,
    refused: false,
    unfinished: false,
    payload,
    plain,
  };
}

/**
 * Whether an error is the outcome of a key. UNAVAILABLE says by itself that trying again helps (gRPC's `statuscodes.md`),
 * and so does a handler that says when.
 */
export function isFinal(error: RpcError): boolean {
  return (
    error.code !== Code.Unavailable && !error.details.some(({ type }) => type === "google.rpc.RetryInfo")
  );
}

/** Longest error message on the wire, in UTF-16 units. */
const MAX_MESSAGE = 4096;

function truncate(message: string): string {
  return message.length <= MAX_MESSAGE ? message : `${message.slice(0, MAX_MESSAGE - 1)}…`;
}

/** The error that an End carries. */
export function errorOf({ code, message, details }: EndFrame): RpcError {
  return new RpcError(message, codeFromWire(code), { details });
}

/** An outcome as it may be sent: one that the caller does not take becomes the error that it is too large. */
export function withinLimits(frame: EndFrame, { headerBytes: most, messageBytes }: WireLimits): EndFrame {
  const metadata = headerBytes(frame.headers) + headerBytes(frame.trailers) + detailBytes(frame);
  const length = frame.payload === undefined ? 0 : frame.payload.length;
  if (metadata <= most && length <= messageBytes) return frame;
  const message =
    metadata > most
      ? `response metadata and error details of ${metadata} bytes are over the limit of ${most}`
      : `a message of ${length} bytes is over the limit of ${messageBytes} (limits.messageBytes of the caller)`;
  const error = new RpcError(message, Code.ResourceExhausted);
  return endFrame(frame.call, error, undefined, undefined, "answered");
}

/** What the details of an End take of the limit of metadata. */
function detailBytes(frame: EndFrame): number {
  let bytes = 0;
  if (frame.details !== undefined)
    for (const detail of frame.details) bytes += detail.type.length + detail.value.length + ENTRY_BYTES;
  return bytes;
}
