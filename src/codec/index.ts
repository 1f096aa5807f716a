/** What encodes and decodes messages by generated codecs, and what those need. Inside the package, import the files themselves. */

export { codecOf, decode, encode, type MessageCodec, registerCodec } from "./codec.js";
export * from "./runtime.js";
export * from "./well-known/any.js";
export * from "./well-known/duration.js";
export * from "./well-known/empty.js";
export * from "./well-known/field-mask.js";
export * from "./well-known/struct.js";
export * from "./well-known/timestamp.js";
export * from "./well-known/wrappers.js";
