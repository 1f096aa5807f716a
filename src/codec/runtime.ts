/** What the codecs call that `protoc-gen-hawser` generates. No other code should: it changes with the generator. */

export type { Message, UnknownField } from "@bufbuild/protobuf";
export { type MessageCodec, registerCodec, withCodec, withCodecs } from "./codec.js";
export {
  absent,
  boolKey,
  bounded,
  bytesBound,
  type CodecFunctions,
  codecElsewhere,
  elements,
  found,
  isCreated,
  isSet,
  longFromText,
  longKey,
  mapKeys,
  messageCodec,
  NO_BYTES,
  numberKey,
  oneof,
  prototypeOf,
  setEntry,
  textBound,
  written,
  ZERO,
} from "./message.js";
export {
  cursor,
  readBool,
  readBytes,
  readDouble,
  readFixed32,
  readFixed64,
  readFloat,
  readInt32,
  readInt64,
  readSfixed32,
  readSfixed64,
  readSint32,
  readSint64,
  readSpan,
  readUint32,
  readUint64,
} from "./read.js";
export { readStruct, structBound, writeStruct } from "./struct.js";
export { readLooseText, readText, writeText } from "./text.js";
export { checkDepth, groupEnd, readTag, readUnknown } from "./unknown.js";
export { type Unchecked, unusual } from "./unusual.js";
export {
  closeSpan,
  writeBool,
  writeBytes,
  writeDouble,
  writeFixed32,
  writeFixed64,
  writeFloat,
  writeInt32,
  writeInt64,
  writeSfixed32,
  writeSfixed64,
  writeSint32,
  writeSint64,
  writeUint32,
  writeUint64,
  writeVarint,
} from "./write.js";
