import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";
import type { Header } from "../wire/frame.js";
import { headerBytes } from "./metadata.js";

/** A message over the limit. */
export function tooLarge(bytes: number, limit: number, executed: "no" | "unknown" = "no"): RpcError {
  return new RpcError(
    `a message of ${bytes} bytes is over the limit of ${limit} (limits.messageBytes of the receiving side)`,
    Code.ResourceExhausted,
    { executed },
  );
}

/** Metadata over the limit. */
export function tooMuchMetadata(headers: readonly Header[], limit: number): RpcError {
  return new RpcError(
    `metadata of ${headerBytes(headers)} bytes is over the limit of ${limit} (limits.headerBytes of the receiving side)`,
    Code.ResourceExhausted,
    { executed: "no" },
  );
}
