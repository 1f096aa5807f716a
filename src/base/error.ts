import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Code, codeName } from "./code.js";

/**
 * Whether the handler of a failed call may have run.
 *
 * - `"no"`: certainly not; calling again cannot repeat an effect.
 * - `"yes"`: the handler ran and answered with this error.
 * - `"unknown"`: the request may have reached the handler, and its answer is lost.
 */
export type Executed = "no" | "yes" | "unknown";

/** An error detail as it travels: the full name of a message type, and the encoded message. */
export interface ErrorDetail {
  readonly type: string;
  readonly value: Uint8Array;
}

/** What {@link RpcError} takes beside message and code. */
export interface RpcErrorInit {
  /** Response metadata that came with the error, or that a handler wants to send with it. */
  readonly metadata?: HeadersInit | undefined;
  /** Encoded details; {@link errorDetail} makes one. */
  readonly details?: readonly ErrorDetail[] | undefined;
  /** Whether the handler may have run. Default `"unknown"`. */
  readonly executed?: Executed | undefined;
  /** What led to this error. Stays in this process. */
  readonly cause?: unknown;
}

/** The one error type of calls, on both sides. Throw it in a handler to answer with a status. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  /** gRPC status code. */
  readonly code: Code;
  /** The message without the code in front. */
  readonly rawMessage: string;
  /** Typed details as they travel; {@link RpcError.findDetails} decodes them. */
  readonly details: readonly ErrorDetail[];
  /** Whether the handler may have run. */
  readonly executed: Executed;
  readonly #metadataInit: HeadersInit | undefined;
  #metadata: Headers | undefined;

  constructor(message: string, code: Code = Code.Unknown, init?: RpcErrorInit) {
    super(
      message === "" ? codeName(code) : `${codeName(code)}: ${message}`,
      init?.cause === undefined ? undefined : { cause: init.cause },
    );
    this.code = code;
    this.rawMessage = message;
    this.details = init?.details ?? [];
    this.executed = init?.executed ?? "unknown";
    this.#metadataInit = init?.metadata;
  }

  /** Metadata that travels with the error, beside the trailers of the call. */
  get metadata(): Headers {
    this.#metadata ??= new Headers(this.#metadataInit);
    return this.#metadata;
  }

  /**
   * The details of one message type, decoded. Details of other types, and bytes that do not decode, are left out.
   *
   * @example `error.findDetails(RetryInfoSchema)[0]?.retryDelay`
   */
  findDetails<Desc extends DescMessage>(schema: Desc): MessageShape<Desc>[] {
    const found: MessageShape<Desc>[] = [];
    for (const detail of this.details) {
      if (detail.type !== schema.typeName) continue;
      try {
        found.push(fromBinary(schema, detail.value));
      } catch {
        // A detail that does not decode says nothing; the error itself still stands.
      }
    }
    return found;
  }

  /** Any thrown value as an RpcError: an RpcError as it is, an abort as CANCELLED, the rest as `code`. */
  static from(reason: unknown, code: Code = Code.Unknown): RpcError {
    if (reason instanceof RpcError) return reason;
    if (reason instanceof Error) {
      if (reason.name === "AbortError") return new RpcError(reason.message, Code.Canceled, { cause: reason });
      if (reason.name === "TimeoutError")
        return new RpcError(reason.message, Code.DeadlineExceeded, { cause: reason });
      return new RpcError(reason.message, code, { cause: reason });
    }
    return new RpcError(String(reason), code, { cause: reason });
  }
}

/** Encodes a message as an error detail for {@link RpcErrorInit.details}. */
export function errorDetail<Desc extends DescMessage>(
  schema: Desc,
  init: MessageInitShape<Desc>,
): ErrorDetail {
  return { type: schema.typeName, value: toBinary(schema, create(schema, init)) };
}
