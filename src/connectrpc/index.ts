/** Connect at home on Hawser: its clients over a Hawser connection, its routes on a Hawser server. */
export { type HawserCallOptions, hawserCallOptions, hawserContext } from "./keys.js";
export { type ConnectRoutesOptions, connectRoutes } from "./routes.js";
export { createHawserTransport, type HawserTransportOptions } from "./transport.js";
