import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import type { ErrorDetail, RpcError } from "../base/error.js";

/** Full name of the detail; its schema is in googleapis' `error_details.proto`. */
const RETRY_INFO = "google.rpc.RetryInfo";

/**
 * An error detail by which a handler says when its caller may try again: `google.rpc.RetryInfo`.
 *
 * @param delayMs In milliseconds; a negative number asks not to try again at all.
 * @example throw new RpcError("busy", Code.Unavailable, { details: [retryInfo(2_000)] });
 */
export function retryInfo(delayMs: number): ErrorDetail {
  if (!Number.isFinite(delayMs)) throw new RangeError(`the delay must be a number, not ${delayMs}`);
  const seconds = Math.trunc(delayMs / 1_000);
  const nanos = Math.round((delayMs - seconds * 1_000) * 1e6);
  const duration = new BinaryWriter();
  if (seconds !== 0) duration.tag(1, 0).int64(seconds);
  if (nanos !== 0) duration.tag(2, 0).int32(nanos);
  return { type: RETRY_INFO, value: new BinaryWriter().tag(1, 2).bytes(duration.finish()).finish() };
}

/**
 * What a failed answer says about trying again: a delay in milliseconds, `"never"`, or nothing. What does not decode says
 * nothing.
 */
export function pushBack(error: RpcError): number | "never" | undefined {
  const detail = error.details.find(({ type }) => type === RETRY_INFO);
  if (detail === undefined) return undefined;
  try {
    const reader = new BinaryReader(detail.value);
    let duration: Uint8Array | undefined;
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if (field === 1 && wireType === 2) duration = reader.bytes();
      else reader.skip(wireType, field);
    }
    if (duration === undefined) return 0;
    const delayMs = durationMs(duration);
    return delayMs < 0 ? "never" : delayMs;
  } catch {
    return undefined;
  }
}

/** A `google.protobuf.Duration` in milliseconds. */
function durationMs(bytes: Uint8Array): number {
  const reader = new BinaryReader(bytes);
  let ms = 0;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1 && wireType === 0) ms += Number(reader.int64()) * 1_000;
    else if (field === 2 && wireType === 0) ms += reader.int32() / 1e6;
    else reader.skip(wireType, field);
  }
  return ms;
}
