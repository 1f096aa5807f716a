import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Code } from "../base/code.js";
import { RpcError } from "../base/error.js";

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
    return toBinary(schema, create(schema, init));
  } catch (error) {
    throw new RpcError(`cannot encode ${schema.typeName}: ${describe(error)}`, code, {
      executed: "no",
      cause: error,
    });
  }
}

/**
 * Decodes a message. Byte fields are views into `payload`.
 *
 * @throws RpcError with `code` when the bytes are not a message of this type.
 */
export function decodeMessage<Desc extends DescMessage>(
  schema: Desc,
  payload: Uint8Array,
  code: Code,
): MessageShape<Desc> {
  try {
    return fromBinary(schema, payload);
  } catch (error) {
    throw new RpcError(`cannot decode ${schema.typeName}: ${describe(error)}`, code, {
      executed: code === Code.InvalidArgument ? "no" : "unknown",
      cause: error,
    });
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
