import {
  create,
  type DescMessage,
  type DescService,
  fromBinary,
  type Message,
  type MessageInitShape,
  type MessageShape,
  protoInt64,
  toBinary,
} from "@bufbuild/protobuf";
import { LITTLE_ENDIAN } from "./long.js";
import { allocate } from "./native.js";

/**
 * Encodes and decodes messages of one type faster than protobuf-es, over the same objects. `protoc-gen-hawser` writes one per
 * message.
 *
 * A codec knows the usual values and bytes only. For everything else it says so, and the caller asks protobuf-es, which also
 * finds the words for what is wrong. So whatever goes in, what comes out is what protobuf-es gives: {@link encode} and
 * {@link decode} are the two calls with that way round.
 */
export interface MessageCodec {
  /**
   * An upper bound of the encoded size in bytes, of an init object or a message; `NaN` when a value is not usual. Cheap: it
   * does not look into texts, nor into the messages of a list when their size has a bound of its own.
   */
  bound(message: object): number;
  /**
   * Writes the message from `at`. `into` must have room for `bound(message)` bytes, all of which may be written over.
   *
   * @param strict The message is part of a message that was created already, so it must have been created, too. Default
   * false: an init object will do.
   * @returns the position after the message, or -1 when a value is not usual; what was written then does not count. A position
   * beyond the bound means that a getter gave other values than before: it does not count either.
   */
  write(message: object, into: Uint8Array, at: number, strict?: boolean): number;
  /**
   * Reads the message in `bytes[from, to)`. Fields of type bytes are views of `bytes`.
   *
   * @param depth How many messages are around this one. Default 0.
   * @returns `undefined` when protobuf-es must read it: what is malformed or unusual.
   */
  read(bytes: Uint8Array, from: number, to: number, depth?: number): Message | undefined;
}

const codecs = new WeakMap<DescMessage, MessageCodec>();

/**
 * Makes a codec known for a message type. Generated code does this when it is imported.
 *
 * Does nothing where 64-bit integers are no bigints (`BUF_BIGINT_DISABLE=1`), and on big-endian machines: codecs know neither.
 */
export function registerCodec(schema: DescMessage, codec: MessageCodec): void {
  if (protoInt64.supported && LITTLE_ENDIAN) codecs.set(schema, codec);
}

/**
 * Makes a codec known, and gives back the message type. Generated code exports message types in this way, so that bundlers keep
 * a codec exactly when the program uses its type.
 */
export function withCodec<Desc extends DescMessage>(schema: Desc, codec: MessageCodec): Desc {
  registerCodec(schema, codec);
  return schema;
}

/** What services name, so that no optimizer finds that nothing is done with it. */
const named = new WeakMap<DescService, readonly DescMessage[]>();

/**
 * Gives back a service. Generated code exports services in this way, and names their message types with it, so that bundlers
 * keep their codecs.
 */
export function withCodecs<Desc extends DescService>(service: Desc, messages: readonly DescMessage[]): Desc {
  named.set(service, messages);
  return service;
}

/** The codec of a message type; `undefined` when none has been registered. */
export function codecOf(schema: DescMessage): MessageCodec | undefined {
  return codecs.get(schema);
}

/** Small messages are written into a block that they share: an array of its own costs more than most messages. */
const BLOCK_BYTES = 32_768;
const MAX_SHARED_BYTES = 8_192;

let block = new Uint8Array(0);
let blockUsed = 0;

/**
 * Encodes a message as `toBinary(schema, create(schema, init))` does, by its codec where there is one.
 *
 * The result may be a view into a larger buffer, whose other bytes may be other messages or anything: copy it before you hand
 * its buffer to others.
 *
 * @throws what protobuf-es throws when a value does not fit the schema.
 */
export function encode<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Uint8Array {
  const codec = codecs.get(schema);
  if (codec === undefined) return toBinary(schema, create(schema, init));
  const bound = codec.bound(init);
  if (bound <= MAX_SHARED_BYTES) {
    if (blockUsed + bound > block.length) {
      block = allocate(BLOCK_BYTES);
      blockUsed = 0;
    }
    const into = block;
    const start = blockUsed;
    // Taken beforehand, for a getter of the message may encode another one.
    const reserved = start + bound;
    blockUsed = reserved;
    const end = codec.write(init, into, start);
    if (block === into && blockUsed === reserved) blockUsed = end < 0 || end > reserved ? start : end;
    if (end >= 0 && end <= reserved) return into.subarray(start, end);
  } else if (bound > MAX_SHARED_BYTES) {
    const into = allocate(bound);
    const end = codec.write(init, into, 0);
    // A bound is three times the size at worst; so much is not kept alive.
    if (end >= 0 && end <= bound) return end * 2 < bound ? into.slice(0, end) : into.subarray(0, end);
  }
  return toBinary(schema, create(schema, init));
}

/**
 * Decodes a message as `fromBinary(schema, bytes)` does, by its codec where there is one. Fields of type bytes are views of
 * `bytes`.
 *
 * @throws what protobuf-es throws when the bytes are not a message of this type.
 */
export function decode<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  const message = codecs.get(schema)?.read(bytes, 0, bytes.length);
  return (message as MessageShape<Desc> | undefined) ?? fromBinary(schema, bytes);
}
