import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Code } from "../base/code.js";
import { type Executed, RpcError } from "../base/error.js";
import { decode, encode } from "../codec/codec.js";

/**
 * Encodes a message.
 *
 * @throws RpcError with `code` when the value does not fit the schema.
 */
export function encodeMessage<Desc extends DescMessage>(
  schema: Desc,
  init: MessageInitShape<Desc>,
  code: Code,
): Uint8Array {
  try {
    return encode(schema, init);
  } catch (error) {
    throw codecError("encode", schema, error, code, "no");
  }
}

/**
 * Decodes a message. Byte fields are views into `payload`.
 *
 * @throws RpcError with `code` and `executed` when the bytes are not a message of this type.
 */
export function decodeMessage<Desc extends DescMessage>(
  schema: Desc,
  payload: Uint8Array,
  code: Code,
  executed: Executed,
): MessageShape<Desc> {
  try {
    return decode(schema, payload);
  } catch (error) {
    throw codecError("decode", schema, error, code, executed);
  }
}

function codecError(
  verb: string,
  schema: DescMessage,
  cause: unknown,
  code: Code,
  executed: Executed,
): RpcError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new RpcError(`cannot ${verb} ${schema.typeName}: ${why}`, code, { executed, cause });
}
