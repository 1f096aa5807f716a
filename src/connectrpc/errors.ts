import { create, toBinary } from "@bufbuild/protobuf";
import { Code as ConnectCode, ConnectError } from "@connectrpc/connect";
import { Code, codeFromWire } from "../base/code.js";
import { type ErrorDetail, RpcError } from "../base/error.js";

/** What Connect's own transports say of a call whose time is up. */
const TIMED_OUT = "the operation timed out";

/**
 * A thrown value as the `ConnectError` that a Connect client expects. What an `RpcError` knows beyond that, above all
 * `executed`, is in its `cause`.
 */
export function toConnectError(thrown: unknown): ConnectError {
  if (!(thrown instanceof RpcError)) return ConnectError.from(thrown);
  const { code, rawMessage, metadata, details, executed } = thrown;
  const late = code === Code.DeadlineExceeded && executed !== "yes";
  const error = new ConnectError(
    late ? TIMED_OUT : rawMessage,
    code as ConnectCode,
    metadata,
    undefined,
    thrown,
  );
  error.details = details.map(({ type, value }) => ({ type, value }));
  // A handler that throws it on relays what the other server said, but not that server's metadata. An error of this side has none.
  error.isWireError = executed === "yes" || !metadata.keys().next().done;
  return error;
}

/** The reason that a call was aborted for, as Connect's own transports report it. */
export function toAbortError(signal: AbortSignal): ConnectError {
  return ConnectError.from(signal.reason, ConnectCode.Canceled);
}

/** Errors of the runtime that handlers get as Connect errors: thrown on, they are what they were. */
const ORIGINALS = new WeakMap<ConnectError, RpcError>();

/** As {@link toConnectError}, for what handlers see of their own call. */
export function toHandlerError(thrown: unknown): ConnectError {
  const error = toConnectError(thrown);
  error.isWireError = false;
  if (thrown instanceof RpcError) ORIGINALS.set(error, thrown);
  return error;
}

/**
 * What a Connect handler or interceptor has thrown, as something to answer with: a `ConnectError` as the `RpcError` with the same
 * code, message, details and metadata; anything else as it is, which is the server's own matter.
 */
export function toRpcError(thrown: unknown): unknown {
  if (!(thrown instanceof ConnectError)) return thrown;
  const original = ORIGINALS.get(thrown);
  if (original !== undefined) return original;
  return new RpcError(thrown.rawMessage, codeFromWire(thrown.code), {
    details: thrown.details.map(encodeDetail),
    // As in Connect: what came with another server's error is not passed on.
    metadata: thrown.isWireError ? undefined : thrown.metadata,
    cause: thrown,
  });
}

function encodeDetail(detail: ConnectError["details"][number]): ErrorDetail {
  if ("desc" in detail) {
    const { desc, value } = detail;
    return { type: desc.typeName, value: toBinary(desc, create(desc, value)) };
  }
  return { type: detail.type, value: detail.value };
}
