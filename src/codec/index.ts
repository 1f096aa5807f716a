/** What generated code needs, and what encodes and decodes with it. Inside the package, import the files themselves. */

export { codecOf, decode, encode, type MessageCodec, registerCodec } from "./codec.js";
