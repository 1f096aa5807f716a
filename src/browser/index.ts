/**
 * All that a page needs which has no bundler, as one module: the client, the protobuf runtime, and what generated files
 * import from either. An import map leads all those names to this one file.
 */

export * from "@bufbuild/protobuf";
export * from "@bufbuild/protobuf/codegenv2";
export * from "@bufbuild/protobuf/wkt";
export * from "../client/browser.js";
export * from "../codec/index.js";
