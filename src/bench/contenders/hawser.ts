// Hawser with generated codecs.
export { createHawser as create } from "./hawser-service.js";
