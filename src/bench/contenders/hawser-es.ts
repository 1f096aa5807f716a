// Hawser with what protoc-gen-es generates alone: messages are encoded by protobuf-es.
export { createHawser as create } from "./hawser-service.js";
