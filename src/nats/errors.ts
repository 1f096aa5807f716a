import { Code } from "../base/code.js";
import { type Executed, RpcError } from "../base/error.js";

/** NATS, or what stores in it, cannot be reached now. */
export function unavailable(message: string, executed: Executed = "no", cause?: unknown): RpcError {
  return new RpcError(message, Code.Unavailable, { executed, cause });
}

/** What `publish` of the NATS client throws, before anything is sent, as an error of ours. */
export function publishError(error: unknown): RpcError {
  const { name, message } = error as Error;
  if (name === "InvalidArgumentError" && message.includes("max_payload")) {
    return new RpcError(
      "the payload is larger than the NATS server allows (max_payload)",
      Code.ResourceExhausted,
      {
        executed: "no",
        cause: error,
      },
    );
  }
  return unavailable(`cannot publish to NATS: ${message}`, "no", error);
}

/** More is on its way than the options allow. */
export function windowFull(maxBytes: number): RpcError {
  return new RpcError(
    `more than ${maxBytes} bytes are on their way to NATS (maxPublishBytes)`,
    Code.ResourceExhausted,
    { executed: "no" },
  );
}
