import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Code } from "../base/code.js";
import { type Executed, RpcError } from "../base/error.js";
import { codecOf, decode, encode, type MessageCodec } from "../codec/codec.js";
import type { MessageWriter } from "../wire/encode.js";
import { BESIDE_BYTES } from "../wire/limits.js";

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

/** The one message at a time that is written straight into a packet. */
class Outgoing implements MessageWriter {
  bound = 0;
  codec: MessageCodec | undefined;
  message: object | undefined;

  write(into: Uint8Array, at: number): number {
    return (this.codec as MessageCodec).write(this.message as object, into, at);
  }

  written(): void {
    this.message = undefined;
  }
}

const outgoing = new Outgoing();

/**
 * A message that can be written straight into a packet, to be sent at once; `undefined` when it has to be encoded first: there is no
 * codec for it, or it may be so large that it is better left where it is.
 */
export function writerOf<Desc extends DescMessage>(
  schema: Desc,
  init: MessageInitShape<Desc>,
): MessageWriter | undefined {
  const codec = codecOf(schema);
  const bound = codec?.bound(init) ?? Number.NaN;
  if (!(bound < BESIDE_BYTES)) return undefined;
  outgoing.bound = bound;
  outgoing.codec = codec;
  outgoing.message = init;
  return outgoing;
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
