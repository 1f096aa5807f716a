import { JetStreamApiCodes, JetStreamApiError } from "@nats-io/jetstream";
import { Code } from "../base/code.js";
import { type Executed, RpcError } from "../base/error.js";

/** Why something cannot be stored or read now. Whoever knows what that means for a call makes an RpcError of it. */
export class StoreFailure extends Error {
  override readonly name = "StoreFailure";
  /** UNAVAILABLE: it may work again in a moment. RESOURCE_EXHAUSTED: there is no room. */
  readonly code: Code;

  constructor(message: string, code: Code, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }

  toRpcError(executed: Executed): RpcError {
    return new RpcError(this.message, this.code, { executed, cause: this });
  }
}

/** Errors that are no fault of the request, by name: the connection may come from another copy of the client than ours. */
const OUTAGES: ReadonlySet<string> = new Set([
  "ClosedConnectionError",
  "ConnectionError",
  "DrainingConnectionError",
  // Also what it says while a stream has no leader, and when there is no stream.
  "JetStreamNotEnabled",
  "NoResponders",
  "RequestError",
  "TimeoutError",
]);

/** Error codes of JetStream that say that there is no room: limits of the account, of the server, memory, or disk. */
const FULL: ReadonlySet<number> = new Set([10_002, 10_023, 10_028, 10_047, 10_077]);

/** What NATS has thrown, as a {@link StoreFailure} where it is none of a mistake. */
export function failureOf(error: unknown): unknown {
  if (!(error instanceof Error) || isForbidden(error)) return error;
  if (error instanceof JetStreamApiError) {
    if (FULL.has(error.code)) {
      return new StoreFailure("there is no room for more in NATS", Code.ResourceExhausted, error);
    }
    return error.status === 503 || mayBeMissing(error) ? outage(error) : error;
  }
  return OUTAGES.has(error.name) ? outage(error) : error;
}

/** Whether the stream is not there, or may not be: of a message that nobody has taken there is no saying why. */
export function mayBeMissing(error: unknown): boolean {
  if (error instanceof JetStreamApiError) return error.code === JetStreamApiCodes.StreamNotFound;
  return error instanceof Error && (error.name === "JetStreamNotEnabled" || hasCause(error, "NoResponders"));
}

function isForbidden(error: Error): boolean {
  return hasCause(error, "PermissionViolationError");
}

function hasCause({ cause }: Error, name: string): boolean {
  return cause instanceof Error && cause.name === name;
}

function outage(cause: Error): StoreFailure {
  return new StoreFailure(
    "NATS cannot be reached or has no leader; try again later",
    Code.Unavailable,
    cause,
  );
}
